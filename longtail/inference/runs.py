"""A run of any task, used: its predictor, its network, and image files."""

import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import nn

from longtail.checkpoint import checkpoint_path, load_state, read_method
from longtail.configuration import parse_yaml
from longtail.errors import InputError
from longtail.files.images.folder import IMAGES, Kind, is_sample, samples_below
from longtail.files.tables.labelled import Listed, listed_files
from longtail.files.tables.table import is_table
from longtail.inference.base import Predictor
from longtail.inference.beside import TEACHERS, check_beside, use_own_part
from longtail.messages import plural, retrievable
from longtail.plain import JSON, AnyPath
from longtail.refusal import layers, misfit
from longtail.reports.results import Results, label_counts, load_results
from longtail.trust import METHOD, building_from_run, check_path

logger = logging.getLogger(__name__)

Use = Literal["tradeoff", "calibration", "second_stages"]
USES: dict[Use, str] = {"tradeoff": "trade-offs", "calibration": "calibrations", "second_stages": "second stages"}

T = TypeVar("T")
M = TypeVar("M", bound=nn.Module)

STARTS = {"pretrained": False, "weights": None}  # options of a backbone that name weights to start from


def load_run(run: AnyPath, checkpoint: str | None = None) -> Predictor:
    """Load a run of any task.

    Args:
        run: folder of the run.
        checkpoint: "best" or "last"; by default the one best on validation if there is one.

    Returns:
        A ``Classifier``, ``Labeller``, ``Detector`` or ``Segmenter``, or what a task of your own names.

    Raises:
        InputError: if the run, its checkpoint or the class that uses it is not there or damaged.
    """
    results = load_results(run)
    return predictor_of(results).load(Path(run), results, checkpoint)


def export_run(
    run: AnyPath,
    output: AnyPath | None = None,
    checkpoint: str | None = None,
    **options: Any,  # as the predictor of the run takes them
) -> list[Path]:
    """Write a run of any task for use without this package: ``model.onnx`` and ``model.safetensors``.

    Args:
        run: folder of the run.
        output: folder for the files; by default ``export`` in the folder of the run, for a folder of timm ``timm``.
        checkpoint: "best" or "last"; by default the one best on validation if there is one.
        options: those of the predictor, such as ``strength`` for a classifier.

    Returns:
        The files.

    Raises:
        InputError: as `load_run`; or if something that is needed is not installed, or the outputs differ from torch's.
    """
    predictor = load_run(run, checkpoint)
    folder = predictor.export_folder(Path(run), **options) if output is None else Path(output)
    return predictor.export(folder, **options)


def predictor_of(results: Results) -> type[Predictor]:
    """The class that uses a run.

    Raises:
        InputError: if it cannot be imported, or is no predictor.
    """
    path = results["predictor"]
    check_path(path, results["name"], _paths())
    module, _, name = path.rpartition(".")
    try:
        predictor = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"{results['name']} is used by {path}, which cannot be imported ({error}): start in the folder that has it"
        ) from error
    if not (isinstance(predictor, type) and issubclass(predictor, Predictor)):
        raise InputError(f"{results['name']} is used by {path}, which is no longtail.inference.Predictor")
    return predictor


def shipped() -> list[type[Predictor]]:
    """The predictors of this package."""
    package = importlib.import_module("longtail.inference")  # which imports this module
    members = (getattr(package, name) for name in package.__all__)
    return [c for c in members if isinstance(c, type) and issubclass(c, Predictor) and c is not Predictor]


def tasks_that(can: Callable[[type[Predictor]], bool]) -> str:
    """The tasks of this package whose predictors can do something, for messages; empty where there is none."""
    return " and ".join(predictor.task for predictor in shipped() if can(predictor))


def check_use(results: Results, use: Use) -> None:
    """Check that a run can be used in some way; raises InputError, with the tasks of this package whose runs can."""

    def can(predictor: type[Predictor]) -> bool:
        return bool(getattr(predictor, use))

    if not can(predictor_of(results)):
        words = f"{results['name']} is a run of {results['task']}"
        raise InputError(f"{words}: {USES[use]} are for runs of {tasks_that(can)}")


def foreign_option(option: str, results: Results, tasks: str) -> InputError:
    """What is said of an option for runs of other tasks."""
    return InputError(f"{option} is for runs of {tasks}, this one is of {results['task']}: leave it out")


def _paths() -> list[str]:
    """Import paths of the predictors of this package, where they are defined and where they are exported."""
    classes = shipped()
    return [
        *(f"{c.__module__}.{c.__qualname__}" for c in classes),
        *(f"longtail.inference.{c.__name__}" for c in classes),
    ]


