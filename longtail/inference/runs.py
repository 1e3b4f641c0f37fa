"""What using a run takes, whatever its task: its network, and image files."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from longtail.checkpoint import checkpoint_path, load_state, read_method
from longtail.errors import InputError
from longtail.files.folder import IMAGES, Kind, is_sample, samples_below
from longtail.reports.results import Results

T = TypeVar("T")

STARTS = {"pretrained": False, "weights": None, "teacher_checkpoint": None}  # options that name weights to start from


def load_method(run: Path, results: Results, task: str, checkpoint: str | None = None) -> tuple[nn.Module, Path]:
    """The method of a run in evaluation mode, on the GPU if there is one, and the checkpoint it came from.

    Args:
        run: folder of the run.
        results: of it.
        task: that the run has to be of.
        checkpoint: "best" or "last"; by default the one best on validation if there is one.

    Raises:
        InputError: if the checkpoint is not there or damaged, or the run is of another task.
    """
    import yaml
    from jsonargparse import ArgumentParser

    if (found := results.get("task", "classification")) != task:
        raise InputError(f"{run} is a run of {found}, not of {task}")
    path = checkpoint_path(run, checkpoint)
    state = read_method(path)
    config: dict[str, Any] = yaml.safe_load(results["config"])["model"]["init_args"]["method"]
    config.setdefault("init_args", {})["class_counts"] = results.get("instance_counts", results["train_counts"])
    forget_starts(config)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(nn.Module, "method", required=True)
    method: nn.Module = parser.instantiate(parser.parse_object({"method": config})).method
    load_state(method, state, path)
    return method.eval().to("cuda" if torch.cuda.is_available() else "cpu"), path


def forget_starts(config: dict[str, Any]) -> None:
    """Take the weights to start from out of a configuration, in place, as the checkpoint holds the trained ones."""
    for key, value in config.items():
        if key in STARTS:
            config[key] = STARTS[key]
        elif isinstance(value, dict):
            forget_starts(value)


def sample_files(paths: Sequence[Path], kind: Kind = IMAGES) -> list[str]:
    """The files given, and the images in the folders given; or the videos, of which a folder of images is one.

    Raises:
        InputError: if one is missing, or there is none at all.
    """
    files: list[str] = []
    for path in paths:
        if path.is_dir() and not is_sample(str(path), kind):
            files += samples_below(str(path), kind)
        elif path.exists():
            files.append(str(path))
        else:
            raise InputError(f"no {kind.noun} at {path}")
    if not files:
        raise InputError(f"no {kind.noun} files in {', '.join(map(str, paths))}")
    return files


def readable(
    files: Sequence[str], read: Callable[[str], T], skip_bad: bool, kind: Kind = IMAGES
) -> Iterator[tuple[int, T]]:
    """Index and content of the files that can be read.

    Args:
        files: their paths.
        read: from path to content; raises InputError for a file that cannot be read.
        skip_bad: leave such files out and say so; otherwise they are an error.
        kind: what the files are.
    """
    for index, file in enumerate(files):
        try:
            content = read(file)
        except InputError as error:
            if not skip_bad:
                raise InputError(f"{error}; leave such files out by --skip-bad-{kind.noun}s") from error
            sys.stderr.write(f"left out {error}\n")
            continue
        yield index, content
