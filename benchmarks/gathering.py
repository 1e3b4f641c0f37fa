"""Memory of LVIS' average precision by what the detections are kept in: ``python -m benchmarks.gathering``.

Detections of made-up images, 300 in each, with boxes and perhaps masks, are collected image by image, pickled and read
again as the first process does with those of another, put together and measured: as arrays, which is what an evaluation
does, and as results in COCO's format, a dictionary for each. Each runs in a process of its own.
"""

import argparse
import pickle
from pathlib import Path

import numpy as np
import torch

from benchmarks.detection_metrics import CLASSES, HEIGHT, LIMIT, WIDTH, Record, scene
from benchmarks.measure import CPU, MIB, alone, save, table
from longtail.files.coco.results import coco_results, encode
from longtail.metrics.detection import average_precision
from longtail.metrics.detections import Detections, RunLengths
from longtail.tasks.detection_evaluator import as_arrays, together

LVIS_IMAGES = 19_809  # of its validation
BLOB = 56  # side of a mask in pixels


def instances(detections: list[Record]) -> list[dict[str, torch.Tensor]]:
    """The detections of each image as a network gives them, 300 to an image."""
    boxes = torch.tensor([detection["bbox"] for detection in detections])
    boxes[:, 2:] += boxes[:, :2]
    labels = torch.tensor([detection["category_id"] - 1 for detection in detections])
    scores = torch.tensor([detection["score"] for detection in detections])
    parts = zip(boxes.split(LIMIT), labels.split(LIMIT), scores.split(LIMIT), strict=True)
    return [{"boxes": b, "labels": c, "scores": s} for b, c, s in parts]


def shapes(count: int, seed: int = 0) -> list[Record]:
    """Run lengths of masks, each with a ragged edge."""
    random = np.random.default_rng(seed)
    masks = torch.zeros(count, HEIGHT, WIDTH, dtype=torch.bool)
    for mask in masks:
        y, x = random.integers(0, HEIGHT - 2 * BLOB), random.integers(0, WIDTH - 2 * BLOB)
        for row in range(BLOB):
            start = x + int(random.integers(8))
            mask[y + row, start : start + BLOB + int(random.integers(8))] = True
    return encode(masks)


def as_dictionaries(truth: Record, images: list[dict[str, torch.Tensor]], masks: list[Record] | None) -> list[float]:
    results: list[Record] = []
    for number, outputs in enumerate(images, 1):
        of_image = coco_results(outputs, number, range(1, CLASSES + 1))
        for place, result in enumerate(of_image if masks is not None else []):
            result["segmentation"] = _copy(masks, place)
        results += of_image
    results = pickle.loads(pickle.dumps(results))
    return average_precision(truth, results, "bbox", federated=True).class_ap.tolist()


def in_arrays(truth: Record, images: list[dict[str, torch.Tensor]], masks: list[Record] | None) -> list[float]:
    parts: list[Detections] = []
    for number, outputs in enumerate(images, 1):
        part = as_arrays(outputs, number, range(1, CLASSES + 1))
        if masks is not None:
            runs = RunLengths.of([_copy(masks, place) for place in range(len(part.images))])
            part = Detections(part.images, part.categories, part.scores, part.boxes, runs)
        parts.append(part)
    own = Detections.cat(parts)
    parts.clear()
    parts = [pickle.loads(pickle.dumps(own))]
    del own
    return average_precision(truth, together(parts), "bbox", federated=True).class_ap.tolist()


def _copy(masks: list[Record] | None, place: int) -> Record:
    """A mask whose bytes are its own, as those of a network are."""
    assert masks is not None
    mask = masks[place % len(masks)]
    return {"size": [*mask["size"]], "counts": bytes(bytearray(mask["counts"]))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--masks", action="store_true", help="with masks, which are carried along")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    import faster_coco_eval  # noqa: F401

    truth, detections = scene(options.images)
    images = instances(detections)
    del detections
    masks = shapes(64) if options.masks else None
    contestants = {"dictionaries": as_dictionaries, "arrays": in_arrays}
    runs = {name: alone(run, truth, images, masks) for name, run in contestants.items()}
    aps = [run.figures for run in runs.values()]
    np.testing.assert_array_equal(aps[0], aps[1])
    peaks = {name: run.peak / MIB for name, run in runs.items()}
    save(options.json, CPU, images=options.images, masks=options.masks, peak_mib=peaks)
    scale = LVIS_IMAGES / options.images
    rows = [
        [name, f"{run.peak / MIB:,.0f}", f"{run.peak / MIB * scale / 1024:,.1f}", f"{run.seconds:.0f}"]
        for name, run in runs.items()
    ]
    print(table(["Detections in", "Peak MiB", f"times {scale:.1f}, GiB", "s"], rows))


if __name__ == "__main__":
    main()
