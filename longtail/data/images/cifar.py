"""CIFAR-10-LT and CIFAR-100-LT from the official files."""

import hashlib
import tarfile
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from longtail.augment.base import View
from longtail.augment.preprocessing import Preprocessing
from longtail.counts import exponential_counts, long_tail_subset, step_counts
from longtail.data.images.memory import MemoryData, TensorImages
from longtail.data.sampling import Sampling
from longtail.data.split import check_fraction, stratified_split
from longtail.data.splits import Split, Splits
from longtail.errors import InputError
from longtail.files.pickles import Array, read_pickle
from longtail.plain import AnyPath

PROFILES: dict[str, Callable[[int, int, float], torch.Tensor]] = {
    "exponential": exponential_counts,
    "step": step_counts,
}
_MOST_CLASSES = 100
Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]


class CifarLT(MemoryData):
    """Base of the two: exponential or step profile of the training images, the published subset with subset seed 0.

    Args:
        root: folder that holds (or, with ``download``, gets) the official ``cifar-10-batches-py`` or
            ``cifar-100-python`` folder.
        factor: imbalance factor, smallest over largest class.
        profile: "exponential" or "step".
        subset_seed: of the choice of images; 0 is the published one.
        val_per_class: images of every class held out for validation before the imbalance is made.
        val_fraction: part of every class held out for validation after it; used if ``val_per_class`` is 0.
        download: fetch the official archive, checked by its checksum, if the folder is not there.
        views: what augments each view of a training image.
        batch_size: images of a batch in one process.
        padding: zero padding of the random crop of a view that does not say how it crops, in pixels.
        sampling: how training images are drawn; each once an epoch where left out.
        image_size: side of the images that the network sees, in pixels; 32 where left out.
        preprocessing: see ``ImageData``.
        test_crops: see ``MemoryData``.
        class_names: see ``ImageData``.
    """

    needs: ClassVar[str] = "give the folder that holds that of the official files, or --data.download true"
    movable: ClassVar[frozenset[str]] = MemoryData.movable | {"root"}
    roots: ClassVar[frozenset[str]] = frozenset()
    split_options: ClassVar[frozenset[str]] = frozenset(
        {"factor", "profile", "subset_seed", "val_per_class", "val_fraction"}
    )
    folder: ClassVar[str]
    train_files: ClassVar[tuple[str, ...]]
    test_file: ClassVar[str]
    label_key: ClassVar[bytes]
    meta: ClassVar[tuple[str, bytes]]
    archive: ClassVar[tuple[str, str]]  # address, md5
    native_size = 32

    def __init__(
        self,
        root: AnyPath = Path("data"),
        factor: float = 0.01,
        profile: str = "exponential",
        subset_seed: int = 0,
        val_per_class: int = 0,
        val_fraction: float = 0.1,
        download: bool = False,
        views: Sequence[View] | None = None,
        batch_size: int = 128,
        padding: int = 4,
        sampling: Sampling | None = None,
        image_size: int | None = None,
        preprocessing: Preprocessing | None = None,
        test_crops: int = 1,
        class_names: AnyPath | None = None,
    ) -> None:
        super().__init__(views, batch_size, padding, sampling, image_size, preprocessing, test_crops, class_names)
        if profile not in PROFILES:
            raise InputError(f'unknown profile "{profile}": choose from {", ".join(PROFILES)}')
        if not 0 < factor <= 1:
            raise InputError(f"factor must be in (0, 1], got {factor}")
        check_fraction("val_fraction", val_fraction)
        self.root, self.factor, self.profile, self.subset_seed = Path(root), factor, profile, subset_seed
        self.val_per_class, self.val_fraction, self.download = val_per_class, val_fraction, download

    @property
    def source(self) -> str:
        """The official folder, and the profile."""
        return f"{self.root / self.folder} ({self.profile}, factor {self.factor:g})"

    def prepare_data(self) -> None:
        """Download the official archive if that was asked for and the folder is not there."""
        if self.download and not (self.root / self.folder).is_dir():
            download_archive(*self.archive, self.root)

    def read(self) -> Splits:
        """Read the official files and make the long tail."""
        self.prepare_data()
        folder = self.root / self.folder
        if not folder.is_dir():
            raise InputError(
                f"{folder} is not there: give its parent folder by --data.root, or fetch it by --data.download true"
            )
        parts = [self._read_split(folder / name) for name in self.train_files]
        images = np.concatenate([part[0] for part in parts])
        targets = np.concatenate([part[1] for part in parts])
        classes = self._read_classes(folder / self.meta[0])
        if len(classes) <= targets.max() or len(set(np.bincount(targets, minlength=len(classes)).tolist())) > 1:
            raise _odd(folder, f"its {len(classes)} classes have not the same number of images")

        rows = np.arange(len(targets))
        val_rows = rows[:0]
        largest = int(np.bincount(targets).max())
        if self.val_per_class:
            if not 0 < self.val_per_class < largest:
                raise InputError(f"val_per_class must be in 1..{largest - 1}, got {self.val_per_class}")
            held_out = long_tail_subset(targets, [self.val_per_class] * len(classes), self.subset_seed)
            val_rows, rows = held_out, np.setdiff1d(rows, held_out)
            largest -= self.val_per_class
        counts = PROFILES[self.profile](largest, len(classes), self.factor)
        rows = rows[long_tail_subset(targets[rows], counts, self.subset_seed)]
        if not self.val_per_class and self.val_fraction:
            rest, held = stratified_split(targets[rows], self.val_fraction, self.subset_seed)
            rows, val_rows = rows[rest], rows[held]

        val = _split(images[val_rows], targets[val_rows]) if len(val_rows) else None
        return Splits(
            classes, _split(images[rows], targets[rows]), val, _split(*self._read_split(folder / self.test_file))
        )

    def _read_split(self, file: Path) -> Arrays:
        content = _unpickle(file)
        images, labels = content.get(b"data"), content.get(self.label_key)
        if not isinstance(images, Array) or images.values.dtype != np.uint8 or images.values.size % 3072:
            raise _odd(file, "no images")
        pixels = images.values.astype(np.uint8, copy=False).reshape(-1, 3, 32, 32)
        if not isinstance(labels, list) or len(labels) != len(pixels) or not labels:
            raise _odd(file, "not a label for each image")
        if not all(type(label) is int and 0 <= label < _MOST_CLASSES for label in labels):
            raise _odd(file, "a label that is no class")
        return pixels, np.array(labels, dtype=np.int64)

    def _read_classes(self, file: Path) -> list[str]:
        names = _unpickle(file).get(self.meta[1])
        if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
            raise _odd(file, "no names of classes")
        return [name.decode("utf-8", "backslashreplace") for name in names]


