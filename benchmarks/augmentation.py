"""Views per second on one core, against torchvision: ``python -m benchmarks.augmentation [--json FILE]``."""

import argparse
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import default_collate

from benchmarks.measure import CPU, race, save, table
from benchmarks.rival import ViewsOfArrays, ViewsOfFiles, cifar_views, file_views
from longtail.augment import AutoAugmentView, ClassifierView, PadCrop, SimView, View
from longtail.data import CIFAR100LT, Folder

Record = dict[str, Any]


def photos(n: int, height: int, width: int) -> Tensor:
    """Random images with as much detail at every scale, as in photos, uint8 (n, 3, height, width)."""
    images = torch.zeros(n, 3, height, width)
    scale = 1
    while scale < min(height, width):
        noise = torch.randn(n, 3, height // scale + 2, width // scale + 2)
        noise = 0.8 * noise.mean(1, keepdim=True) + 0.2 * noise  # mostly grey
        images += F.interpolate(noise, size=(height, width), mode="bicubic")
        scale *= 2
    low, high = images.amin(dim=(1, 2, 3), keepdim=True), images.amax(dim=(1, 2, 3), keepdim=True)
    return ((images - low) / (high - low) * 255).to(torch.uint8)


def write_photos(folder: Path, images: Iterable[Tensor], quality: int) -> list[Path]:
    """JPEG of images (3, height, width), in two classes by turns."""
    paths = []
    for i, image in enumerate(images):
        path = folder / f"class{i % 2}" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path, quality=quality)
        paths.append(path)
    return paths


def compare(what: str, views: int, ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> Record:
    times = race({"ours": ours, "torchvision": theirs}, CPU, repeats)
    return {
        "views": what,
        "per_second": views / times["ours"].least,
        "torchvision_per_second": views / times["torchvision"].least,
        "ratio": times["torchvision"].least / times["ours"].least,
        "ratio_of_medians": times["torchvision"].median / times["ours"].median,
    }


def in_memory(repeats: int, n: int = 256) -> list[Record]:
    """Views of a batch of CIFAR-sized images."""
    images = photos(n, 32, 32)
    pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
    crop, normalise = PadCrop(4), CIFAR100LT.usual.parts()[0]
    generator = torch.Generator().manual_seed(0)

    def ours(view: View) -> Callable[[], Tensor]:
        return lambda: normalise(view(crop(images, generator), generator))

    def theirs(transform: Callable[[Image.Image], Tensor]) -> Callable[[], object]:
        data = ViewsOfArrays(pixels, [0] * n, [transform])
        return lambda: default_collate([data[i] for i in range(n)])

    classifier, contrastive = cifar_views((normalise.mean, normalise.std))
    return [
        compare("crop, flip, AutoAugment, Cutout; 32 px", n, ours(AutoAugmentView()), theirs(classifier), repeats),
        compare("crop, flip, jitter, grey; 32 px", n, ours(SimView()), theirs(contrastive), repeats),
    ]


def from_files(repeats: int, n: int = 64) -> list[Record]:
    """Three views of every file of a batch: the classifier's and two contrastive ones."""
    with tempfile.TemporaryDirectory() as name:
        paths = write_photos(Path(name), photos(n, 375, 500), 95)
        views: Sequence[View] = [ClassifierView(), SimView(), SimView()]
        data = Folder(Path(name), views=views, batch_size=n, num_workers=0, image_size=224, val_fraction=0)
        trainer = SimpleNamespace(training=True, testing=False, world_size=1, global_rank=0, max_epochs=1)
        data.trainer = trainer  # type: ignore[assignment]
        loader = data.train_dataloader()
        transforms = file_views(224, data.min_scale, (data.normalise.mean, data.normalise.std))
        rival = ViewsOfFiles(paths, transforms)

        def ours() -> object:
            return [data.on_after_batch_transfer(batch, 0) for batch in loader]

        def theirs() -> object:
            return default_collate([rival[i] for i in range(n)])

        return [compare("three views of a JPEG of 500 x 375; 224 px", 3 * n, ours, theirs, repeats)]


def line(record: Record) -> list[str]:
    rates = [f"{record[key]:,.0f}" for key in ("per_second", "torchvision_per_second")]
    return [record["views"], *rates, f"{record['ratio']:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    records = [*in_memory(repeats=30), *from_files(repeats=7)]
    save(options.json, CPU, augmentation=records)
    print(table(["Views", "Per second", "Torchvision", "Ratio"], [line(record) for record in records]))


if __name__ == "__main__":
    main()