def load_method(run: AnyPath, results: Results, kind: type[M], checkpoint: str | None = None) -> tuple[M, Path]:
    """The method of a run in evaluation mode, on the GPU if there is one, and the checkpoint it came from.

    Args:
        run: folder of the run.
        results: of it.
        kind: what the method has to be.
        checkpoint: "best" or "last"; by default the one best on validation if there is one.

    Raises:
        InputError: if the checkpoint is not there or damaged, or the method is of another kind.
    """
    from jsonargparse import ArgumentParser

    run = Path(run)
    path = checkpoint_path(run, checkpoint)
    state = read_method(path)
    config = method_config(run, results, path)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(nn.Module, "method", required=True)
    with building_from_run(run, config, METHOD):
        try:
            method: nn.Module = parser.instantiate(parser.parse_object({"method": config})).method
        except Exception as error:
            inner = layers(error)
            cause, reason = inner[-1], misfit(inner)
            if isinstance(cause, InputError):  # such as weights beside which a part was trained
                raise InputError(f"{run}: {cause}") from error
            if reason is None:  # a fault of ours, or of a class of the user
                raise cause from cause.__cause__
            line = " ".join(reason.split())[:300]
            raise InputError(
                f"{run}: the method in its results cannot be built ({line}): restore results.json"
            ) from error
    if not isinstance(method, kind):
        raise InputError(f"{run}: the method {type(method).__name__} is no {kind.__name__}")
    load_state(method, state, path)
    return method.eval().to("cuda" if torch.cuda.is_available() else "cpu"), path


def method_config(run: Path, results: Results, checkpoint: Path) -> dict[str, JSON]:
    """The configuration of the method of a run, with its counts, as it is built for one of its checkpoints.

    Raises:
        InputError: if the results hold none, or weights beside which a part was trained are gone.
    """
    counts = {"class_counts": label_counts(results)}
    try:
        found = parse_yaml(results["config"])["model"]["init_args"]["method"]
        config = for_checkpoint({**found, "init_args": {**(found.get("init_args") or {}), **counts}})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{run}: its results hold no configuration of a method: restore results.json") from error
    check_beside(run, config)
    use_own_part(config, checkpoint)
    return config


def for_checkpoint(config: dict[str, JSON]) -> dict[str, JSON]:
    """The configuration of a method whose weights all come from its checkpoint, also those of teachers."""
    options = dict(config.get("init_args", {}))
    options |= dict.fromkeys(TEACHERS & options.keys())
    return without_starts({**config, "init_args": options})


def without_starts(config: dict[str, JSON], of_backbone: bool = False) -> dict[str, JSON]:
    """A configuration whose backbones and classifiers start from no weights, as the checkpoint holds the trained ones.

    A backbone of which a part is trained keeps them: its checkpoint holds that part alone. What the classifier of
    somebody else calls weights may be anything.

    Args:
        config: of a method, or a part of it.
        of_backbone: whether it is that of a backbone or a classifier, or of something inside one.
    """

    def within(key: str, value: JSON) -> JSON:
        if of_backbone and key in STARTS:
            return STARTS[key]
        if isinstance(value, list):
            return [within(key, part) for part in value]
        if not isinstance(value, dict):
            return value
        ours = str(value.get("class_path")).startswith("longtail.")
        return without_starts(value, of_backbone or key == "backbone" or (key == "classifier" and ours))

    if of_backbone and config.get("tuning", "all") != "all":
        return config
    return {key: within(key, value) for key, value in config.items()}


def samples(paths: Sequence[AnyPath], kind: Kind = IMAGES) -> list[Listed]:
    """The files given, the images in the folders given, and those that the tables given list in a column "path"; or
    the videos, of which a folder of images is one.

    What a file is called is its path below the folder that was given, or as the table has it, or the name of the file.

    Raises:
        InputError: if one is missing, or there is none at all.
    """
    entries: list[Listed] = []
    for path in map(Path, paths):
        if path.is_dir() and not is_sample(str(path), kind):
            files = samples_below(str(path), kind)
            entries += [Listed(file, Path(file).relative_to(path).as_posix()) for file in files]
        elif path.is_file() and is_table(path):
            entries += listed_files(path, kind)
        elif path.exists():
            entries.append(Listed(str(path), path.name))
        else:
            raise InputError(f"no {kind.noun} at {path}")
    if not entries:
        raise InputError(f"no {kind.noun} files in {', '.join(map(str, paths))}")
    return entries


def distinct_names(entries: Sequence[Listed]) -> list[str]:
    """What the files are called, as paths with "/"; below their common folder where two would be called alike, or one
    has no place below a folder of answers.

    Names that differ in nothing but upper and lower case are alike, as some file systems cannot tell them apart.
    """
    names = [Path(sample.name).as_posix() for sample in entries]
    outside = any(Path(name).is_absolute() or ".." in Path(name).parts for name in names)
    if not outside and len({name.casefold() for name in names}) == len(names):
        return names
    paths = [Path(os.path.normpath(Path(sample.path).absolute())) for sample in entries]
    common = os.path.commonpath([path.parent for path in paths])
    return [path.relative_to(common).as_posix() for path in paths]


def tell_escaped(files: Sequence[str]) -> None:
    """Say once that the names of some files are written in another way in an answer."""
    escaped = [text for file in files if (text := retrievable(file)) != file]
    if escaped:
        names = plural(len(escaped), "file name")
        logger.info(f"not UTF-8: {names}, of which the bytes are written as in {escaped[0]}")


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
