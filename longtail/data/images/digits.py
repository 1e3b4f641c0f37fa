"""The handwritten digits that come with scikit-learn, made long-tailed: a data set that needs no download."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from longtail.augment.base import View
from longtail.augment.preprocessing import Preprocessing
from longtail.counts import exponential_counts, long_tail_subset
from longtail.data.images.memory import MemoryData, TensorImages
from longtail.data.introduction import Located
from longtail.data.sampling import Sampling
from longtail.data.splits import Split, Splits
from longtail.errors import InputError
from longtail.plain import AnyPath


class DigitsLT(MemoryData):
    """Ten digits, 8x8 pixels shown at 16x16, long-tailed in training and balanced in validation and test.

    Of every digit 40 images are set aside for the test and 10 for validation; of the others the exponential profile
    keeps 120 of the first class and 120 * factor of the last.

    Args:
        factor: imbalance factor, smallest over largest class.
        views: what augments each view of a training image.
        batch_size: images of a batch.
        padding: zero padding of the random crop of a view that does not say how it crops, in pixels.
        sampling: how training images are drawn; each once an epoch where left out.
        image_size: side of the images that the network sees, in pixels; 16 where left out.
        preprocessing: see ``ImageData``.
        test_crops: see ``MemoryData``.
        class_names: see ``ImageData``.
    """

    short_name: ClassVar[str | None] = "digits_lt"
    roots: ClassVar[frozenset[str]] = frozenset()
    split_options: ClassVar[frozenset[str]] = frozenset({"factor"})
    needs: ClassVar[str] = "give --data digits_lt, which comes with scikit-learn, or a recipe for images of your own"
    usual = Preprocessing((0.305, 0.305, 0.305), (0.376, 0.376, 0.376), "bilinear", 1.0)
    native_size = 16
    source = "scikit-learn's digits"

    def __init__(
        self,
        factor: float = 0.01,
        views: Sequence[View] | None = None,
        batch_size: int = 64,
        padding: int = 2,
        sampling: Sampling | None = None,
        image_size: int | None = None,
        preprocessing: Preprocessing | None = None,
        test_crops: int = 1,
        class_names: AnyPath | None = None,
    ) -> None:
        super().__init__(views, batch_size, padding, sampling, image_size, preprocessing, test_crops, class_names)
        if not 0 < factor <= 1:
            raise InputError(f"factor must be in (0, 1], got {factor}")
        self.factor = factor

    @classmethod
    def located(cls, path: Path) -> Located:
        """Nothing: the digits are read from no path."""
        raise InputError(f"{cls.__name__} reads nothing from {path}: {cls.needs}")

    def read(self) -> Splits:
        """Read the digits and make the long tail."""
        from sklearn.datasets import load_digits

        data, labels = load_digits(return_X_y=True)
        targets = labels.astype(np.int64)
        grey = torch.from_numpy(data.reshape(-1, 1, 8, 8) * (255 / 16)).round().to(torch.uint8)
        images = grey.repeat_interleave(2, 2).repeat_interleave(2, 3).expand(-1, 3, -1, -1).contiguous()

        rows = np.arange(len(targets))
        test = long_tail_subset(targets, [40] * 10)
        rows = np.setdiff1d(rows, test)
        val = rows[long_tail_subset(targets[rows], [10] * 10)]
        rows = np.setdiff1d(rows, val)
        train = rows[long_tail_subset(targets[rows], exponential_counts(120, 10, self.factor))]

        def split(of: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Split:
            return Split(TensorImages(images[of], torch.from_numpy(targets[of])), targets[of])

        return Splits([str(c) for c in range(10)], split(train), split(val), split(test))
