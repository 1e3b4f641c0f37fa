"""Training images that grow with the epochs."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


class ProgressiveResizing:
    """Batches of training images at a part of their size, which grows with the epochs.

    A network of convolutions costs the square of the side: with the defaults a run costs 0.42 of one at full size, and
    sees as many images. Statistics of batch normalisation, and what a network knows of sizes, want the full one at the
    end.

    Shapes: images (N, 3, H, W), or clips (N, 3, T, H, W), uint8 or float, to (N, 3, h, w) or (N, 3, T, h, w), with h
    and w the parts of H and W, in whole pixels, by bilinear interpolation with antialiasing.

    Args:
        sizes: parts of height and width that the images have before each milestone; after the last one they are whole.
        milestones: parts of the run at which the next size begins.

    Attributes:
        size: the part of height and width in this epoch; 1 until ``set_epoch`` is called, and where the number of
            epochs is not known.

    Raises:
        ValueError: if there are not as many sizes as milestones, a size is not above 0 and at most 1, or the
            milestones are not in order between 0 and 1.

    Source: Howard, fastai's entry to DAWNBench, 2018; Tan and Le, EfficientNetV2, ICML 2021, section 4.2, by stages.
    """

    def __init__(self, sizes: Sequence[float] = (0.5, 0.75), milestones: Sequence[float] = (0.6, 0.9)) -> None:
        if len(sizes) != len(milestones):
            raise ValueError(f"expected a milestone for every size, got {len(sizes)} and {len(milestones)}")
        if not all(0 < size <= 1 for size in sizes):
            raise ValueError(f"expected sizes above 0 and at most 1, got {list(sizes)}")
        if sorted(milestones) != list(milestones) or not all(0 <= milestone <= 1 for milestone in milestones):
            raise ValueError(f"expected milestones in order from 0 to 1, got {list(milestones)}")
        self.sizes, self.milestones, self.size = tuple(sizes), tuple(milestones), 1.0

    def size_in(self, epoch: int, epochs: int) -> float:
        """The part of height and width in an epoch, counted from 0, of a run."""
        progress = epoch / epochs if epochs > 0 else 1.0
        sizes = zip(self.sizes, self.milestones, strict=True)
        return next((size for size, milestone in sizes if progress < milestone), 1.0)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Let the size be that of an epoch, counted from 0, of a run."""
        self.size = self.size_in(epoch, epochs)

    def sides(self, side: int) -> list[int]:
        """The sides that images of a side have in a run, each once, in pixels."""
        return sorted({_part(side, size) for size in (*self.sizes, 1.0)})

    def __call__(self, images: Tensor) -> Tensor:
        """Resize a batch to the size of this epoch."""
        height, width = images.shape[-2:]
        target = (_part(height, self.size), _part(width, self.size))
        if target == (height, width):
            return images
        frames = images.flatten(0, -4)  # of clips one after another
        return F.interpolate(frames, target, mode="bilinear", antialias=True).view(*images.shape[:-2], *target)

    def __repr__(self) -> str:
        return f"ProgressiveResizing(sizes={list(self.sizes)}, milestones={list(self.milestones)})"


def _part(side: int, size: float) -> int:
    return max(1, round(side * size))
