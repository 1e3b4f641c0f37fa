"""Second stages: what a recipe takes from the run that it goes on from."""

from collections.abc import Collection
from inspect import signature
from pathlib import Path

from longtail.configuration import parse_yaml
from longtail.errors import InputError
from longtail.messages import escape
from longtail.own_modules import class_at
from longtail.plain import JSON

# Options of the data that are those of the recipe; names are read by a start from text, which a second stage has not.
OF_RECIPE = {"views", "sampling", "class_names"}


def second_stage(recipe: dict[str, JSON], run: Path) -> dict[str, JSON]:
    """The configuration of a second stage on a finished run: its data, and its network, frozen.

    Args:
        recipe: of the second stage.
        run: folder of the first.

    Raises:
        InputError: if the run is not there, not finished, of another task, or not for a second stage, or its results
            are damaged.
    """
    from longtail.checkpoint import checkpoint_path
    from longtail.inference.runs import check_use
    from longtail.methods.base import Method
    from longtail.reports.results import load_results

    results = load_results(run)
    if results["status"] != "finished":
        raise InputError(f"{escape(run)} is not finished ({results['status']}): finish it by longtail fit --resume")
    check_use(results, "second_stages")
    method, data = _parts(results["config"], run)
    settings = method["init_args"]
    backbone, options = settings["backbone"]["class_path"], settings["backbone"].get("init_args") or {}
    check_can_freeze(backbone, options, run)
    checkpoint, tuning = str(checkpoint_path(run)), options.get("tuning", "all")
    if tuning == "all":
        options |= {"pretrained": False, "weights": checkpoint, "tuning": "none"}
    elif tuning != "none":  # the weights stay, and what was trained beside them
        options["tuned"] = checkpoint
    stage: dict[str, JSON] = recipe["model"]["init_args"]["method"]["init_args"]
    stage["backbone"] = {"class_path": backbone, "init_args": options}
    head = stage.get("classifier")
    if isinstance(head, dict):  # it goes on from that of the run
        head["init_args"] = {**head.get("init_args", {}), "weights": checkpoint}
        kind, first = class_at(head["class_path"], object), class_at(method["class_path"], Method)
        if kind is not None and first is not None and "classifier" in signature(kind).parameters:
            head["init_args"]["classifier"] = first.classifier_config(settings)  # it stands on that of the run
    kept = {key: value for key, value in (data.get("init_args") or {}).items() if key not in OF_RECIPE}
    own = recipe.get("data", {}).get("init_args", {})
    recipe["data"] = {"class_path": data["class_path"], "init_args": {**kept, **own}}
    return recipe


def check_can_freeze(backbone: str, options: Collection[str], run: Path) -> None:
    """Check that a network starts from weights and can stay as they are.

    Args:
        backbone: import path of its class.
        options: names of those that the run has of it.
        run: its folder, for the message.

    Raises:
        InputError: if the class lacks one of the two options for that.
    """
    kind = class_at(backbone, object)
    takes = set(options) | (set() if kind is None else signature(kind).parameters.keys())
    if lacking := sorted({"weights", "tuning"} - takes):
        raise InputError(
            f"{escape(run)} has a network of another kind, {escape(backbone)}: a second stage gives it the weights of "
            f"the run and freezes it, and it has no option {' and no '.join(lacking)}"
        )


def _parts(config: str, run: Path) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """The method, and the data set, in the configuration that the results of a run hold."""
    try:
        tree = parse_yaml(config)
        method, data = tree["model"]["init_args"]["method"], tree["data"]
        classes = [method["init_args"]["backbone"], data]
        sound = all(
            isinstance(part["class_path"], str) and isinstance(part.get("init_args"), dict | None)
            for part in (method, *classes)
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise InputError(f"{escape(run)}: its results hold no configuration that can be read: restore results.json")
    return method, data
