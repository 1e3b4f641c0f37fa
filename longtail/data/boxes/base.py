"""What the data modules for detection and instance segmentation share."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from longtail.augment.instances import InstanceView, MultiScale
from longtail.data.base import LongTailData
from longtail.data.boxes.dataset import InstanceImages, Instances, Part, check_files, tell_crowds, tell_unnamed
from longtail.data.boxes.example import largest_object
from longtail.data.boxes.formats import has_shapes, of_table, other_format, refuse_annotations, refuse_missing
from longtail.data.boxes.groups import groups_of
from longtail.data.boxes.of_run import files_of, parts_of_run
from longtail.data.introduction import Located
from longtail.data.record import SplitFiles, SplitRecord
from longtail.data.sampling import Sampling
from longtail.data.split import check_fraction
from longtail.data.splits import Split, Splits, depth_input, hold_out_images, tell_untrained
from longtail.errors import InputError
from longtail.files.boxes.base import BoxSet
from longtail.files.images.passed_over import Why
from longtail.files.images.reading import decode, few, tell_depth
from longtail.files.listing import IntArray
from longtail.messages import escape, plural
from longtail.plain import JSON, AnyPath, Input
from longtail.reports.grains import BOXES, MASKS, Grain

logger = logging.getLogger(__name__)


class DetectionData(LongTailData):
    """Base of the data modules for detection.

    A batch is a ``BoxBatch``.

    Args:
        root: folder of the images and annotations.
        train: what holds the training images: a file of annotations, a list or a folder, as the format has it; by
            default looked for in ``root``.
        val: the same of the validation images. Where there is none, they are held out of the training images.
        test: the same of the test images.
        masks: whether to read the masks of the instances.
        view: what training images go through.
        batch_size: images of a batch in one process.
        num_workers: processes that decode images; by default one for each core, at most 8.
        sampling: how training images are drawn; each once an epoch where left out.
        val_as_test: use the validation file for the final test, as the papers on COCO and LVIS do, and hold validation
            images out of the training images: what is reported on must not set difficulties or choose an epoch.
        val_fraction: part of the training images that is held out where there is no validation file; 0 for none.
        split_seed: of that.
        group: what keeps images together: a field of the images in COCO's JSON or a column of tables, such as location,
            or a regular expression with one group that is searched in the path.
        check_images: look at every image file before training.
        full_check: decode every one in that look, whatever ``check_images`` says; it finds damage inside files.
        skip_bad_annotations: leave out annotations that cannot be used, and images that are not there, and say how
            many; otherwise they are an error.
        bit_depth: how many bits of images of 16 count, where the files do not say it, such as 12; by default all.
    """

    split_options: ClassVar[frozenset[str]] = frozenset({"val_as_test", "val_fraction", "split_seed", "group"})
    roots: ClassVar[frozenset[str]] = frozenset({"root", "train", "val", "test"})
    movable: ClassVar[frozenset[str]] = LongTailData.movable | roots | {"num_workers"}
    places: ClassVar[frozenset[str]] = frozenset({"train", "val", "test"})
    skips: ClassVar[str | None] = "skip_bad_annotations"
    looks: ClassVar[Mapping[str, bool]] = {"masks": False}  # boxes tell the same, and are read sooner
    stills: ClassVar[bool] = True
    reader: ClassVar[type[BoxSet]]

    def __init__(
        self,
        root: AnyPath,
        train: AnyPath | None = None,
        val: AnyPath | None = None,
        test: AnyPath | None = None,
        masks: bool = True,
        view: InstanceView | None = None,
        batch_size: int = 2,
        num_workers: int | None = None,
        sampling: Sampling | None = None,
        val_as_test: bool = False,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        group: str | None = None,
        check_images: bool = True,
        full_check: bool = False,
        skip_bad_annotations: bool = False,
        bit_depth: int | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, sampling)
        check_fraction("val_fraction", val_fraction)
        places = {"train": train, "val": val, "test": test}
        self.root = Path(root)
        self.split_paths = {split: Path(place) for split, place in places.items() if place is not None}
        if val_as_test and test is not None:
            raise InputError("val_as_test makes a test set of the validation file: leave out it or the test file")
        self.masks, self.val_as_test = masks, val_as_test
        self.view = view or MultiScale()
        self.val_fraction, self.split_seed, self.group = val_fraction, split_seed, group
        self.check_images, self.full_check = check_images or full_check, full_check
        self.skip_bad_annotations, self.bit_depth = skip_bad_annotations, bit_depth

    @classmethod
    def located(cls, path: Path) -> Located:
        """The folder ``root``, of the class that reads the format in it; or a table with boxes, as ``train``."""
        refuse_annotations(path)
        return of_table(cls, path) or other_format(cls, cls.reader, path) or super().located(path)

    @property
    def source(self) -> str:
        """The folder."""
        return str(self.root)

    @property
    def input(self) -> Input:
        """The category id of each class, for results, and bits that count, if they are given; the detector resizes and
        normalises by itself."""
        return {"category_ids": self.category_ids, **depth_input(self.bit_depth)}

    @property
    def category_ids(self) -> list[int]:
        """Id of each class (C,) in the annotations and in results, whatever the split."""
        if self.trained is not None:
            return list(self.trained.input["category_ids"])
        ids: list[int] = self.parts["train"].annotations.category_ids.tolist()
        return ids

    @property
    def instance_counts(self) -> list[int]:
        """Training instances of each class, crowds left out."""
        if self.trained is not None:
            return self.trained.label_counts
        counts: list[int] = np.bincount(self.splits.train.targets, minlength=len(self.classes)).tolist()
        return counts

    def class_size(self, label: int) -> str:
        """Its images and its instances."""
        return f"{super().class_size(label)}, {plural(self.instance_counts[label], 'instance')}"

    @property
    def time_options(self) -> list[str]:
        """Smaller training images, by the option of the view."""
        return [f"a smaller --data.view.{size}" for size in self.view.sizes]

    @property
    def label_counts(self) -> list[int]:
        """``instance_counts``: what carries a label is an instance."""
        return self.instance_counts

    @cached_property
    def grain(self) -> Grain:
        """That of masks where there are some."""
        return MASKS if has_shapes(self.root) else BOXES

    @property
    def recipe(self) -> str:
        """One for masks where there are some."""
        return f"{'maskrcnn' if self.grain is MASKS else 'fasterrcnn'}_logit_adjusted"

    def image_ids(self, split: str) -> IntArray:
        """Ids of the images of a split (N,), as in the file."""
        return self.parts[split].image_ids

    def file_name(self, split: str, row: int) -> str:
        """Name of an image's file, as in the annotations."""
        part = self.parts[split]
        return str(part.annotations.file_names[part.rows[row]])

    def federated(self, split: str) -> bool:
        """Whether the classes of an image are known only partly, as in LVIS."""
        return self.parts[split].annotations.federated

    def truth(self, split: str, masks: bool) -> dict[str, JSON]:
        """A split as a dictionary in COCO's format, with masks or without."""
        return self.parts[split].truth(masks)

    def labels(self, split: str) -> tuple[IntArray, IntArray]:
        """Label and image row of every instance of a split, crowds left out, (M,) each."""
        return self.parts[split].labels()

    def instances(self, split: str, row: int) -> Instances:
        """The annotations of an image, crowds left out."""
        part = self.parts[split]
        numbers = part.instances(row)
        return Instances(part.annotations.boxes[numbers], part.annotations.labels[numbers], numbers)

    def mask(self, split: str, number: int) -> NDArray[np.uint8]:
        """The mask (H, W) of an annotation, of which ``instances`` has the number."""
        return self.parts[split].annotations.mask(number)

    @cached_property
    def files(self) -> BoxSet:
        """The set as it lies in its folder."""
        files = self.open(self.split_paths)
        if "train" not in files.places and (self.trained is None or self.recall is not None):
            refuse_missing(self.reader, self.root, files.needs, "train")
        logger.info(f"{self.source}: {files.where()}")
        return files

    def open(self, paths: Mapping[str, Path]) -> BoxSet:
        """The set, with what holds the splits that ``paths`` names."""
        return self.reader(self.root, paths)

    @cached_property
    def parts(self) -> dict[str, Part]:
        """The splits there are."""
        parts: dict[str, Part] = {}
        for split in ("train", "val", "test"):
            if split in self.files.places:
                part = self._part(split)
                if parts and part.categories != parts["train"].categories:
                    part = replace(part, annotations=part.annotations.of_classes(*parts["train"].categories))
                parts[split] = part
        self.leave_out(tell_unnamed(parts.values(), self.source), "image", "without an annotation")
        groups = {} if self.recall else groups_of(parts, self.files, self.group, self.source)
        if self.val_as_test:
            if "test" in parts or "val" not in parts:
                reason = "has a test file too" if "test" in parts else "has no validation file"
                raise InputError(f"{self.root} {reason}: leave out --data.val_as_test")
            parts["test"] = parts.pop("val")
        if self.recall is not None:
            return parts_of_run(parts, self.recall, self.files.home, self.check_images)
        if "val" not in parts and self.val_fraction:
            train, own = parts["train"], groups.get("train")
            held_out = hold_out_images(len(train.rows), train.labels(), self.val_fraction, self.split_seed, own)
            train_rows, val_rows, self.ways_out["val"] = held_out
            parts["train"] = replace(train, rows=train.rows[train_rows])
            parts["val"] = replace(train, rows=train.rows[val_rows])
        return parts

    def keep_splits(self, record: SplitRecord, measured_alone: bool) -> None:
        """As in the base; images that the annotations name and that are gone are no error then."""
        super().keep_splits(record, measured_alone)
        self.skip_bad_annotations = True

    def split_files(self, split: str) -> SplitFiles:
        """The images of a split, and checksums of their annotations."""
        return files_of(self.parts[split], self.files.home, split, self.check_images)

    def _part(self, split: str) -> Part:
        annotations, folder, rows = self.files.read(split, self.masks, self.skip_bad_annotations)
        part = Part(annotations, folder, rows)
        if self.check_images and self.recall is None:  # those of a run were good, and are as they were
            check_files(part, self.full_check)
        tell_crowds(annotations)
        self.leave_out(annotations.bad, f"{split} annotation", "that cannot be used", Why.FAULTY)
        self.leave_out(int(annotations.crowd.sum()), f"{split} annotation", "of a crowd")
        self.leave_out(len(annotations) - len(rows), f"{split} image", "that is not there", Why.GONE)
        return part

    def labelled(self, split: str, classes: list[str]) -> Split:
        """The images of the annotation file of the split, or of another where there is none for it."""
        names = dict.fromkeys((split, "test", "val", "train"))
        name = next((name for name in names if name in self.files.places), None)
        if name is None:
            refuse_missing(self.reader, self.root, self.files.needs, split)
        logger.info(f"evaluated on the images of {escape(self.files.places[name])}")
        part = self._part(name)
        part = replace(part, annotations=part.annotations.of_classes(classes, self.category_ids))
        self.parts = {split: part}
        return self._split_of(part, None)

    def read(self) -> Splits:
        """Read the annotations, and find the images."""
        splits = {
            name: self._split_of(part, self.view if name == "train" else None) for name, part in self.parts.items()
        }
        return Splits.of(self.parts["train"].annotations.classes, splits)

    def _split_of(self, part: Part, view: InstanceView | None) -> Split:
        return Split(InstanceImages(part, self.masks, view, self.bit_depth), *part.labels(), len(part.rows))

    def check(self, splits: Splits) -> None:
        """There are instances to train on; classes without any are told, and images of 16 bits that are not as deep."""
        part = self.parts["train"]
        if len(splits.train.targets) == 0:
            crowds = int(part.annotations.crowd[np.isin(part.annotations.images, part.rows)].sum())
            all_crowds = f": all {crowds} annotations are crowds (iscrowd 1); set it to 0 in those of one object"
            raise InputError(f"{part.annotations.file} has no instance to train on{all_crowds if crowds else ''}")
        super().check(splits)
        tell_depth([part.path(row) for row in few(range(len(part.rows)))], self.bit_depth)
        tell_untrained(splits, "instance")

    def picture(self, split: str, row: int) -> Image.Image:
        """An image as it lies in its file."""
        return decode(self.parts[split].path(row), bit_depth=self.bit_depth)

    def example(self, row: int, label: int) -> Image.Image:
        """The largest object of a class in a training image, cut out."""
        return largest_object(self.picture("train", row), self.instances("train", row), label)
