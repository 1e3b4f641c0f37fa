"""A crop that shows more of the image as the training goes on."""

import math

import torch

from longtail.augment.geometric import ResizedCrop


class GrowingCrop(ResizedCrop):
    r"""A square crop whose least area grows with the epochs, from ``least`` to the whole image.

    The area is drawn evenly from m to 1, as a part of the image, with
    :math:`m = m_0 + (1 - m_0)(1 - \sqrt{1 - t^2})`, t = epoch / (E - 1) over E epochs counted from 0, and
    :math:`m_0` = ``least``. Where E is 1, or is not known, m stays at :math:`m_0`. Of an image that is no square the
    largest central square is taken where ten draws do not fit.

    The data set says which epoch begins; what is said reaches the processes that decode images as well.

    Args:
        least: smallest area of the crop in the first epoch.

    Raises:
        ValueError: if ``least`` is not above 0 and at most 1.

    Source: minimalist data augmentation of LIFT+ (Shi et al., 2025), as in its released code.
    """

    def __init__(self, least: float = 0.08) -> None:
        if not 0 < least <= 1:
            raise ValueError(f"expected least above 0 and at most 1, got {least}")
        self._area = torch.tensor([least, 1.0], dtype=torch.float64).share_memory_()  # type: ignore[no-untyped-call]
        self.least = least
        super().__init__(scale=(least, 1.0), ratio=(1.0, 1.0))

    @property
    def scale(self) -> tuple[float, float]:
        """Smallest and largest area in this epoch."""
        low, high = self._area.tolist()
        return low, high

    @scale.setter
    def scale(self, scale: tuple[float, float]) -> None:
        self._area.copy_(torch.tensor(scale))

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Let the least area be that of an epoch."""
        t = min(epoch / (epochs - 1), 1.0) if epochs > 1 else 0.0
        self.scale = (self.least + (1 - self.least) * (1 - math.sqrt(1 - t * t)), 1.0)

    def __repr__(self) -> str:
        return f"GrowingCrop(least={self.least})"
