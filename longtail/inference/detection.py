"""A run of detection, used: find objects in image files."""

import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from longtail.errors import InputError
from longtail.files.coco.results import MASK_FROM, coco_results
from longtail.files.images import decode
from longtail.inference.runs import load_method, readable, sample_files
from longtail.methods.rcnn import RCNN
from longtail.reports.overlays import draw_instances
from longtail.reports.results import load_results
from longtail.writing import write_atomically


@dataclass(frozen=True)
class Detector:
    """A detector out of training.

    Attributes:
        method: in evaluation mode.
        classes: class names in the order of the labels.
        category_ids: of the classes (C,), as in the annotations that it was trained on.
        source: the checkpoint it came from.
    """

    method: RCNN
    classes: list[str]
    category_ids: list[int]
    source: Path

    def detect(self, image: Image.Image) -> dict[str, Tensor]:
        """What ``RCNN.detect`` finds in an RGB image, on the CPU."""
        device = next(self.method.parameters()).device
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).to(device).float() / 255
        with torch.inference_mode():
            found, _ = self.method.detect([pixels])
        return {
            name: value.float().cpu() if value.is_floating_point() else value.cpu() for name, value in found[0].items()
        }


def load_detector(run: Path, checkpoint: str | None = None) -> Detector:
    """Load the detector of a run.

    Args:
        run: folder of the run.
        checkpoint: "best" or "last"; by default the one best on validation if there is one.

    Raises:
        InputError: if the run, or its checkpoint, is not there or damaged, or it is of another task.
    """
    results = load_results(run)
    method, path = load_method(run, results, "detection", checkpoint)
    assert isinstance(method, RCNN)
    return Detector(method, results["classes"], results["data"]["input"]["category_ids"], path)


def image_ids(files: Sequence[str], annotations: Path | None) -> list[int]:
    """An id for every image file: that of its name in a file of COCO format; without one the number that is its name,
    or where a name is no number, 1, 2, ... in the order given.

    Raises:
        InputError: if the file cannot be read, or lacks an image.
    """
    if annotations is not None:
        try:
            listed = json.loads(annotations.read_text(encoding="utf-8"))["images"]
            ids = {Path(each.get("file_name") or each["coco_url"]).name: int(each["id"]) for each in listed}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{annotations}: cannot read ids of images from it; give a JSON file of COCO format"
            ) from error
        if len(ids) < len(listed) or len({Path(file).name for file in files}) < len(files):
            raise InputError(f"{annotations}: cannot tell images of the same name apart; predict them folder by folder")
        missing = [file for file in files if Path(file).name not in ids]
        if missing:
            raise InputError(f"{annotations} does not list {Path(missing[0]).name} and {len(missing) - 1} more images")
        return [ids[Path(file).name] for file in files]
    stems = [Path(file).stem for file in files]
    if all(stem.isdecimal() for stem in stems) and len(set(map(int, stems))) == len(stems):
        return [int(stem) for stem in stems]
    return list(range(1, len(files) + 1))


def detect_files(
    detector: Detector,
    paths: Sequence[Path],
    output: Path | None,
    overlays: Path | None,
    annotations: Path | None,
    threshold: float,
    skip_bad_images: bool,
) -> None:
    """Find objects in files and folders, and write them as results in COCO's format; each also names its file.

    Args:
        detector: what finds them.
        paths: image files and folders.
        output: JSON file, written whole or not at all; None prints.
        overlays: folder for a PNG of every image with what was found drawn in; None for none.
        annotations: file of COCO format with the ids of the images; see ``image_ids``.
        threshold: detections with a lower score are left out of the pictures.
        skip_bad_images: leave out files that cannot be read.

    Raises:
        InputError: on an image that cannot be read, or an output that cannot be written.
    """
    files = sample_files(paths)
    results: list[dict[str, Any]] = []
    pictures: dict[str, bytes] = {}  # written once all images are done
    ids = image_ids(files, annotations)
    for index, image in readable(files, decode, skip_bad_images):
        file, image_id = files[index], ids[index]
        found = detector.detect(image)
        for each in coco_results(found, image_id, detector.category_ids):
            if "segmentation" in each:
                each["segmentation"]["counts"] = each["segmentation"]["counts"].decode("ascii")
            results.append({**each, "file_name": Path(file).name})
        if overlays is not None:
            stream = io.BytesIO()
            picture(detector, image, found, threshold).save(stream, "PNG")
            pictures[f"{image_id}-{Path(file).stem}.png"] = stream.getvalue()
    if overlays is not None:
        try:
            overlays.mkdir(parents=True, exist_ok=True)
            for name, content in pictures.items():
                (overlays / name).write_bytes(content)
        except OSError as error:
            raise InputError(
                f"{overlays}: cannot write pictures there ({error.strerror}); give another folder"
            ) from error
    text = json.dumps(results) + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        write_atomically(output, text)


def picture(detector: Detector, image: Image.Image, found: dict[str, Tensor], threshold: float) -> Image.Image:
    """The image with what was found in it."""
    kept = found["scores"] >= threshold
    labels = found["labels"][kept].tolist()
    masks = [mask.numpy() for mask in found["masks"][kept, 0] >= MASK_FROM] if "masks" in found else None
    names = [detector.classes[label] for label in labels]
    return draw_instances(image, found["boxes"][kept].tolist(), names, labels, found["scores"][kept].tolist(), masks)
