"""How the samples of a data set look: to people, and to the search for copies."""

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import ClassVar

import numpy as np
from PIL import Image

from longtail.data.splits import Splits


class Appearance(ABC):
    """Base of the data modules that holds how a sample looks.

    Attributes:
        stills: whether every sample is an image file, that of ``path`` of its torch data set, which can be decoded at a
            smaller size and beside others; of any other sample ``picture`` is asked, one after the other.
    """

    stills: ClassVar[bool] = False

    @property
    @abstractmethod
    def splits(self) -> Splits:
        """The set."""

    def file_name(self, split: str, row: int) -> str:
        """What an image is called for people: here by its row, as it lies in no file of its own."""
        return f"{split} image {row}"

    @abstractmethod
    def picture(self, split: str, row: int) -> Image.Image:
        """An image as a person would look at it."""

    def example(self, row: int, label: int) -> Image.Image:
        """A training image as it shows a class that it has: here the whole of it."""
        return self.picture("train", row)

    def example_rows(self, number: int) -> list[list[int]]:
        """Of each class (C,) so many training images to show it by, or all where these are fewer: their rows.

        Here they are spread over those that have the class.
        """
        split, classes = self.splits.train, len(self.splits.classes)
        owners = np.arange(len(split)) if split.owners is None else split.owners
        order = np.argsort(split.targets, kind="stable")
        bounds = np.searchsorted(split.targets[order], np.arange(classes + 1)).tolist()
        spread = []
        for start, end in pairwise(bounds):
            rows = np.unique(owners[order[start:end]])
            places = np.linspace(0, len(rows) - 1, min(number, len(rows))).astype(np.int64)
            spread.append(rows[places].tolist())
        return spread
