"""Means of what the steps of an epoch give, at the cost of a sum a step."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


class Means:
    """Means of named scalars over the images of an epoch. They stay on their device until they are asked for."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._sizes: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor], size: int) -> None:
        """Take in the scalars of a step of ``size`` images; a name may be missing in some steps."""
        for name, value in values.items():
            term = value.float() * size
            self._sums[name] = self._sums[name] + term if name in self._sums else term
            self._sizes[name] = self._sizes.get(name, 0) + size

    def state(self) -> dict[str, tuple[Tensor, int]]:
        """The sums so far and the images in them, by name, for a checkpoint inside an epoch."""
        return {name: (total.cpu(), self._sizes[name]) for name, total in self._sums.items()}

    def begin(self, state: Mapping[str, tuple[Tensor, int]], device: torch.device) -> None:
        """Begin anew, with what was taken in before, as ``state`` gave it."""
        self._sums = {name: total.to(device) for name, (total, _) in state.items()}
        self._sizes = {name: size for name, (_, size) in state.items()}

    def take(self, reduce: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """The means by name, and begin anew.

        Args:
            reduce: sums a tensor over the processes.
        """
        if not self._sums:
            return {}
        sums = torch.stack([*self._sums.values()])
        sizes = torch.tensor([*self._sizes.values()], dtype=sums.dtype, device=sums.device)
        total, images = reduce(torch.stack([sums, sizes]))
        means = dict(zip(self._sums, total / images, strict=True))
        self._sums, self._sizes = {}, {}
        return means
