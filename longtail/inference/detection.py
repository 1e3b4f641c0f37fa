"""A run of detection, used: find objects in image files."""

import argparse
import io
import json
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from longtail.distributed import processes, share
from longtail.errors import InputError
from longtail.export.detection import write_detector
from longtail.files.coco.results import MASK_FROM, coco_results
from longtail.files.images.reading import decode
from longtail.files.tables.labelled import Listed
from longtail.inference.base import Predictor
from longtail.inference.inputs import network_input
from longtail.inference.runs import distinct_names, load_method, readable, samples, tell_escaped
from longtail.messages import retrievable, some
from longtail.methods.rcnn import RCNN
from longtail.plain import AnyPath
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
        bit_depth: how many bits of images of 16 count, where they do not say it.
    """

    task = "detection"

    method: RCNN
    classes: list[str]
    category_ids: list[int]
    source: Path
    bit_depth: int | None = None

    @classmethod
    def predict_options(cls, parser: argparse.ArgumentParser) -> None:
        """Pictures and ids of the images."""
        group = parser.add_argument_group("for runs of detection, whose answer is results in COCO's format")
        group.add_argument("--overlays", type=Path, help="folder for a picture of each image with what was found")
        group.add_argument("--score", type=float, default=0.5, help="least score in the pictures (default 0.5)")
        group.add_argument("--annotations", type=Path, help="COCO file with the ids of the images")

    @classmethod
    def load(cls, run: AnyPath, results: Results, checkpoint: str | None = None) -> "Detector":
        """Load a run of detection; see ``Predictor.load``."""
        method, path = load_method(run, results, RCNN, checkpoint)
        inputs = network_input(run, results, "category_ids")
        return cls(method, results["classes"], inputs["category_ids"], path, inputs.get("bit_depth"))

    def read(self, file: str) -> Image.Image:
        """An image as the method was trained on."""
        return decode(file, bit_depth=self.bit_depth)

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
        paths: Sequence[AnyPath],
        output: AnyPath | None = None,
        skip_bad_images: bool = False,
        overlays: AnyPath | None = None,
        score: float = 0.5,
        annotations: AnyPath | None = None,
    ) -> None:
        """Find objects in files and folders, and write them as results in COCO's format; each also names its file.

        Args:
            paths: image files, folders, and tables that list files.
            output: JSON file, written whole or not at all; None prints.
            skip_bad_images: leave out files that cannot be read.
            overlays: folder for a PNG of every image with what was found drawn in; None for none.
            score: detections with a lower score are left out of the pictures.
            annotations: file of COCO format with the ids of the images; see ``image_ids``.

        Raises:
            InputError: on an image that cannot be read, or an output that cannot be written.
        """
        entries = samples(paths)
        files, names = [sample.path for sample in entries], distinct_names(entries)
        tell_escaped(names)
        ids = image_ids(entries, annotations)

        def answer(index: int) -> tuple[list[str], dict[str, bytes]]:
            """Results as JSON, and the picture by its name; neither of a file that cannot be read."""
            results: list[str] = []
            pictures: dict[str, bytes] = {}
            for _, image in readable([files[index]], self.read, skip_bad_images):
                detections = self.detect(image)
                for result in coco_results(detections, ids[index], self.category_ids):
                    if "segmentation" in result:
                        result["segmentation"]["counts"] = result["segmentation"]["counts"].decode("ascii")
                    results.append(json.dumps({**result, "file_name": retrievable(names[index])}))
                if overlays is not None:
                    stream = io.BytesIO()
                    picture(self, image, detections, score).save(stream, "PNG")
                    pictures[f"{ids[index]}-{Path(files[index]).stem}.png"] = stream.getvalue()
            return results, pictures

        answers = list(share(range(len(files)), answer, files))  # written once all images are done
        if processes()[0] > 0:
            return
        if overlays is not None:
            folder = Path(overlays)
            try:
                folder.mkdir(parents=True, exist_ok=True)
                for _, pictures in answers:
                    for name, content in pictures.items():
                        (folder / name).write_bytes(content)
            except OSError as error:
                raise InputError(
                    f"{folder}: cannot write pictures there ({error.strerror}); give another folder"
                ) from error
        text = f"[{', '.join(result for results, _ in answers for result in results)}]\n"
        if output is None:
            sys.stdout.write(text)
        else:
            write_atomically(output, text)

    def export(self, output: AnyPath) -> list[Path]:
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
        metadata |= {} if self.bit_depth is None else {"bit_depth": str(self.bit_depth)}
        return write_detector(self.method, metadata, output)


_LARGEST = 2**63  # ids are numbers of 64 bits, for whoever reads the results


def image_ids(images: Sequence[Listed], annotations: AnyPath | None) -> list[int]:
    """An id for every image file: that of its entry in a file of COCO format, or without one the number that is its
    name, or where a name is no number, 1, 2, ... in the order given.

    The entry is the one whose path has most parts at its end in common with that of the file: all that the entry has,
    or all below the folder that was given.

    Raises:
        InputError: if the file cannot be read, lacks an image, or cannot tell two apart.
    """
    if annotations is None:
        stems = [Path(sample.path).stem for sample in images]
        if all(stem.isdecimal() and len(stem) < 19 for stem in stems) and len(set(map(int, stems))) == len(stems):
            return [int(stem) for stem in stems]
        return list(range(1, len(images) + 1))
    annotations = Path(annotations)
    try:
        content = json.loads(annotations.read_text(encoding="utf-8"))["images"]
        entries = {int(entry["id"]): _ends(entry.get("file_name") or Path(entry["coco_url"]).name) for entry in content}
        if not all(-_LARGEST <= number < _LARGEST for number in entries):
            raise ValueError("an id of more than 64 bits")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{annotations}: cannot read ids of images from it; give a JSON file of COCO format"
        ) from error
    by_end: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, ends in entries.items():
        for end in ends:
            by_end[end].append(number)
    ids: dict[str, int] = {}
    missing = []
    for path, name in images:
        end = next((end for end in _ends(str(Path(path).absolute())) if end in by_end), ())
        numbers = [n for n in by_end.get(end, ()) if len(end) >= min(len(_ends(name)), len(entries[n]))]
        if len(numbers) > 1:
            same = some(["/".join(entries[number][0]) for number in numbers])
            raise InputError(f"{annotations} does not tell which of its images {path} is: {same}")
        if numbers:
            ids[path] = numbers[0]
        else:
            missing.append(path)
    if missing:
        raise InputError(f"{annotations} does not list {missing[0]} and {len(missing) - 1} more images")
    files = {number: path for path, number in ids.items()}
    if lost := [path for path, number in ids.items() if files[number] != path]:
        number = ids[lost[0]]
        raise InputError(
            f"{annotations} does not tell {lost[0]} and {files[number]} apart: both are {'/'.join(entries[number][0])}"
        )
    return [ids[path] for path, _ in images]


def _ends(path: str) -> list[tuple[str, ...]]:
    """The last parts of a path, all of them first, down to its name alone."""
    parts = PurePosixPath(os.path.normpath(path).replace(os.sep, "/")).parts
    return [parts[start:] for start in range(len(parts))]


def picture(detector: Detector, image: Image.Image, detections: dict[str, Tensor], threshold: float) -> Image.Image:
    """The image with the detections drawn in."""
    sure = detections["scores"] >= threshold
    labels = detections["labels"][sure].tolist()
    masks = [mask.numpy() for mask in detections["masks"][sure, 0] >= MASK_FROM] if "masks" in detections else None
    names = [detector.classes[label] for label in labels]
    return draw_instances(
        image, detections["boxes"][sure].tolist(), names, labels, detections["scores"][sure].tolist(), masks
    )
