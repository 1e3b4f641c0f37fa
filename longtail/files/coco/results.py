"""Detections as results in COCO's format."""

from collections.abc import Sequence
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longtail.errors import InputError
from longtail.plain import JSON

MASK_FROM = 0.5  # probability from which a pixel belongs to an instance


def coco_results(detections: dict[str, Tensor], image_id: int, category_ids: Sequence[int]) -> list[dict[str, JSON]]:
    """Detections of an image, one dict each: "image_id", "category_id", "bbox" (x, y, width, height in pixels),
    "score", and where there are masks "segmentation", compressed run lengths with "counts" as bytes.

    Args:
        detections: "boxes" (n, 4) as x1, y1, x2, y2, "labels" (n,), "scores" (n,), and "masks" (n, 1, H, W) in 0..1.
        image_id: of the image.
        category_ids: of the classes (C,).

    Raises:
        InputError: if there are masks and faster-coco-eval is missing.
    """
    boxes = sides(detections["boxes"]).tolist()
    rows = zip(boxes, detections["labels"].tolist(), detections["scores"].float().tolist(), strict=True)
    results: list[dict[str, JSON]] = [
        {"image_id": image_id, "category_id": int(category_ids[label]), "bbox": box, "score": score}
        for box, label, score in rows
    ]
    if "masks" in detections and results:
        for result, rle in zip(results, encode(detections["masks"][:, 0] >= MASK_FROM), strict=True):
            result["segmentation"] = rle
    return results


def sides(corners: Tensor) -> Tensor:
    """Boxes (n, 4) given as x1, y1, x2, y2, as x, y, width, height in float32, on the CPU."""
    corners = corners.float().cpu()
    return torch.cat([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)


def encode(masks: Tensor) -> list[dict[str, JSON]]:  # as the library gives them
    """Masks (n, H, W), bool, as compressed run lengths.

    Raises:
        InputError: if faster-coco-eval is missing.
    """
    rles: list[dict[str, JSON]] = codec().encode(np.asfortranarray(masks.permute(1, 2, 0).byte().cpu().numpy()))
    return rles


def decode(rle: dict[str, JSON]) -> NDArray[np.bool_]:
    """The mask (H, W) of compressed run lengths.

    Raises:
        InputError: if faster-coco-eval is missing.
    """
    mask: NDArray[np.bool_] = codec().decode(rle).astype(bool)
    return mask


def codec() -> ModuleType:
    """The functions of faster-coco-eval for run lengths.

    Raises:
        InputError: if it is missing.
    """
    try:
        from faster_coco_eval.core import mask
    except ImportError as error:
        raise InputError('detection needs faster-coco-eval: pip install "longtail[detection]"') from error
    module: ModuleType = mask
    return module
