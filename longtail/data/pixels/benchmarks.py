"""Benchmarks of semantic segmentation: CamVid, ADE20K and Cityscapes."""

import csv
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

from longtail.augment.pixels import IGNORED
from longtail.data.pixels.base import SegmentationData
from longtail.errors import InputError
from longtail.files.pixels.pairs import ByteArray, Pairs, find_pairs, find_splits, lookup_table, read_text
from longtail.messages import escape
from longtail.plain import AnyPath

_CAMVID = "Sky Building Pole Road Pavement Tree SignSymbol Fence Car Pedestrian Bicyclist"
_CITYSCAPES = {  # id: name of the classes that are evaluated, in the order of their train ids
    7: "road",
    8: "sidewalk",
    11: "building",
    12: "wall",
    13: "fence",
    17: "pole",
    19: "traffic light",
    20: "traffic sign",
    21: "vegetation",
    22: "terrain",
    23: "sky",
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}


class CamVid(SegmentationData):
    """CamVid with its eleven classes: laid out as ``SegmentationFolder`` says, or as in the SegNet tutorial, ``train/``
    beside ``trainannot/`` and so on, where 11 is void.

    Args:
        root: folder of the set.
        kwargs: see ``SegmentationData``.

    Source: Brostow et al., Semantic object classes in video: a high-definition ground truth database, Pattern
    Recognition Letters 2009; the classes and splits are those of Badrinarayanan et al., SegNet, TPAMI 2017.
    """

    short_name: ClassVar[str | None] = "camvid"
    roots: ClassVar[frozenset[str]] = frozenset()
    needs: ClassVar[str] = "give --data camvid --data.root FOLDER, with images/ and annotations/"

    def read_classes(self) -> list[str]:
        return _CAMVID.split()

    def table(self, classes: Sequence[str]) -> ByteArray:
        return lookup_table({**{c: c for c in range(11)}, 11: IGNORED, 255: IGNORED})

    def find(self) -> dict[str, Pairs]:
        if (self.root / "images").is_dir():
            return find_splits(self.root / "images", self.root / "annotations")
        splits = [name for name in ("train", "val", "test") if (self.root / name).is_dir()]
        if "train" not in splits:
            raise InputError(f"{self.source} has neither images/ and annotations/ nor train/ and trainannot/")
        return {name: find_pairs(self.root / name, self.root / f"{name}annot") for name in splits}


class _Benchmark(SegmentationData):
    """A set whose papers report on its validation images.

    Args:
        root: folder of the set.
        val_as_test: use the validation images for the final test, as the papers do, and hold validation images out of
            the training images: what is reported on must not set difficulties or choose an epoch.
        kwargs: see ``SegmentationData``.
    """

    roots: ClassVar[frozenset[str]] = frozenset()
    split_options: ClassVar[frozenset[str]] = SegmentationData.split_options | {"val_as_test"}

    def __init__(
        self,
        root: AnyPath,
        val_as_test: bool = False,
        **kwargs: Any,  # the options of the base class
    ) -> None:
        super().__init__(root, **kwargs)
        self.val_as_test = val_as_test

    @abstractmethod
    def find_all(self) -> dict[str, Pairs]:
        """The files of the official splits."""

    def find(self) -> dict[str, Pairs]:
        pairs = self.find_all()
        if self.val_as_test:
            if "val" not in pairs:
                raise InputError(f"{self.source} has no validation images: leave out --data.val_as_test")
            pairs["test"] = pairs.pop("val")
        return pairs


class ADE20K(_Benchmark):
    """ADE20K of the scene parsing challenge, with 150 classes: ``images/`` and ``annotations/``, each with training/
    and validation/, and ``objectInfo150.txt``.

    Args:
        root: the folder ADEChallengeData2016.
        kwargs: see ``SegmentationData``, and ``val_as_test``: use the validation images for the final test, as the
            papers do, and hold validation images out of the training images.

    Source: Zhou et al., Scene parsing through ADE20K dataset, CVPR 2017.
    """

    short_name: ClassVar[str | None] = "ade20k"
    needs: ClassVar[str] = "give --data ade20k --data.root FOLDER, with images/, annotations/ and objectInfo150.txt"

    def read_classes(self) -> list[str]:
        file = self.root / "objectInfo150.txt"
        rows = list(csv.DictReader(read_text(file).splitlines(), delimiter="\t"))
        names = [(row.get("Name") or "").strip() for row in rows]
        if len(names) != 150 or not all(names):
            raise InputError(f"{escape(file)}: has no 150 names in a column Name; give the file of the challenge")
        return names

    def table(self, classes: Sequence[str]) -> ByteArray:
        return lookup_table({0: IGNORED, **{c + 1: c for c in range(len(classes))}})

    def find_all(self) -> dict[str, Pairs]:
        return find_splits(self.root / "images", self.root / "annotations")


class Cityscapes(_Benchmark):
    """Cityscapes with its 19 classes: ``leftImg8bit/`` and the fine annotations ``gtFine/``, each with train/, val/ and
    test/. The test split is left out unless its annotations, which are not published, are there.

    Args:
        root: the folder of both.
        kwargs: see ``SegmentationData``, and ``val_as_test``: use the validation images for the final test, as the
            papers do, and hold validation images out of the training images.

    Source: Cordts et al., The Cityscapes dataset for semantic urban scene understanding, CVPR 2016.
    """

    short_name: ClassVar[str | None] = "cityscapes"
    needs: ClassVar[str] = "give --data cityscapes --data.root FOLDER, with leftImg8bit/ and gtFine/"

    def read_classes(self) -> list[str]:
        return list(_CITYSCAPES.values())

    @cached_property
    def _kind(self) -> str:
        """Which annotations there are."""
        return "labelIds" if any((self.root / "gtFine").rglob("*_gtFine_labelIds.png")) else "labelTrainIds"

    def table(self, classes: Sequence[str]) -> ByteArray:
        if self._kind == "labelTrainIds":
            return lookup_table({**{c: c for c in range(len(classes))}, IGNORED: IGNORED})
        ids = dict.fromkeys((*range(34), 255), IGNORED)  # 255 is the -1 of licence plates
        return lookup_table({**ids, **{number: c for c, number in enumerate(_CITYSCAPES)}})

    def find_all(self) -> dict[str, Pairs]:
        images, annotations = self.root / "leftImg8bit", self.root / "gtFine"
        splits = [name for name in ("train", "val", "test") if (images / name).is_dir()]
        if "train" not in splits:
            raise InputError(f"{self.source} has no leftImg8bit/train: give the folder of leftImg8bit/ and gtFine/")
        if "test" in splits and not (annotations / "test").is_dir():
            splits.remove("test")
        ends = ("_leftImg8bit", f"_gtFine_{self._kind}")
        return {name: find_pairs(images / name, annotations / name, *ends) for name in splits}
