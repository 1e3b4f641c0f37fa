"""What a detector found in many images, as arrays: 36 bytes for each box, and the run lengths of masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from longtail.plain import JSON

Kind = Literal["bbox", "segm"]
Entry = Mapping[str, JSON]
IntArray = NDArray[np.int64]
FloatingArray = NDArray[np.floating[Any]]  # of any width

SHAPE = {"bbox": "bbox", "segm": "segmentation"}  # where an object holds what is compared


@dataclass(frozen=True)
class RunLengths:
    """Masks as compressed run lengths, in one row of bytes.

    Attributes:
        sizes: height and width (n, 2).
        starts: of each mask in the bytes (n,).
        lengths: bytes of each (n,).
        content: the bytes of all, uint8.
    """

    sizes: IntArray
    starts: IntArray
    lengths: IntArray
    content: NDArray[np.uint8]

    @classmethod
    def of(cls, masks: Sequence[Entry]) -> RunLengths:
        """Of masks with "size" and "counts", as bytes or text."""
        counts = [mask["counts"] for mask in masks]
        parts = [text.encode("ascii") if isinstance(text, str) else text for text in counts]
        sizes = np.array([mask["size"] for mask in masks], dtype=np.int64).reshape(-1, 2)
        lengths = np.array([len(part) for part in parts], dtype=np.int64)
        return cls(sizes, lengths.cumsum() - lengths, lengths, np.frombuffer(b"".join(parts), dtype=np.uint8))

    @classmethod
    def cat(cls, parts: Sequence[RunLengths]) -> RunLengths:
        """Masks one after another."""
        before = np.cumsum([0, *(len(part.content) for part in parts)])
        starts = [part.starts + offset for part, offset in zip(parts, before.tolist(), strict=False)]
        sizes, lengths, content = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("sizes", "lengths", "content")
        )
        return cls(sizes, np.concatenate(starts), lengths, content)

    def take(self, rows: IntArray) -> RunLengths:
        """Some of them, in this order; they share the bytes."""
        return RunLengths(self.sizes[rows], self.starts[rows], self.lengths[rows], self.content)

    def entries(self) -> list[dict[str, JSON]]:  # as the library takes them
        """Each with "size" and "counts", as bytes."""
        rows = zip(self.sizes.tolist(), self.starts.tolist(), self.lengths.tolist(), strict=True)
        return [
            {"size": size, "counts": self.content[start : start + length].tobytes()} for size, start, length in rows
        ]


@dataclass(frozen=True)
class Detections:
    """Detections in any number of images.

    Attributes:
        images: id of the image of each (n,).
        categories: id of the class of each (n,).
        scores: (n,), floating.
        boxes: (n, 4) as x, y, width, height in pixels; None where masks alone are there.
        masks: None where boxes alone are there.
    """

    images: IntArray
    categories: IntArray
    scores: FloatingArray
    boxes: FloatingArray | None = None
    masks: RunLengths | None = None

    @classmethod
    def of(cls, results: Sequence[Entry], kind: Kind) -> Detections:
        """Of results in COCO's format, with what ``kind`` compares of their shapes."""
        images, categories = (
            np.array([result[key] for result in results], dtype=np.int64) for key in ("image_id", "category_id")
        )
        scores = np.array([result["score"] for result in results], dtype=np.float64)
        shapes = [result[SHAPE[kind]] for result in results]
        if kind == "segm":
            return cls(images, categories, scores, masks=RunLengths.of(shapes))
        return cls(images, categories, scores, np.array(shapes, dtype=np.float64).reshape(-1, 4))

    @classmethod
    def cat(cls, parts: Sequence[Detections]) -> Detections:
        """Detections of one kind, one after another; at least one part."""
        if len(parts) == 1:
            return parts[0]
        images, categories, scores = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "categories", "scores")
        )
        boxes = [part.boxes for part in parts if part.boxes is not None]
        masks = [part.masks for part in parts if part.masks is not None]
        return cls(
            *(images, categories, scores),
            np.concatenate(boxes) if boxes else None,
            RunLengths.cat(masks) if masks else None,
        )

    def take(self, rows: IntArray) -> Detections:
        """Some of them, in this order."""
        return Detections(
            *(self.images[rows], self.categories[rows], self.scores[rows]),
            None if self.boxes is None else self.boxes[rows],
            None if self.masks is None else self.masks.take(rows),
        )

    def shapes(self, kind: Kind) -> list[Any]:  # boxes as lists, run lengths as dicts
        """What is compared of each, as the library takes it: [x, y, width, height], or run lengths.

        Raises:
            ValueError: if there is no such shape.
        """
        shapes = self.boxes if kind == "bbox" else self.masks
        if shapes is None:
            raise ValueError(f"the detections have no {SHAPE[kind]}")
        values: list[Any] = shapes.entries() if isinstance(shapes, RunLengths) else shapes.tolist()
        return values
