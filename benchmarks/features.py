"""Frozen features against the bare network: ``python -m benchmarks.features [--images N] [--backbone NAME]``.

The network runs over images that lie in memory as float32, and ``longtail.tasks.features`` over the same images from
uint8, in turns, in one process. Times are of the processor, so that other work on the machine changes them little.
"""

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from longtail.data import CIFAR100LT
from longtail.models import Backbone
from longtail.tasks.features import BATCH, Extraction


def main() -> int:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of cifar-100-python")
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--image-size", type=int, default=112)
    parser.add_argument("--batches", type=int, default=8, help="of a turn")
    parser.add_argument("--turns", type=int, default=5)
    known = parser.parse_args()
    data = CIFAR100LT(known.data, image_size=known.image_size, batch_size=BATCH, val_fraction=0.0)
    network = Backbone(known.backbone).eval().to(memory_format=torch.channels_last)
    extraction = Extraction(network, None, torch.device("cpu"), contextlib.nullcontext, "32-true", True)
    rows = torch.arange(known.batches * BATCH)
    images = torch.randn(BATCH, 3, known.image_size, known.image_size).contiguous(memory_format=torch.channels_last)

    def bare() -> None:
        with torch.inference_mode():
            for _ in range(known.batches):
                network(images)

    ratios = []
    for turn in range(known.turns + 1):
        seconds = [cost(bare), cost(lambda: extraction.of_rows(data, rows))]
        if turn:  # the first warms up
            ratios.append(seconds[0] / seconds[1])
            print(f"{known.batches * BATCH} images: network {seconds[0]:.2f} s, features {seconds[1]:.2f} s")
    print(f"features at {statistics.median(ratios):.3f} of the rate of the network")
    return 0


def cost(work: Callable[[], object]) -> float:
    """Seconds of the processor."""
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    sys.exit(main())
