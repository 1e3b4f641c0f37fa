"""Images per second of the loader, from files and from shards, decoded each time and decoded once."""

import argparse
import logging
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.augmentation import photos, write_photos
from benchmarks.measure import CPU, race, save, table
from longtail.data import Folder
from longtail.files.shards.packing import pack

BATCH = 64


def looks(n: int) -> Iterator[Tensor]:
    """Photos of 500 x 375 pixels, 50 of them, each of which comes again turned a little further."""
    originals = photos(50, 375, 500)
    return (originals[i % 50].roll(i // 50, 2) for i in range(n))


def loading(root: Path, batches: int, **options: object) -> Callable[[], None]:
    """Fetches training batches, each time those of another epoch."""
    data = Folder(root, batch_size=BATCH, num_workers=0, image_size=224, check_images=False, **options)  # type: ignore[arg-type]
    loader = data.train_dataloader()
    epoch = iter(range(10**6))

    def run() -> None:
        loader.sampler.set_epoch(next(epoch))  # type: ignore[union-attr]
        for _ in islice(loader, batches):
            pass

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--batches", type=int, default=5, help="of each turn")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("longtail").setLevel(logging.INFO)
    with tempfile.TemporaryDirectory() as name:
        files, shards = Path(name) / "files", Path(name) / "shards"
        write_photos(files, looks(options.images), 90)
        data = Folder(files)
        listings = data.list_images()
        pack(shards, listings, {split: data.file_names(split, its) for split, its in listings.items()}, 10**8)
        contestants = {
            "files": loading(files, options.batches),
            "shards": loading(shards, options.batches),
            "files, cache disk": loading(files, options.batches, cache="disk"),
            "files, cache disk, 256": loading(files, options.batches, cache="disk", cache_size=256),
            "shards, cache disk, 256": loading(shards, options.batches, cache="disk", cache_size=256),
        }
        times = race(contestants, CPU, options.repeats)
    images = options.batches * BATCH
    rates = {what: images / time.least for what, time in times.items()}
    save(options.json, CPU, images_per_second=rates)
    rows = [[what, f"{rate:,.0f}", f"{rate / rates['files']:.2f}"] for what, rate in rates.items()]
    print(table(["Images from", "Per second", "Ratio"], rows))


if __name__ == "__main__":
    main()
