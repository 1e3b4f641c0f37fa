"""Reading checkpoints without executing anything in them."""

from pathlib import Path
from typing import Any

import torch

from longtail.errors import InputError


def checkpoint_path(run: Path, name: str | None = None) -> Path:
    """The checkpoint "best" or "last" of a run; by default the one best on validation if there is one."""
    return run / f"{name or ('best' if (run / 'best.ckpt').is_file() else 'last')}.ckpt"


def read_checkpoint(path: Path) -> dict[str, Any]:  # as it was saved
    """Read a checkpoint that holds nothing but tensors and plain values.

    Raises:
        InputError: if it is missing, truncated, or holds anything else; nothing in it is ever executed.
    """
    if not path.is_file():
        raise InputError(f"no checkpoint at {path}")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        what = "holds more than tensors and plain values" if "Unsupported" in str(error) else "is damaged or truncated"
        raise InputError(f"the checkpoint {path} {what}: use another one, or train again") from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise InputError(f"{path} is not a checkpoint of a run")
    return checkpoint


def read_method(path: Path) -> dict[str, torch.Tensor]:
    """Read the state of the method alone from the checkpoint of a run.

    Raises:
        InputError: as `read_checkpoint`.
    """
    state = read_checkpoint(path)["state_dict"]
    return {key.removeprefix("method."): value for key, value in state.items() if key.startswith("method.")}


def load_state(module: torch.nn.Module, state: dict[str, Any], path: Path) -> None:  # as it was saved
    """Load a state dict into a module.

    Raises:
        InputError: if it belongs to another model.
    """
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        detail = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise InputError(f"the checkpoint {path} is of another model: {detail[:200]}") from error
