"""A run of detection, used: find objects in image files."""

import argparse
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
from longtail.export.detection import write_detector
from longtail.files.coco.results import MASK_FROM, coco_results
from longtail.files.images import decode
from longtail.inference.base import Predictor
from longtail.inference.runs import load_method, readable, sample_files, tell_escaped
from longtail.messages import retrievable
from longtail.methods.rcnn import RCNN
from longtail.reports.overlays import draw_instances
from longtail.reports.results import Results
from longtail.writing import write_atomically


@dataclass(frozen=True)
class Detector(Predictor):
    """A detector out of training.

    Attributes:
        method: in evaluation mode.
        classes: class names in the order of the labels.
        category_ids: of the classes (C,), as in the annotations that it was trained on.
        source: the checkpoint it came from.
    """

    task = "detection"

    method: RCNN
    classes: list[str]
    category_ids: list[int]
    source: Path

    @classmethod
    def predict_options(cls, parser: argparse.ArgumentParser) -> None:
        """Pictures and ids of the images."""
        group = parser.add_argument_group("for runs of detection, whose answer is results in COCO's format")
        group.add_argument("--overlays", type=Path, help="folder for a picture of each image with what was found")
        group.add_argument("--score", type=float, default=0.5, help="least score in the pictures (default 0.5)")
        group.add_argument("--annotations", type=Path, help="COCO file with the ids of the images")

    @classmethod
    def load(cls, run: Path, results: Results, checkpoint: str | None = None) -> "Detector":
        """Load a run of detection; see ``Predictor.load``."""
        method, path = load_method(run, results, RCNN, checkpoint)
        return cls(method, results["classes"], results["data"]["input"]["category_ids"], path)

    def detect(self, image: Image.Image) -> dict[str, Tensor]:
        """What ``RCNN.detect`` finds in an RGB image, on the CPU."""
        device = next(self.method.parameters()).device
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).to(device).float() / 255
        with torch.inference_mode():
            (detections,), _ = self.method.detect([pixels])
        return {
            name: value.float().cpu() if value.is_floating_point() else value.cpu()
            for name, value in detections.items()
        }

    def predict(
        self,
        paths: Sequence[Path],
        output: Path | None = None,
        skip_bad_images: bool = False,
        overlays: Path | None = None,
        score: float = 0.5,
        annotations: Path | None = None,
    ) -> None:
        """Find objects in files and folders, and write them as results in COCO's format; each also names its file.

        Args:
            paths: image files and folders.
            output: JSON file, written whole or not at all; None prints.
            skip_bad_images: leave out files that cannot be read.
            overlays: folder for a PNG of every image with what was found drawn in; None for none.
            score: detections with a lower score are left out of the pictures.
            annotations: file of COCO format with the ids of the images; see ``image_ids``.

        Raises:
            InputError: on an image that cannot be read, or an output that cannot be written.
        """
        files = sample_files(paths)
        tell_escaped(files)
        results: list[dict[str, Any]] = []
        pictures: dict[str, bytes] = {}  # written once all images are done
        ids = image_ids(files, annotations)
        for index, image in readable(files, decode, skip_bad_images):
            file, image_id = files[index], ids[index]
            detections = self.detect(image)
            for result in coco_results(detections, image_id, self.category_ids):
                if "segmentation" in result:
                    result["segmentation"]["counts"] = result["segmentation"]["counts"].decode("ascii")
                results.append({**result, "file_name": retrievable(Path(file).name)})
            if overlays is not None:
                stream = io.BytesIO()
                picture(self, image, detections, score).save(stream, "PNG")
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

    def export(self, output: Path) -> list[Path]:
        """Write ``model.onnx`` and ``model.safetensors`` of a detector, and check the first against torch.

        The network takes "image", float32 (3, H, W) in 0..1, of any size, and gives "boxes" (n, 4) as x1, y1, x2, y2 in
        its pixels, "labels" (n,), indices of the metadata "classes", "scores" (n,), and of a Mask R-CNN "masks"
        (n, 1, H, W) in 0..1.

        Args:
            output: folder for the files.

        Raises:
            InputError: if something that is needed is not installed, or the outputs differ.
        """
        metadata = {
            "classes": json.dumps(self.classes),
            "category_ids": json.dumps(self.category_ids),
            "checkpoint": self.source.name,
        }
        return write_detector(self.method, metadata, output)


_LARGEST = 2**63  # ids are numbers of 64 bits, for whoever reads the results


def image_ids(files: Sequence[str], annotations: Path | None) -> list[int]:
    """An id for every image file: that of its name in a file of COCO format; without one the number that is its name,
    or where a name is no number, 1, 2, ... in the order given.

    Raises:
        InputError: if the file cannot be read, or lacks an image.
    """
    if annotations is not None:
        try:
            entries = json.loads(annotations.read_text(encoding="utf-8"))["images"]
            ids = {Path(entry.get("file_name") or entry["coco_url"]).name: int(entry["id"]) for entry in entries}
            if not all(-_LARGEST <= number < _LARGEST for number in ids.values()):
                raise ValueError("an id of more than 64 bits")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise InputError(
                f"{annotations}: cannot read ids of images from it; give a JSON file of COCO format"
            ) from error
        if len(ids) < len(entries) or len({Path(file).name for file in files}) < len(files):
            raise InputError(f"{annotations}: cannot tell images of the same name apart; predict them folder by folder")
        missing = [file for file in files if Path(file).name not in ids]
        if missing:
            raise InputError(f"{annotations} does not list {Path(missing[0]).name} and {len(missing) - 1} more images")
        return [ids[Path(file).name] for file in files]
    stems = [Path(file).stem for file in files]
    if all(stem.isdecimal() and len(stem) < 19 for stem in stems) and len(set(map(int, stems))) == len(stems):
        return [int(stem) for stem in stems]
    return list(range(1, len(files) + 1))


def picture(detector: Detector, image: Image.Image, detections: dict[str, Tensor], threshold: float) -> Image.Image:
    """The image with the detections drawn in."""
    sure = detections["scores"] >= threshold
    labels = detections["labels"][sure].tolist()
    masks = [mask.numpy() for mask in detections["masks"][sure, 0] >= MASK_FROM] if "masks" in detections else None
    names = [detector.classes[label] for label in labels]
    return draw_instances(
        image, detections["boxes"][sure].tolist(), names, labels, detections["scores"][sure].tolist(), masks
    )
