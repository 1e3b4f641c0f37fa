"""What other class frequencies cost a trained run, and what correcting for them gives back.

    python -m benchmarks.priors RUN [RUN ...] [--output FILE]

The test images of each run are resampled to long tails in the order of its training classes (forward), the opposite
(backward) and none (uniform), as test-agnostic work does it: an exponential profile from all test images of a class
down to one of 50, 25, 10, 5 or 2 (Zhang et al., Self-supervised aggregation of diverse experts, NeurIPS 2022). Accuracy
over the images as the run predicts, with the true frequencies and with those that are estimated from the same images
without their labels. The runs have to be calibrated (``longtail calibrate RUN``).
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from torch import Tensor

from longtail.counts import exponential_counts
from longtail.inference.calibration import Calibration
from longtail.posthoc.prior import estimate_prior, shift_prior
from longtail.tasks.logits import open_split

FACTORS = (50, 25, 10, 5, 2)


def rows_of(targets: Tensor, order: Tensor, factor: float) -> Tensor:
    """The first images of each class, as many as the profile asks for, most of the first class in the order."""
    per_class = int(targets.bincount().min())
    counts = exponential_counts(per_class, len(order), 1 / factor)
    return torch.cat([(targets == c).nonzero()[:n, 0] for c, n in zip(order.tolist(), counts.tolist(), strict=True)])


def measure(run: Path) -> list[dict[str, float | str]]:
    """Accuracies of a run on every profile."""
    opened = open_split(run, "test")
    counts = opened.results["train_counts"]
    calibration = Calibration.read(run, len(counts), opened.checkpoint.stem)
    if calibration is None:
        sys.exit(f"{run} is not calibrated: longtail calibrate {run}")
    logits, targets = opened.logits()
    head_first = torch.tensor(counts).argsort(descending=True, stable=True)
    uniform = torch.ones(len(head_first))
    profiles = [("forward", head_first, factor) for factor in FACTORS]
    profiles += [("uniform", head_first, 1), *(("backward", head_first.flip(0), factor) for factor in FACTORS[::-1])]
    rows: list[dict[str, float | str]] = []
    for name, order, factor in profiles:
        chosen = rows_of(targets, order, factor)
        labels, own = targets[chosen], logits[chosen]
        scaled = calibration.scaling(own.double())
        truth = labels.bincount(minlength=len(order)).double() / len(labels)
        estimate = estimate_prior(scaled, uniform)
        answers = {
            "as it is": own,
            "true": shift_prior(scaled, uniform, truth),
            "estimated": shift_prior(scaled, uniform, estimate),
        }
        accuracy = {key: 100 * float((values.argmax(1) == labels).double().mean()) for key, values in answers.items()}
        distance = 50 * float((estimate - truth).abs().sum())
        rows.append({"profile": f"{name} {factor}", "images": len(labels), **accuracy, "distance": distance})
    return rows


def main() -> None:
    """Measure the runs and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of calibrated runs")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    tables = {}
    for run in options.runs:
        tables[run.name] = measure(run)
        print(f"\n{run.name}: top-1 accuracy (%), and how much of the estimate is elsewhere (%)\n")
        heads = "".join(f"{head:>11}" for head in ("as it is", "true", "estimated", "elsewhere"))
        print(f"{'profile':<12} {'images':>7}{heads}")
        for row in tables[run.name]:
            figures = "".join(f"{row[key]:>11.1f}" for key in ("as it is", "true", "estimated", "distance"))
            print(f"{row['profile']:<12} {row['images']:>7}{figures}")
    if options.output is not None:
        options.output.write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
