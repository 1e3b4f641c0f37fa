"""What a share of an epoch costs one of many processes: ``python -m benchmarks.sharding [--rows N] [--world W]``.

The rows are those of a long-tailed set, drawn by every sampling. Some ranks are asked, in this process, for their
batches of an epoch, and for what is left of them after the middle.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

from benchmarks.measure import CPU, MIB, alone, save, table
from longtail.data.loader import EpochBatches
from longtail.data.sampling import DifficultySampling, Labels, PowerSampling, RepeatFactorSampling, Sampling
from longtail.difficulty import ClassDifficulty
from longtail.samplers.base import EpochSampler

Share = list[list[tuple[int, int]]]

CLASSES, BATCH, EPOCH = 1000, 64, 3
SAMPLINGS: dict[str, Sampling | None] = {
    "shuffled": None,
    "class-balanced": PowerSampling(),
    "progressive": PowerSampling(0.0, progressive=True),
    "by difficulty": DifficultySampling(),
    "repeat factor": RepeatFactorSampling(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_300_000)
    parser.add_argument("--world", type=int, default=64)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    targets = (CLASSES * torch.rand(options.rows, generator=generator) ** 3).long()
    difficulty = ClassDifficulty(CLASSES)
    difficulty.update(torch.rand(CLASSES, generator=generator))
    record = []
    for name, sampling in SAMPLINGS.items():
        sampler = sampling and sampling(Labels(targets, None, options.rows), difficulty, epochs=10, seed=0)

        def share(rank: int, world: int, size: int, start: int = 0, sampler: EpochSampler | None = sampler) -> Share:
            batches = EpochBatches(options.rows, size, True, 0, rank, world, sampler)
            batches.set_epoch(EPOCH)
            batches.start = start
            return list(batches)

        (whole,) = share(0, 1, 10**9)
        seconds = []
        for rank in range(0, options.world, -(-options.world // 4)):
            started = time.process_time()
            batches = share(rank, options.world, BATCH)
            seconds.append(time.process_time() - started)
            pairs = [pair for batch in batches for pair in batch]
            expected = whole[rank :: options.world]
            assert pairs[: len(expected)] == expected[: len(pairs)]
            assert -1 <= len(pairs) - len(expected) <= 1  # filled up, and without a last batch of a single row
        middle = len(batches) // 2
        started = time.process_time()
        assert share(rank, options.world, BATCH, middle) == batches[middle:]
        resumed = time.process_time() - started
        cost = alone(share, 0, options.world, BATCH)
        record.append(
            {
                "sampling": name,
                "rows": len(whole),
                "seconds": statistics.median(seconds),
                "resumed_seconds": resumed,
                "peak_mib": cost.peak / MIB,
            }
        )
    save(options.json, CPU, shares=record)
    rows = []
    for entry in record:
        figures = [f"{entry['seconds']:.2f}", f"{entry['resumed_seconds']:.2f}", f"{entry['peak_mib']:.0f}"]
        rows.append([str(entry["sampling"]), f"{entry['rows']:,}", *figures])
    print(table(["Draws", "Rows of an epoch", "s of a rank", "s resumed", "Peak MiB"], rows))


if __name__ == "__main__":
    main()
