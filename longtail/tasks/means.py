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
