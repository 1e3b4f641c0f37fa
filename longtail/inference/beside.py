"""The weights that a run needs beside its checkpoint, where that holds what was trained of a network alone."""

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from longtail.checkpoint import checkpoint_path
from longtail.configuration import parse_yaml
from longtail.errors import InputError
from longtail.messages import escape
from longtail.plain import JSON
from longtail.reports.results import Results

TEACHERS = {"teacher_checkpoint", "teacher_checkpoints"}  # options of methods, files whose weights a student holds too


def frozen_options(method: Mapping[str, JSON]) -> dict[str, JSON] | None:
    """The options of the backbone of a method, as configured, where a part of it is trained or none; else None."""
    backbone = (method.get("init_args") or {}).get("backbone")
    options = backbone.get("init_args") if isinstance(backbone, dict) else None
    return options if isinstance(options, dict) and options.get("tuning", "all") != "all" else None


def check_beside(run: Path, method: Mapping[str, JSON]) -> None:
    """Check that the file of the weights of a run is where it was.

    Args:
        run: its folder.
        method: of its configuration.

    Raises:
        InputError: if it is not.
    """
    weights = (frozen_options(method) or {}).get("weights")
    if weights is not None and not Path(weights).is_file():
        raise InputError(
            f"{escape(run)} was trained beside the weights in {escape(weights)}, and there is no such file: say where "
            "it is now by --weights FILE"
        )


def use_own_part(method: Mapping[str, JSON], checkpoint: Path) -> None:
    """Let a second stage take what an earlier run tuned of the network from its own checkpoint, which holds it as well.

    Args:
        method: of its configuration, where this is entered.
        checkpoint: of the second stage.
    """
    options = frozen_options(method) or {}
    if options.get("tuned"):
        options["tuned"] = str(checkpoint)


def own_part(run: Path, method: Mapping[str, JSON]) -> list[str]:
    """Options by which a run that has a checkpoint takes from it what an earlier run tuned, and teachers whose own
    checkpoints are gone."""
    last = checkpoint_path(run, "last")
    if not last.is_file():
        return []
    tuned = (frozen_options(method) or {}).get("tuned")
    given = method.get("init_args") or {}
    gone = {name: None for name in TEACHERS & given.keys() if not all(map(os.path.isfile, _listed(given[name])))}
    without = {"model": {"init_args": {"method": {"init_args": gone}}}}  # an option of null is read as text
    return [
        *([f"--model.method.backbone.tuned={last}"] if tuned else []),
        *([f"--config={yaml.safe_dump(without)}"] if gone else []),
    ]


def _listed(files: str | list[str] | None) -> list[str]:
    return [files] if isinstance(files, str) else files or []


def check_needs(run: Path, method: Mapping[str, JSON]) -> None:
    """Check that a run needs weights beside its checkpoint; raises InputError where that holds all."""
    if frozen_options(method) is None:
        raise InputError(f"the checkpoints of {escape(run)} hold all of its weights: leave out --weights")


def with_weights(run: Path, results: Results, file: Path) -> Results:
    """The results of a run whose weights lie in another file now; whether it has them is checked when it is loaded.

    Args:
        run: its folder.
        results: of it.
        file: with the weights that it was trained beside.

    Raises:
        InputError: if the run needs none.
    """
    try:
        config = parse_yaml(results["config"])
        method = config["model"]["init_args"]["method"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{escape(run)} holds no configuration of a method: restore its results.json") from error
    check_needs(run, method)
    method["init_args"]["backbone"]["init_args"] |= {"pretrained": False, "weights": str(file)}
    return {**results, "config": yaml.safe_dump(config)}
