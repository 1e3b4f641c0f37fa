"""ImageNet-LT from the published lists."""

from pathlib import Path
from typing import Any, ClassVar

from longtail.data.listing import Listing
from longtail.data.published import PublishedLT, Totals, folder_names


class ImageNetLT(PublishedLT):
    """ImageNet-LT: 1000 classes of 1280 to 5 images, with validation and test splits of their own.

    Its validation images are from ImageNet's ``train/``, its test images are ImageNet's ``val/``. The classes are named
    by their wnids.

    Args:
        root: folder of ImageNet, with ``train/<wnid>/`` and ``val/<wnid>/``.
        lists: folder of ``ImageNet_LT_train.txt``, ``ImageNet_LT_val.txt`` and ``ImageNet_LT_test.txt``; by default
            ``root``.
        kwargs: see ``PublishedLT``.

    Source: Liu et al., Large-scale long-tailed recognition in an open world, CVPR 2019.
    """

    title = "ImageNet-LT"
    files: ClassVar[dict[str, str]] = {split: f"ImageNet_LT_{split}.txt" for split in ("train", "val", "test")}
    published: ClassVar[dict[str, Totals]] = {
        "train": Totals(115_846, 1000, 1280, 5),
        "val": Totals(20_000, 1000, 20, 20),
        "test": Totals(50_000, 1000, 50, 50),
    }

    def __init__(self, root: Path = Path("data"), lists: Path | None = None, **kwargs: Any) -> None:
        super().__init__(root, lists, val_fraction=0.0, test_fraction=0.0, split_seed=0, **kwargs)

    def class_names(self, train: Listing) -> list[str]:
        """The wnids: names of the folders in ``train/``."""
        return folder_names(train, self.root, above=1)
