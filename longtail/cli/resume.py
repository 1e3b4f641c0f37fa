"""What may be changed about a run that is resumed: where it is computed and how long, not what."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from longtail.errors import InputError
from longtail.option_names import typed

# Those of the model that say how it is computed, shown or found; the others stand in its checkpoint.
_OF_THE_MODEL = ("compile", "channels_last", "many", "few", "metrics", "method.backbone.weights")


def check_resumed(run: Path, options: Sequence[str], others: Mapping[str, str | None]) -> None:
    """Refuse what a run that is resumed could not obey: options of a new one, and what its checkpoint decides.

    Args:
        run: its folder.
        options: of the trainer, the model and the data, in full.
        others: options that make a new run, and their values where they are given.

    Raises:
        InputError: if one of them is given, or the folder holds no run.
    """
    wrong = [name for name, value in others.items() if value is not None]
    wrong += [name for option in options if _decided(name := option.split("=")[0])]
    if wrong:
        way_out = "; files that moved are found by --data.root DIR" if wrong[0] == "--data" else ""
        raise InputError(f"--resume continues a run as it was configured: leave out {typed(wrong[0])}{way_out}")
    if not (run / "config.yaml").is_file():
        raise InputError(f"{run} holds no stopped run (config.yaml, and last.ckpt): give the folder of one")


def _decided(name: str) -> bool:
    """Whether an option was decided when the run began."""
    if name.startswith("--model"):
        return name.removeprefix("--model.") not in _OF_THE_MODEL
    return name in ("--data", "--data.batch_size", "--seed_everything")
