"""Places-LT from the published lists."""

from pathlib import Path
from typing import Any, ClassVar

from longtail.data.listing import Listing
from longtail.data.published import PublishedLT, Totals, folder_names


class PlacesLT(PublishedLT):
    """Places-LT: 365 classes of 4980 to 5 images, with validation and test splits of their own.

    Its validation images are from the training images of Places365, its test images are the validation images of
    Places365. The classes are named as in Places365, such as "airfield".

    Args:
        root: folder of Places365 in its small version, with ``data_256/`` and ``val_256/``.
        lists: folder of ``Places_LT_train.txt``, ``Places_LT_val.txt`` and ``Places_LT_test.txt``; by default ``root``.
        kwargs: see ``PublishedLT``.

    Source: Liu et al., Large-scale long-tailed recognition in an open world, CVPR 2019.
    """

    title = "Places-LT"
    files: ClassVar[dict[str, str]] = {split: f"Places_LT_{split}.txt" for split in ("train", "val", "test")}
    published: ClassVar[dict[str, Totals]] = {
        "train": Totals(62_500, 365, 4980, 5),
        "val": Totals(7_300, 365, 20, 20),
        "test": Totals(36_500, 365, 100, 100),
    }

    def __init__(self, root: Path = Path("data"), lists: Path | None = None, **kwargs: Any) -> None:
        super().__init__(root, lists, val_fraction=0.0, test_fraction=0.0, split_seed=0, **kwargs)

    def class_names(self, train: Listing) -> list[str]:
        """Names of the folders below those of the first letter, ``data_256/a/``."""
        return folder_names(train, self.root, above=2)
