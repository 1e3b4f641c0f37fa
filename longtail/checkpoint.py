"""Reading checkpoints without executing anything in them."""

from pathlib import Path
from typing import Any

import torch

from longtail.errors import InputError

RUNNING = ("running_mean", "running_var")  # statistics of a normalisation


def checkpoint_path(run: Path, name: str | None = None) -> Path:
    """The checkpoint "best" or "last" of a run; by default the one best on validation if there is one."""
    return run / f"{name or ('best' if (run / 'best.ckpt').is_file() else 'last')}.ckpt"


def read_checkpoint(path: Path) -> dict[str, Any]:  # as torch.load gives it
    """Read a checkpoint that holds nothing but tensors and plain values.

    Raises:
        InputError: if it is missing, unreadable, truncated, or holds anything else; nothing in it is ever executed.
    """
    if not path.is_file():
        raise InputError(f"no checkpoint at {path}")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"the checkpoint {path} cannot be read ({error.strerror}): check its permissions") from error
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


def first_not_finite(module: torch.nn.Module) -> str | None:
    """Name of the first weight, or running statistic of a normalisation, that is NaN or infinite; None without one.

    Other buffers may well hold such values: the accuracy of a class that was never seen is NaN.
    """
    weights: dict[str, torch.Tensor] = {}
    for prefix, owner in module.named_modules():
        own = dict(owner.named_parameters(recurse=False))
        own |= {name: value for name, value in owner.named_buffers(recurse=False) if name in RUNNING}
        weights |= {f"{prefix}.{name}".lstrip("."): value.detach() for name, value in own.items()}
    # a sum reads them once, and is finite only if all of them are; the device is asked once
    if not weights or bool(torch.stack([value.float().sum() for value in weights.values()]).isfinite().all()):
        return None
    return next((name for name, value in weights.items() if not bool(value.isfinite().all())), None)


def load_state(module: torch.nn.Module, state: dict[str, Any], path: Path) -> None:  # as torch.load gives it
    """Load a state dict into a module.

    Raises:
        InputError: if it belongs to another model, or its weights are not finite.
    """
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        detail = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise InputError(f"the checkpoint {path} is of another model: {detail[:200]}") from error
    if (name := first_not_finite(module)) is not None:
        raise InputError(
            f"the checkpoint {path} is of a run that diverged, its {name} is NaN or infinite: use another one, or "
            "train again with a lower rate (--lr), --precision 32-true or --clip 1"
        )
