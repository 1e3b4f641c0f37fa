"""Batches spread over processes, and work shared among them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from longtail.errors import InputError
from longtail.launch import is_first
from longtail.roll_call import Facts, checksum, difference, with_host

T = TypeVar("T")
R = TypeVar("R")


def processes() -> tuple[int, int]:
    """Rank of this process and their number; 0 and 1 outside a process group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def is_first_process() -> bool:
    """Whether this is the process of rank 0, also before there is a process group: then what started it has told the
    rank in the environment."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank() == 0
    return is_first()


def gather(tensor: Tensor, equal: bool = False) -> Tensor:
    r"""Rows of all processes, concatenated in the order of their ranks, with gradients.

    Backward gives the rows of this process their gradient summed over the losses of all R processes,
    :math:`\sum_r \partial L_r / \partial x`. Where every process computes the loss L of the whole batch, or its share
    L_r with mean L over the processes, that is R times the gradient of L. DistributedDataParallel averages the
    parameters' gradients over the R processes, and the result is that of one process on the whole batch.

    Every process has to call this, with the same dtype, trailing shape and ``requires_grad``, and has to run backward
    through the result or none may. Processes may differ in their number of rows, and may have none. With one process,
    or outside a process group, the tensor itself comes back.

    Shapes: (N_r, ...) on process r to (sum N_r, ...).

    Args:
        tensor: any dtype; labels work too.
        equal: promise that all processes have as many rows. It saves the exchange of the lengths, which on an
            accelerator makes the host wait.

    Raises:
        ValueError: if the tensor has no dimension.
    """
    if tensor.ndim == 0:
        raise ValueError("tensor must have at least one dimension, got shape ()")
    if processes()[1] == 1:
        return tensor
    lengths = [len(tensor)] * dist.get_world_size()
    if not equal:
        lengths = torch.cat(_all_gather(torch.tensor([len(tensor)], device=tensor.device))).tolist()
    gathered: Tensor = _Gather.apply(tensor, lengths)
    return gathered


def _all_gather(tensor: Tensor) -> list[Tensor]:
    """The tensors of all processes, which have to be of one shape."""
    everyone = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(everyone, tensor)
    return everyone


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, lengths: list[int]) -> Tensor:  # torch has no type for it
        ctx.lengths = lengths
        padded = tensor.new_zeros(max(lengths), *tensor.shape[1:])  # collectives take one shape
        padded[: len(tensor)] = tensor
        return torch.cat([rows[:length] for rows, length in zip(_all_gather(padded), lengths, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # torch has no type for it
        rank = dist.get_rank()
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total.narrow(0, sum(ctx.lengths[:rank]), ctx.lengths[rank]), None


def sum_over_processes(tensor: Tensor) -> Tensor:
    """Sum of a tensor of one shape over all processes, without gradient; the tensor itself with one process."""
    if processes()[1] == 1:
        return tensor
    total = tensor.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


def gather_to_first(items: list[T]) -> list[T] | None:
    """The items of all processes, any objects, on the first process; None on the others. Every process has to call."""
    rank, world = processes()
    if world == 1:
        return items
    lists: list[list[T]] | None = [[]] * world if rank == 0 else None
    dist.gather_object(items, lists)
    return None if lists is None else [item for of_process in lists for item in of_process]


def from_first(value: T) -> T:
    """The value of the first process, any object, on all of them. Every process has to call; what the others give does
    not count."""
    if processes()[1] == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]


def check_same(facts: Facts) -> None:
    """Check that all processes of a group tell the same of themselves. Every process has to call.

    Raises:
        InputError: in all of them, with the first fact in which one differs from the first.
    """
    if processes()[1] == 1:
        return
    everyone = gather_to_first([with_host(facts)])
    line: str | None = from_first(None if everyone is None else difference(everyone))
    if line is not None:
        raise InputError(line)


def share(items: Sequence[T], work: Callable[[T], R], files: Sequence[str]) -> Iterator[R]:
    """What is made of each item, in order, in the first process; in the others nothing comes.

    Each process works on every world-th item. They go in step, so that no more than one result of each process waits
    to be taken. Every process has to iterate to the end.

    Args:
        items: the same in all processes.
        work: from an item to what is made of it, which pickle takes.
        files: paths of those that the items are made of: as many in all processes, of the same names.

    Raises:
        InputError: that of ``work``, in the first process, for the first item that has one; in all of them, if their
            files differ.
        SystemExit: in the others then, without a word.
    """
    rank, world = processes()
    if world == 1:
        yield from map(work, items)
        return
    names = checksum(PurePath(path).name for path in files)
    check_same({"reads {} files": f"{len(files):,}", "reads files whose names have the checksum {}": names})
    for start in range(0, len(items), world):
        results = gather_to_first([_tried(work, item) for item in items[start + rank : start + world : world]])
        error = from_first(next((result for result in results or [] if isinstance(result, InputError)), None))
        if error is not None:
            raise error if rank == 0 else SystemExit(2)
        yield from (result for result in results or [] if not isinstance(result, InputError))


def _tried(work: Callable[[T], R], item: T) -> R | InputError:
    try:
        return work(item)
    except InputError as error:
        return InputError(str(error))  # without its cause, which pickle may not take


def connection_lost(error: BaseException) -> bool:
    """Whether an error is that of gloo or torch about a process that is gone."""
    of_gloo = isinstance(error, RuntimeError) and not isinstance(error, InputError) and "onnection" in str(error)
    return of_gloo or (dist.is_available() and isinstance(error, dist.DistError))
