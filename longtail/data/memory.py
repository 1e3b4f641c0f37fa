"""Image sets that fit into memory as one tensor."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset


class TensorImages(Dataset[dict[str, Any]]):
    """Images of one size as one uint8 tensor, fetched a whole batch at a time.

    Args:
        images: uint8 (M, 3, H, W).
        targets: int64 (M,).
    """

    def __init__(self, images: Tensor, targets: Tensor) -> None:
        self.images, self.targets = images, targets

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: torch.device) -> "TensorImages":
        """The same set on a device."""
        return TensorImages(self.images.to(device), self.targets.to(device))

    def __getitems__(self, pairs: list[tuple[int, int]]) -> dict[str, Any]:
        """A batch: images (N, 1, 3, H, W), targets (N,), rows (N,) and the seed of its augmentation."""
        rows = torch.tensor([row for row, _ in pairs]).to(self.images.device, non_blocking=True)
        return {
            "images": self.images[rows, None],
            "targets": self.targets[rows],
            "rows": rows,
            "seed": pairs[0][1],
        }