class CIFAR10LT(CifarLT):
    """CIFAR-10-LT; see ``CifarLT``."""

    short_name: ClassVar[str | None] = "cifar10_lt"
    folder = "cifar-10-batches-py"
    train_files = tuple(f"data_batch_{i}" for i in range(1, 6))
    test_file = "test_batch"
    label_key = b"labels"
    meta = ("batches.meta", b"label_names")
    archive = ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a")
    usual = Preprocessing((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010), "bilinear", 1.0)


class CIFAR100LT(CifarLT):
    """CIFAR-100-LT; see ``CifarLT``."""

    short_name: ClassVar[str | None] = "cifar100_lt"
    folder = "cifar-100-python"
    train_files = ("train",)
    test_file = "test"
    label_key = b"fine_labels"
    meta = ("meta", b"fine_label_names")
    archive = ("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85")
    usual = Preprocessing((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761), "bilinear", 1.0)


def _split(images: NDArray[np.uint8], targets: NDArray[np.int64]) -> Split:
    return Split(TensorImages(torch.from_numpy(images), torch.from_numpy(targets)), targets)


def _unpickle(file: Path) -> dict[Any, Any]:
    try:
        content = read_pickle(file)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {file} ({error}): unpack the official archive again") from error
    if not isinstance(content, dict):
        raise _odd(file, "it holds no mapping")
    return content


def _odd(file: Path, reason: str) -> InputError:
    return InputError(f"{file} is not an official CIFAR file ({reason}): unpack the official archive again")


def download_archive(address: str, md5: str, root: Path) -> None:
    """Download an archive to ``root``, check its md5 sum, and unpack it there.

    Raises:
        InputError: if it cannot be had, or its checksum is wrong; nothing is left behind.
    """
    root.mkdir(parents=True, exist_ok=True)
    archive = root / (address.rsplit("/", 1)[-1] + ".part")
    try:
        urllib.request.urlretrieve(address, archive)
        digest = hashlib.md5(archive.read_bytes()).hexdigest()
        if digest != md5:
            raise InputError(f"{address}: the checksum of the download is {digest}, expected {md5}; try again")
        with tarfile.open(archive) as tar:
            tar.extractall(root, filter="data")
    except OSError as error:
        raise InputError(f"cannot download {address} ({error}): fetch it by hand and unpack it in {root}") from error
    finally:
        archive.unlink(missing_ok=True)
