"""The state of a network of which a part is trained: that part, and the hash of the rest."""

import hashlib
from collections.abc import Mapping
from functools import partial
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from longtail.errors import InputError

HASH = "frozen_sha256"  # under this name beside the parameters


def keep_trained_state(module: nn.Module) -> None:
    """Let the state dict of a module hold its trained parameters alone, and the hash of the others.

    Loading it takes the others from the module as it is, which has to have started from the same weights. A copy of
    the module keeps to what is trained of this one, such as that of a momentum encoder, which no gradient trains.

    Args:
        module: with its frozen parameters as they stay.

    Raises:
        InputError: when a state is loaded that was trained on other weights.
    """
    frozen = frozen_names(module)
    digest = state_hash({name: value for name, value in full_state(module).items() if name in frozen})
    module.register_state_dict_post_hook(partial(_leave_out, digest, frozen))  # type: ignore[no-untyped-call]
    module.register_load_state_dict_pre_hook(partial(_fill_in, digest, frozen))  # type: ignore[no-untyped-call]


def full_state(module: nn.Module) -> dict[str, Tensor]:
    """Every parameter and every persistent buffer by its name, whatever the state dict leaves out."""
    state: dict[str, Tensor] = {}
    for prefix, part in module.named_modules():
        temporary = part._non_persistent_buffers_set  # torch tells it by nothing public but the state dict
        own = [*part.named_parameters("", False, False), *part.named_buffers("", False, False)]
        for name, value in own:
            if name not in temporary:
                state[f"{prefix}.{name}" if prefix else name] = value.detach()
    return state


def frozen_names(module: nn.Module) -> set[str]:
    """Names of what is not trained: parameters without gradient, and buffers."""
    trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    return full_state(module).keys() - trained


def state_hash(state: Mapping[str, Tensor]) -> Tensor:
    """The SHA-256 of named tensors, 32 values uint8."""
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.flatten().numpy().tobytes())
    return torch.tensor(list(digest.digest()), dtype=torch.uint8)


def structure_hash(module: nn.Module) -> str:
    """The SHA-256, in hex, of what a module computes beside its state: the class of every module in it, and those of
    their options that are plain values or functions.

    Two networks of the same weights may differ in an activation, a padding or the way they pool; such a value stands
    among the attributes of a module. Whether it is in training mode is no part of it.
    """
    parts = []
    for prefix, part in module.named_modules():
        options = {name: _option_text(value) for name, value in vars(part).items() if name != "training"}
        parts.append((prefix, _name(type(part)), sorted((name, text) for name, text in options.items() if text)))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _option_text(value: Any) -> str:
    """An option of a module as text that is the same in every process; nothing where it is no plain value."""
    if isinstance(value, str | int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return repr([_option_text(item) for item in value])
    return _name(value) if isinstance(value, FunctionType | BuiltinFunctionType | type) else ""


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def check_frozen(hash_of_state: Tensor, digest: Tensor) -> None:
    """Check that frozen weights are those of a state, by their SHA-256; raises InputError."""
    if not torch.equal(hash_of_state.cpu(), digest):
        raise InputError(
            "the frozen weights are not those that this state was trained beside (another SHA-256): give the file that "
            "the run started from by --weights"
        )


def _leave_out(
    digest: Tensor, frozen: set[str], module: nn.Module, state: dict[str, Any], prefix: str, _: dict[str, Any]
) -> None:
    for name in frozen:
        state.pop(prefix + name, None)
    state[prefix + HASH] = digest


def _fill_in(digest: Tensor, frozen: set[str], module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    check_frozen(state.pop(prefix + HASH, digest), digest)
    own = full_state(module)
    for name in frozen:
        state.setdefault(prefix + name, own[name])
