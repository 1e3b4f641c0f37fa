"""Time and memory of LVIS's average precision, against the package lvis: ``python -m benchmarks.detection_metrics``."""

import argparse
import logging
import math
import statistics
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import CPU, MIB, Run, alone, save, table
from longtail.metrics.detection import average_precision, group_ap

Record = dict[str, Any]
Figures = dict[str, list[float]]

CLASSES, LIMIT = 1203, 300
HEIGHT, WIDTH = 480, 640


def boxes(n: int, random: np.random.Generator) -> np.ndarray:
    """Boxes (n, 4) of every size from 8 to 300 pixels, inside the image."""
    sides = np.exp(random.uniform(math.log(8), math.log(300), (n, 2)))
    return np.concatenate([random.uniform(0, 1, (n, 2)) * (np.array([WIDTH, HEIGHT]) - sides), sides], 1)


def scene(images: int, seed: int = 0) -> tuple[Record, list[Record]]:
    """Long-tailed ground truth of boxes, and 300 detections an image, as a detector makes them.

    An image shows up to 4 classes with up to 5 objects each, and has up to 8 negative classes. Each object is detected
    five times, more or less well. What is left is anywhere: two fifths of the classes of the image, else of any class.
    """
    random = np.random.default_rng(seed)
    share = 1 / np.arange(1, CLASSES + 1)
    share /= share.sum()
    truth: Record = {"images": [], "annotations": []}
    detections: list[Record] = []
    for image in range(1, images + 1):
        present = np.unique(random.choice(CLASSES, 4, p=share)) + 1
        negative = np.setdiff1d(random.choice(CLASSES, 8, p=share) + 1, present)
        lists = {
            "neg_category_ids": negative,
            "not_exhaustive_category_ids": present[random.random(len(present)) < 0.2],
        }
        lists = {name: values.tolist() for name, values in lists.items()}
        truth["images"].append({"id": image, "height": HEIGHT, "width": WIDTH, **lists})

        classes = np.repeat(present, random.integers(1, 6, len(present)))
        objects = boxes(len(classes), random)
        for category, box in zip(classes.tolist(), objects.tolist(), strict=True):
            annotation = {"id": len(truth["annotations"]) + 1, "image_id": image, "category_id": category, "bbox": box}
            truth["annotations"].append({**annotation, "area": 0.7 * box[2] * box[3], "iscrowd": 0})

        moved = np.tile(objects, (5, 1))[:LIMIT]
        shift, scale = random.normal(0, 0.1, (2, len(moved), 2))
        moved = np.concatenate([moved[:, :2] + shift * moved[:, 2:], moved[:, 2:] * np.exp(scale)], 1)
        rest = LIMIT - len(moved)
        near = random.choice(np.concatenate([present, negative]), rest)
        others = np.where(random.random(rest) < 0.4, near, random.choice(CLASSES, rest, p=share) + 1)
        labels = np.concatenate([np.tile(classes, 5)[: len(moved)], others])
        scores = np.concatenate([random.random(len(moved)), random.random(rest) ** 3])
        places = np.concatenate([moved, boxes(rest, random)])
        for category, score, box in zip(labels.tolist(), scores.tolist(), places.tolist(), strict=True):
            detections.append({"image_id": image, "category_id": category, "bbox": box, "score": score})
    groups = np.digitize(np.arange(CLASSES), [400, 800])
    truth["categories"] = [{"id": c + 1, "name": str(c + 1), "frequency": "fcr"[groups[c]]} for c in range(CLASSES)]
    return truth, detections


def ours(truth: Record, detections: list[Record]) -> Figures:
    result = average_precision(truth, detections, "bbox", federated=True)
    counts = [{"f": 101, "c": 11, "r": 10}[category["frequency"]] for category in truth["categories"]]
    areas = [result.ap_small_area, result.ap_medium_area, result.ap_large_area]
    groups = group_ap(result.class_ap, counts)
    return {
        "overall": [result.ap, result.ap50, result.ap75, *areas, groups["few"], groups["medium"], groups["many"]],
        "class_ap": result.class_ap.tolist(),
    }


def theirs(truth: Record, detections: list[Record]) -> Figures:
    from lvis import LVIS, LVISEval, LVISResults

    class FromMemory(LVIS):  # it reads a file; the reading is not measured
        def _load_json(self, path: Record) -> Record:
            return path

    data = FromMemory(truth)
    evaluation = LVISEval(data, LVISResults(data, detections), "bbox")
    evaluation.run()
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf")
    precision = evaluation.eval["precision"][..., 0]
    return {
        "overall": [float(evaluation.results[name]) for name in names],
        "class_ap": np.where(precision > -1, precision, np.nan).mean((0, 1)).tolist(),
    }


def race(images: int, repeats: int) -> Record:
    truth, detections = scene(images)
    contestants = {"ours": ours, "lvis": theirs}
    runs: dict[str, list[Run[Figures]]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, run in contestants.items():
            runs[name].append(alone(run, truth, detections))
    for key in ("overall", "class_ap"):
        mine, other = (np.array(series[0].figures[key]) for series in runs.values())
        np.testing.assert_allclose(mine, other, atol=1e-6, rtol=0, err_msg=f"{key} differs")
    seconds = {name: [run.seconds for run in series] for name, series in runs.items()}
    cpu_seconds = {name: min(run.cpu_seconds for run in series) for name, series in runs.items()}
    return {
        "images": images,
        "classes": CLASSES,
        "objects": len(truth["annotations"]),
        "detections": len(detections),
        "seconds": min(seconds["ours"]),
        "lvis_seconds": min(seconds["lvis"]),
        "ratio": min(seconds["lvis"]) / min(seconds["ours"]),
        "ratio_of_medians": statistics.median(seconds["lvis"]) / statistics.median(seconds["ours"]),
        "ratio_of_cpu_seconds": cpu_seconds["lvis"] / cpu_seconds["ours"],
        "peak_mib": max(run.peak for run in runs["ours"]) / MIB,
        "lvis_peak_mib": max(run.peak for run in runs["lvis"]) / MIB,
        "ap": runs["ours"][0].figures["overall"][0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=1, help="runs of each; the fastest counts")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # lvis calls numpy and logging by names that have become old
    np.float = float  # noqa: NPY001
    import faster_coco_eval  # noqa: F401
    import lvis  # noqa: F401

    logging.disable(logging.WARNING)
    record = race(options.images, options.repeats)
    save(options.json, CPU, ("faster-coco-eval", "lvis", "numpy"), average_precision=[record])
    size = " x ".join(f"{record[name]:,}" for name in ("images", "classes", "detections"))
    rows = [
        ["longtail", size, f"{record['seconds']:.1f}", f"{record['ratio']:.1f}", f"{record['peak_mib']:.0f}"],
        ["lvis", size, f"{record['lvis_seconds']:.1f}", "1", f"{record['lvis_peak_mib']:.0f}"],
    ]
    print(table(["AP by", "Images x classes x detections", "s", "Times as fast", "Peak MiB"], rows))
    print(f"On the processor: {record['ratio_of_cpu_seconds']:.1f} times as fast. All figures agree to 1e-6.")


if __name__ == "__main__":
    main()
