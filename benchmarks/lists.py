"""Processor seconds and memory of lists of millions: shards and tables, up to the record of the splits."""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.measure import CPU, save, table
from longtail.data import Folder, PowerSampling, RepeatFactorSampling, Table
from longtail.data.images.files import FileData
from longtail.data.record import SplitRecord
from longtail.files.shards.index import Index, Shard, ends_of

CLASSES, SHARD = 1000, 10_000  # classes, and images of a shard
SIZE = 100_000  # bytes of an image


def labels(rows: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Classes by a long tail."""
    return (CLASSES * np.random.default_rng(0).random(rows) ** 3).astype(np.int64)


def write_shards(root: Path, rows: int) -> None:
    """An index, and shards that take no room on the disk."""
    shards = []
    for at in range(-(-rows // SHARD)):
        path = root / f"all-{at:06}.tar"
        path.touch()
        os.truncate(path, SHARD * SIZE)
        shards.append(Shard(path.name, "all", SHARD * SIZE, ends_of(str(path), SHARD * SIZE)))
    names = [f"n{label:08}/n{label:08}_{row}.jpg" for row, label in enumerate(labels(rows).tolist())]
    row = np.arange(rows)
    lengths = np.random.default_rng(1).integers(SIZE // 2, SIZE - 1024, rows)
    classes = [f"n{label:08}" for label in range(CLASSES)]
    Index(shards, classes, True, "", row // SHARD, row % SHARD * SIZE, lengths, labels(rows), names, []).write(root)


def write_table(root: Path, rows: int) -> None:
    """A table, and empty files."""
    for label in range(CLASSES):
        (root / f"n{label:08}").mkdir()
    paths = [f"n{label:08}/n{label:08}_{row}.jpg" for row, label in enumerate(labels(rows).tolist())]
    for path in paths:
        os.close(os.open(root / path, os.O_CREAT))
    (root / "images.csv").write_text("path,label\n" + "".join(f"{path},{path[:9]}\n" for path in paths))


@contextmanager
def timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    start = time.process_time()
    yield
    seconds[what] = time.process_time() - start


def measure(data: FileData, run: Path) -> dict[str, float]:
    """Processor seconds of the steps before a training, and the most memory of the process."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds: dict[str, float] = {}
    with timed(seconds, "list and splits"):
        train = data.splits.train
    for sampling in (PowerSampling(), RepeatFactorSampling()):
        data.sampling = sampling
        with timed(seconds, type(sampling).__name__):
            next(iter(data.batches("train")))
    with timed(seconds, "split record"):
        record = SplitRecord.of(data)
        assert record is not None
        record.write(run)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # in KiB
    return {**seconds, "rows": len(train), "GiB": memory / 2**20}


def one(kind: str, root: Path) -> None:
    """The figures of a kind, as JSON."""
    options = {"check_images": False, "image_size": 224, "num_workers": 0}
    data = Folder(root, **options) if kind == "shards" else Table(root / "images.csv", **options)
    print(json.dumps(measure(data, root)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_300_000)
    parser.add_argument("--kinds", nargs="+", default=["shards", "table"])
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return one(options.one[0], Path(options.one[1]))
    found = {}
    for kind in options.kinds:
        with tempfile.TemporaryDirectory() as name:
            {"shards": write_shards, "table": write_table}[kind](Path(name), options.rows)
            command = [sys.executable, "-m", "benchmarks.lists", "--one", kind, name]
            found[kind] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    save(options.json, CPU, **found)
    names = list(next(iter(found.values())))
    rows = [[kind, *(f"{its[name]:,.1f}" for name in names)] for kind, its in found.items()]
    print(table([f"{options.rows:,} rows", *names], rows))


if __name__ == "__main__":
    main()
