"""Processor seconds and memory of lists of millions: shards and tables, up to the record of the splits."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.measure import CPU, save, status, table
from longtail.data import Folder, PowerSampling, RepeatFactorSampling, Table
from longtail.data.images.files import FileData
from longtail.data.record import SplitRecord
from longtail.files.shards.index import Index, Shard, ends_of
from longtail.files.states import file_sizes
from longtail.files.texts import Block

SHARD = 10_000  # images of a shard
SIZE = 100_000  # bytes of an image
FILES = 1000  # empty ones, which many folders of a table show by links


def labels(rows: int, classes: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Classes by a long tail, of which each has two images at least."""
    numbers = (classes * np.random.default_rng(0).random(rows) ** 3).astype(np.int64)
    numbers[: 2 * classes] = np.arange(2 * classes) % classes
    return numbers


def write_shards(root: Path, rows: int, classes: int) -> None:
    """An index, and shards that take no room on the disk."""
    shards = []
    for at in range(-(-rows // SHARD)):
        path = root / f"all-{at:06}.tar"
        path.touch()
        os.truncate(path, SHARD * SIZE)
        shards.append(Shard(path.name, "all", SHARD * SIZE, ends_of(str(path), SHARD * SIZE)))
    names = Block.of(f"n{label:08}/n{label:08}_{row}.jpg" for row, label in enumerate(labels(rows, classes).tolist()))
    row = np.arange(rows)
    lengths = np.random.default_rng(1).integers(SIZE // 2, SIZE - 1024, rows)
    words = [f"n{label:08}" for label in range(classes)]
    columns = (row // SHARD, row % SHARD * SIZE, lengths, labels(rows, classes))
    Index(shards, words, True, "", *columns, names, []).write(root)


def write_table(root: Path, rows: int, classes: int) -> None:
    """A table of different paths, in folders that are links to a single one."""
    (root / "files").mkdir()
    for at in range(FILES):
        (root / f"files/n{at:08}_00000.jpg").touch()
    for at in range(-(-rows // FILES)):
        (root / f"n{at:08}").symlink_to("files")
    with (root / "images.csv").open("w") as file:
        file.write("path,label\n")
        for row, label in enumerate(labels(rows, classes).tolist()):
            file.write(f"n{row // FILES:08}/n{row % FILES:08}_00000.jpg,n{label:08}\n")


@contextmanager
def timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    start = time.process_time()
    yield
    seconds[what] = time.process_time() - start


def grown(before: int) -> float:
    """GiB of this process at the peak beyond those before; ``ru_maxrss`` would count the process that started it."""
    return (status("VmHWM") - before) / 2**30


def first_time(data: FileData, run: Path) -> dict[str, float]:
    """Processor seconds of the steps before a training, and the most memory."""
    before = status("VmRSS")
    seconds: dict[str, float] = {}
    with timed(seconds, "list and splits"):
        data.splits  # noqa: B018 - it is read on first use
    for sampling in (PowerSampling(), RepeatFactorSampling()):
        data.sampling = sampling
        with timed(seconds, type(sampling).__name__):
            next(iter(data.batches("train")))
    with timed(seconds, "split record"):
        record = SplitRecord.of(data)
        assert record is not None
        record.write(run)
    memory = {"GiB": grown(before), "GiB of imports": before / 2**30}
    with timed(seconds, "sizes of files, in the record"):
        for listing in data._listings.values():
            file_sizes(listing.paths)
    return {**seconds, **memory}


def again(data: FileData, run: Path) -> dict[str, float]:
    """The same of the splits of a run that are found again."""
    before = status("VmRSS")
    seconds: dict[str, float] = {}
    with timed(seconds, "splits by the record"):
        record = SplitRecord.read(run)
        assert record is not None
        data.keep_splits(record, measured_alone=False)
        data.splits  # noqa: B018 - as above
    return {**seconds, "GiB by the record": grown(before)}


def one(step: str, kind: str, root: Path) -> None:
    """The figures of a step, as JSON."""
    options = {"check_images": False, "image_size": 224, "num_workers": 0}
    data = Folder(root, **options) if kind == "shards" else Table(root / "images.csv", **options)
    print(json.dumps({"first": first_time, "again": again}[step](data, root)))


def figures_of(kind: str, rows: int, classes: int) -> dict[str, float]:
    """All figures of a kind of set, from a process for each step."""
    figures: dict[str, float] = {"rows": rows, "classes": classes}
    with tempfile.TemporaryDirectory() as name:
        {"shards": write_shards, "table": write_table}[kind](Path(name), rows, classes)
        for step in ("first", "again"):
            command = [sys.executable, "-m", "benchmarks.lists", "--one", step, kind, name]
            figures |= json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=["1300000x1000"], help="ROWSxCLASSES each")
    parser.add_argument("--kinds", nargs="+", default=["shards", "table"])
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        step, kind, root = options.one
        return one(step, kind, Path(root))
    sizes = [tuple(map(int, size.split("x"))) for size in options.sets]
    records = [{"kind": kind, **figures_of(kind, *size)} for size in sizes for kind in options.kinds]
    save(options.json, CPU, lists=records)
    names = list(records[0])
    rows = [[str(value) if isinstance(value, str) else f"{value:,.1f}" for value in its.values()] for its in records]
    print(table(names, rows))


if __name__ == "__main__":
    main()
