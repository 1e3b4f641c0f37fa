"""Folders in timm's layout: ``config.json`` with the network and its input beside the weights."""

import json
from pathlib import Path

from longtail.errors import InputError
from longtail.messages import escape, some
from longtail.models.inputs import NetworkInput, of_record
from longtail.plain import JSON, AnyPath

PREFIX = "local-dir:"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def resolved(name: str, weights: AnyPath | None) -> tuple[str, Path | None]:
    """Name and weights of a backbone, where the name may be "local-dir:FOLDER", which brings both.

    Raises:
        InputError: if the folder is not in timm's layout or changes the network by ``model_args``, or weights are given
            beside it.
    """
    if not name.startswith(PREFIX):
        return name, None if weights is None else Path(weights)
    if weights is not None:
        raise InputError(f"{escape(name)} brings its weights: leave out --weights")
    folder = Path(name.removeprefix(PREFIX))
    config = _read(folder)
    architecture, about = config.get("architecture"), config.get("pretrained_cfg")
    file = next((folder / part for part in WEIGHTS if (folder / part).is_file()), None)
    if not isinstance(architecture, str) or file is None:
        raise InputError(
            f"{escape(folder)} is no folder of timm: it wants config.json with an architecture, and {WEIGHTS[0]}"
        )
    more = sorted((config.get("model_args") or {}).keys() - {"img_size"})  # the size is that of the images
    if more:
        raise InputError(
            f"{escape(folder / 'config.json')} changes the network by model_args ({some(more)}), which a backbone does "
            "not take: give the weights to the network that it is by --backbone and --weights"
        )
    for key in ("mean", "std"):
        values = about.get(key) if isinstance(about, dict) else None
        if values is not None and not (isinstance(values, list) and len(values) == 3):
            raise InputError(
                f"{escape(folder / 'config.json')}: {key} wants three values, those of red, green and blue"
            )
    return architecture, file


def recorded_input(name: str, weights: Path | None) -> NetworkInput | None:
    """The images that weights expect by the ``config.json`` beside them; None where there is none for the network.

    Raises:
        InputError: if there is one, and its record cannot be read.
    """
    if weights is None or not (weights.parent / "config.json").is_file():
        return None
    try:
        config = _read(weights.parent)
    except InputError:  # a file of something else
        return None
    if config.get("architecture") != name.split(".")[0] or "pretrained_cfg" not in config:
        return None
    try:
        return of_record(config["pretrained_cfg"])
    except (KeyError, TypeError, ValueError) as error:
        fault = f"lacks {error}" if isinstance(error, KeyError) else "cannot be read"
        raise InputError(
            f"{escape(weights.parent / 'config.json')}: its pretrained_cfg, by which images are prepared, {fault}: "
            "repair it, or give the weights from a folder without it and --data.preprocessing"
        ) from error


def _read(folder: Path) -> dict[str, JSON]:
    file = folder / "config.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{escape(file)}: cannot read it; give local-dir: a folder that export wrote") from error
    if not isinstance(content, dict):
        raise InputError(f"{escape(file)}: not the configuration of a network; give the folder of one")
    return content
