"""Images with boxes and masks as a torch data set."""

import logging
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from longtail.augment.instances import BoxTarget, InstanceView, with_seed
from longtail.errors import InputError
from longtail.files.coco.annotations import Annotations
from longtail.files.images.checks import bad_images
from longtail.files.images.reading import decode
from longtail.files.listing import IntArray
from longtail.files.tables.places import unnamed
from longtail.messages import and_more, escape, plural
from longtail.plain import JSON

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """A split: the images ``rows`` (N,) of some annotations, in a folder."""

    annotations: Annotations
    folder: Path
    rows: IntArray

    def path(self, row: int) -> str:
        """File of an image of the split."""
        return str(self.folder / self.annotations.file_names[self.rows[row]])

    def paths(self) -> list[str]:
        """Files of all images of the split (N,)."""
        return [self.path(row) for row in range(len(self.rows))]

    def instances(self, row: int) -> IntArray:
        """Annotations of an image of the split that are trained on: all but crowds."""
        of_image = self.annotations.rows(int(self.rows[row]))
        instances: IntArray = of_image.start + np.flatnonzero(~self.annotations.crowd[of_image])
        return instances

    def checksums(self) -> IntArray:
        """A number for the annotations of each image (N,), which is another where these are."""
        annotations = self.annotations

        def of_image(row: int) -> int:
            rows = annotations.rows(row)
            columns = (annotations.boxes, annotations.labels, annotations.crowd)
            return zlib.crc32(b"".join(np.ascontiguousarray(column[rows]).tobytes() for column in columns))

        return np.fromiter(map(of_image, self.rows.tolist()), dtype=np.int64, count=len(self.rows))

    def labels(self) -> tuple[IntArray, IntArray]:
        """Label and row in the split of every annotation but crowds, (M,) each."""
        place = np.full(len(self.annotations), -1, dtype=np.int64)
        place[self.rows] = np.arange(len(self.rows))
        owners = place[self.annotations.images]
        is_instance = (owners >= 0) & ~self.annotations.crowd
        return self.annotations.labels[is_instance], owners[is_instance]

    def truth(self, masks: bool) -> dict[str, JSON]:
        """The split as a dictionary in COCO's format."""
        return self.annotations.truth(masks, self.rows)

    @property
    def categories(self) -> tuple[list[str], list[int]]:
        """Names and ids of the classes (C,)."""
        return self.annotations.classes, self.annotations.category_ids.tolist()

    @property
    def image_ids(self) -> IntArray:
        """Ids of the images (N,), as in the file."""
        return self.annotations.image_ids[self.rows]


def check_files(part: Part, full_check: bool) -> None:
    """Make sure that the images of a split can be read, and are of the sizes that its annotations say.

    Raises:
        InputError: one cannot, or is not.
    """
    sizes = [(width, height) for height, width in part.annotations.sizes[part.rows].tolist()]
    bad = bad_images(part.paths(), full_check, sizes)
    if bad:
        path, reason = bad[0]
        way_out = f"repair it or its entry in {part.annotations.file}, or take it out of both"
        raise InputError(f"{path}: {reason}{and_more(bad)}; {way_out}")


class BoxSample(TypedDict):
    """One image: ``image`` uint8 (3, H, W), its ``target``, in training with masks if those are read, and its ``row``
    in the split."""

    image: Tensor
    target: BoxTarget
    row: int


class BoxBatch(TypedDict):
    """N images, each of its own size: ``images`` uint8 (3, H, W), a ``targets`` for each, and ``rows`` (N,)."""

    images: list[Tensor]
    targets: list[BoxTarget]
    rows: Tensor


class Instances(NamedTuple):
    """The n annotations of an image that are trained on: boxes (n, 4) as x1, y1, x2, y2, and labels (n,); numbers of
    the annotations (n,), for ``DetectionData.mask``."""

    boxes: NDArray[np.float32]
    labels: IntArray
    numbers: IntArray


class InstanceImages(Dataset[BoxSample]):
    """The images of a split with their boxes, labels and masks; indexed by a pair of row and draw.

    Args:
        part: the split.
        masks: whether to make the masks.
        view: what augments an image, with ``draw`` as its only source of randomness; None leaves it as it is and
            without masks, for evaluation.
        bit_depth: how many bits of images of 16 count, where they do not say it.
    """

    def __init__(self, part: Part, masks: bool, view: InstanceView | None, bit_depth: int | None = None) -> None:
        self.part, self.masks, self.view, self.bit_depth = part, masks, view, bit_depth

    def __len__(self) -> int:
        return len(self.part.rows)

    def path(self, row: int) -> str:
        """The file of an image."""
        return str(self.part.path(row))

    def __getitem__(self, index: tuple[int, int]) -> BoxSample:
        row, draw = index
        part, annotations = self.part, self.part.annotations
        image = torch.from_numpy(np.array(decode(part.path(row), bit_depth=self.bit_depth))).permute(2, 0, 1)
        height, width = annotations.sizes[part.rows[row]].tolist()
        if image.shape[1:] != (height, width):
            raise InputError(
                f"{part.path(row)} is {image.shape[2]} x {image.shape[1]} pixels, {annotations.file} says "
                f"{width} x {height}: give the images that were annotated"
            )
        instances = part.instances(row)
        target: BoxTarget = {
            "boxes": torch.from_numpy(annotations.boxes[instances]),
            "labels": torch.from_numpy(annotations.labels[instances]),
        }
        if self.view is not None:
            if self.masks:
                masks = [annotations.mask(k) for k in instances.tolist()]
                stacked = np.stack(masks) if masks else np.zeros((0, height, width), np.uint8)
                target["masks"] = torch.from_numpy(stacked)
            image, target = with_seed(self.view, image, target, draw)
        return {"image": image, "target": target, "row": row}


def tell_unnamed(parts: Iterable[Part], source: str) -> int:
    """How many images lie beside those of some splits and are in none of them, which is said."""
    others = unnamed({path for part in parts for path in part.paths()})
    if others:
        images = plural(len(others), "image")
        logger.info(f"{source}: left out {images} without an annotation, such as {escape(others[0])}")
    return len(others)


def tell_crowds(annotations: Annotations) -> None:
    """Say how many annotations stand for groups of objects, and what becomes of them."""
    if crowds := int(annotations.crowd.sum()):
        lvis = "objects like others in the evaluation, as LVIS knows no crowds"
        coco = "neither right nor wrong in the evaluation, as COCO counts"
        logger.info(
            f"{annotations.file}: {crowds} of {len(annotations.crowd)} annotations are crowds (iscrowd 1): not trained "
            f"on, and {lvis if annotations.federated else coco}"
        )
