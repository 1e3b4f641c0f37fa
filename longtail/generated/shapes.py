"""A small set of generated images of shapes in COCO's layout: detection and segmentation without a download.

``python -m longtail.generated.shapes FOLDER`` writes a set.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from longtail.errors import InputError
from longtail.generated.drawing import CLASSES, Scene, SplitName, scenes
from longtail.generated.masks import box, segmentation
from longtail.plain import JSON, AnyPath
from longtail.writing import whole_folder


def write_shapes(
    folder: AnyPath, train: int = 120, val: int = 40, size: int = 96, factor: float = 0.05, seed: int = 0
) -> None:
    """Write a long-tailed set of images of shapes, in COCO's layout.

    ``folder/annotations`` gets ``instances_train.json`` and ``instances_val.json``, ``folder/train`` and
    ``folder/val`` the PNG images. In training the number of instances falls exponentially over the classes, and two
    images show no shape; validation is balanced. The folder is written whole or not at all, and the same call with the
    same versions of numpy and Pillow gives the same bytes.

    Args:
        folder: a folder that does not exist yet, or is empty.
        train: training images, at least 8.
        val: validation images, at least 4.
        size: side of an image, in pixels, at least 32.
        factor: imbalance factor of the training instances, rarest over most frequent class, in (0, 1].
        seed: another seed gives other images.

    Raises:
        InputError: if the folder is not empty or cannot be written, or an argument is out of its range.
    """
    for name, value, least in (("train", train, 8), ("val", val, 4), ("size", size, 32), ("seed", seed, 0)):
        if value < least:
            raise InputError(f"{name} must be at least {least}, got {value}")
    if not 0 < factor <= 1:
        raise InputError(f"factor must be in (0, 1], got {factor}")
    splits: dict[SplitName, int] = {"train": train, "val": val}
    with whole_folder(folder) as inside:
        (inside / "annotations").mkdir()
        for split, images in splits.items():
            (inside / split).mkdir()
            scenery = scenes(split, images, size, factor, seed)
            text = json.dumps(_write_images(inside / split, scenery), separators=(",", ":")) + "\n"
            (inside / "annotations" / f"instances_{split}.json").write_text(text, encoding="utf-8", newline="\n")


def _write_images(folder: Path, scenes: Iterable[Scene]) -> dict[str, JSON]:
    """Write the images of a split into ``folder`` and return its annotations."""
    images: list[dict[str, JSON]] = []
    annotations: list[dict[str, JSON]] = []
    for number, scene in enumerate(scenes, start=1):
        name = f"{number:06d}.png"
        Image.fromarray(scene.image).save(folder / name)
        height, width = scene.image.shape[:2]
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for label, mask, cut in zip(scene.labels, scene.masks, scene.cut.tolist(), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": CLASSES[label].category,
                    "bbox": box(mask),
                    "area": int(mask.sum()),
                    "segmentation": segmentation(mask, cut),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": shape.category, "name": shape.name, "supercategory": "shape"} for shape in CLASSES]
    return {"images": images, "annotations": annotations, "categories": categories}


def main(argv: Sequence[str] | None = None) -> int:
    """Write a set from the command line; returns the exit code: 0, or 2 for what the user can put right."""
    parser = argparse.ArgumentParser("python -m longtail.generated.shapes", description="Write a small set of shapes.")
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--train", type=int, default=120, help="training images (default 120)")
    parser.add_argument("--val", type=int, default=40, help="validation images (default 40)")
    parser.add_argument("--size", type=int, default=96, help="side of an image in pixels (default 96)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other images (default 0)")
    options = parser.parse_args(argv)
    try:
        write_shapes(options.folder, options.train, options.val, options.size, seed=options.seed)
    except InputError as error:
        sys.stderr.write(f"longtail: error: {error}\n")
        return 2
    sys.stdout.write(f"{options.folder}: {options.train} training and {options.val} validation images\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
