"""What the network of a run takes, out of its results, checked."""

from pathlib import Path
from typing import get_args

from longtail.augment.preprocessing import CropMode, Interpolation, Preprocessing
from longtail.errors import InputError
from longtail.files.images.depth import FULL
from longtail.plain import JSON, AnyPath, Input
from longtail.reports.results import FILE_NAME, Results

NORMALISATION = ("mean", "std")
LARGEST_SIDE, MOST_FRAMES = 2**14, 2**12  # far beyond any network


def network_input(run: AnyPath, results: Results, *needed: str) -> Input:
    """What the network of a run takes.

    Args:
        run: its folder.
        results: of it.
        needed: the entries that have to be there.

    Raises:
        InputError: if one is missing, or one cannot be used; it names the file.
    """
    inputs = results["data"]["input"]
    missing = [key for key in needed if key not in inputs]
    problem = f"lacks {', '.join(missing)}" if missing else _problem(dict(inputs), len(results["classes"]))
    if problem:
        raise InputError(f"{Path(run, FILE_NAME)}: data.input {problem}; restore the file or train the run again")
    return inputs


def _problem(inputs: dict[str, JSON], classes: int) -> str | None:
    """What of the entries that are there cannot be used, or None."""
    for key, lengths in (("mean", 3), ("std", 3), ("category_ids", classes)):
        if len(inputs.get(key, [0] * lengths)) != lengths:
            return f"has not {lengths} entries in {key}"
    for key, least, most in (("size", 1, LARGEST_SIDE), ("frames", 1, MOST_FRAMES), ("bit_depth", 8, FULL)):
        if not least <= inputs.get(key, least) <= most:
            return f"has a {key} that is not from {least} to {most}"
    for key, known in (("interpolation", get_args(Interpolation)), ("crop_mode", get_args(CropMode))):
        if inputs.get(key, known[0]) not in known:
            return f"has an unknown {key}"
    try:
        red, green, blue = inputs.get("std", (1.0, 1.0, 1.0))
        Preprocessing(std=(red, green, blue), crop=inputs.get("crop"))
    except InputError as error:
        return f"cannot be used ({error})"
    return None
