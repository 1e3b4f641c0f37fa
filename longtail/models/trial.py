"""Whether a change of the blocks of a network leaves what they compute as it was, found out by trying."""

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from longtail.errors import InputError

SIZES = (224, 256, 192, 384, 512, 128, 96, 64, 56, 32)  # sides to try, where what the network says of itself fails

Change = Callable[[Any], None]  # of a block of timm, which has no type
Call = tuple[tuple[Any, ...], dict[str, Any]]  # as the network calls the block


def try_change(body: nn.Module, blocks: list[Any], change: Change, what: str) -> None:  # blocks of timm have no type
    """Try a change on a copy of a block of each class, whose scales, shifts and biases are drawn.

    The network runs up to the first block of a class, whose input is kept. Neither the network nor the random state of
    torch is another one afterwards.

    Args:
        body: the network.
        blocks: those that are to be changed.
        change: called with a block.
        what: is put in, as the message calls it.

    Raises:
        InputError: if the changed block fails or gives something else, or if the network runs at no size that is tried.
    """
    training = body.training
    body.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            for block in {type(block): block for block in reversed(blocks)}.values():
                _try_block(body, block, change, what)
    finally:
        body.train(training)


def _try_block(body: nn.Module, block: Any, change: Change, what: str) -> None:
    hint = "take longtail.models.Norms or longtail.models.Biases"
    first = copy.deepcopy(block)
    for parameter in first.parameters():
        if parameter.ndim <= 1:
            parameter.uniform_(0.5, 1.5)
    for args, options in _calls(body, block):
        try:
            before = _tensor(first(*args, **options))
        except Exception:  # a size that the block does not take
            continue
        changed = copy.deepcopy(first)
        try:
            change(changed)
            after = _tensor(changed.to(before.dtype).eval()(*args, **options))
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{what} cannot stand in {type(block).__name__} of this network: {hint}") from error
        if not torch.allclose(after, before, rtol=1e-3, atol=1e-3 * float(before.abs().max())):
            raise InputError(
                f"{what} would change what {type(block).__name__} of this network computes, as it is no block with its "
                f"normalisation before attention and MLP: {hint}"
            )
        return
    raise InputError(f"{what} cannot be tried in {type(block).__name__} of this network: {hint}")


def _calls(body: nn.Module, block: nn.Module) -> Iterator[Call]:
    """What the network calls a block with, for images of one size after the other."""
    calls: list[Call] = []

    def keep(_: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        calls.append((args, options))
        raise _ReachedError

    some = next(body.parameters())
    for size in _sizes(body):
        with block.register_forward_pre_hook(keep, with_kwargs=True), contextlib.suppress(Exception):
            body(torch.randn(1, 3, *size, dtype=some.dtype, device=some.device))
        if calls:
            yield calls.pop()


def _sizes(body: nn.Module) -> Iterator[tuple[int, int]]:
    own = getattr(getattr(body, "patch_embed", None), "img_size", None)
    if own is not None:
        yield (own, own) if isinstance(own, int) else tuple(own)
    published = (getattr(body, "pretrained_cfg", None) or {}).get("input_size")
    if published is not None:
        yield published[-2], published[-1]
    yield from ((size, size) for size in SIZES)


def _tensor(out: Any) -> Tensor:
    """The first tensor of what a block gives."""
    return out if isinstance(out, Tensor) else _tensor(out[0])


class _ReachedError(Exception):
    """The block is called."""
