"""Data sets that lie in one folder per class: what is looked for, and how it is found."""

# ruff: noqa: PTH112, PTH113, PTH116, PTH118, PTH119, PTH122 - paths are plain strings: objects are slow in their thousands

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from longtail.errors import InputError
from longtail.files.archives import refuse_archives
from longtail.files.images.formats import is_animated_webp
from longtail.files.images.passed_over import PassedOver, named_suffixes
from longtail.files.images.reading import SUFFIXES
from longtail.files.listing import Listing, class_rows, entries, in_class_order, is_file, is_folder, reading
from longtail.files.split_names import folder_splits
from longtail.messages import escape, some

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """What is looked for: files with certain suffixes, and with ``folders`` also folders of images alone."""

    noun: str
    suffixes: frozenset[str]
    folders: bool = False

    def has(self, path: str) -> bool:
        """Whether a file is one, by its name; a WebP is a video where it moves, else an image."""
        suffix = os.path.splitext(path)[1].lower()
        return suffix in self.suffixes or (self.folders and suffix == ".webp" and is_animated_webp(path))


# What a listing takes for a video. The content decides how a file is decoded.
VIDEO_SUFFIXES = frozenset(
    ".mp4 .avi .mkv .mov .webm .m4v .mpg .mpeg .ts .wmv .flv .ogv .gif".split()  # noqa: SIM905
)

IMAGES = Kind("image", SUFFIXES)
VIDEOS = Kind("video", VIDEO_SUFFIXES, folders=True)


def scan_folder(root: Path, kind: Kind = IMAGES, passed_over: PassedOver | None = None) -> dict[str, Listing]:
    """List the images below ``root``, where every class has a folder; or what else ``kind`` says.

    Two layouts are known, and told apart by a ``train`` folder that holds folders:

    - ``root/train/<class>/...``, with ``root/val`` and ``root/test`` where there are any, under one of the names of
      ``folder_splits``, which may come twice as in ``seg_train/seg_train/``; other folders in ``root`` are passed
      over, and so is a test folder without classes.
    - ``root/<class>/...``, a flat set that is not split yet.

    An image anywhere below a class folder belongs to that class: ``cat/2019/a.jpg`` is a ``cat``. Hidden files and
    folders, ``__MACOSX``, files without an image's suffix, and images beside the class folders are ignored. Links are
    followed, except those that lead back to a folder on the way.

    Classes are the folder names, by value where all are whole numbers and as text otherwise. A split set takes them
    from ``train``, and its other splits share them; those may lack a class.

    Args:
        root: the folder.
        kind: what is looked for.
        passed_over: counts what is passed over, where it is given.

    Returns:
        Listings under ``"train"`` and, where present, ``"val"`` and ``"test"``; or one under ``"all"``.

    Raises:
        InputError: ``root`` is missing, no folder, or cannot be read; a split has no images or no class folders;
            there are fewer than two classes; a class of ``train`` or of a flat set is empty; ``val`` or ``test`` has
            a class that ``train`` lacks; two folders stand for one split; a link to an image is broken.
    """
    if os.path.isfile(root):
        raise InputError(f"{escape(root)}: is a file; give the folder that holds the class folders")
    passed_over = PassedOver() if passed_over is None else passed_over
    places = _splits(str(root), kind, passed_over)
    splits = {split: _classes(folder, kind, passed_over) for split, folder in places.items()}
    if "all" not in places:
        words = ", ".join(f"{split} in {escape(os.path.relpath(folder, root))}" for split, folder in places.items())
        logger.info(f"read as a folder for each class: {words}")

    main = next(iter(splits))  # "train" or "all"
    classes = in_class_order(list(splits[main]))
    if empty := [name for name in classes if not splits[main][name]]:
        raise InputError(
            f"{escape(root)}: classes without any {kind.noun}{_within(main)}: {some(empty)}; "
            f"add {kind.noun}s to these folders or remove them"
        )
    if len(classes) < 2:
        raise InputError(
            f"{escape(root)}: only one class{_within(main)} ({escape(classes[0])}), at least two are needed; "
            "if that folder holds the classes, give its path instead"
        )

    listings = {}
    for split, images in splits.items():
        if unknown := [name for name in in_class_order(list(images)) if images[name] and name not in splits[main]]:
            raise InputError(
                f"{escape(root)}: {split} has classes that train lacks: {some(unknown)}; "
                "rename or remove these folders, or add them to train"
            )
        per_class = [images.get(name, []) for name in classes]
        targets = np.repeat(np.arange(len(classes), dtype=np.int64), [len(paths) for paths in per_class])
        listings[split] = Listing([path for paths in per_class for path in paths], targets, classes)
    return listings


def scan_labelled(root: Path, classes: Sequence[str], split: str, kind: Kind = IMAGES) -> Listing:
    """List the images of classes that are known: those in the folder of a split where ``root`` has it, else all.

    Args:
        root: the folder, with class folders or with train/, val/ and test/. It may lack classes.
        classes: the class names in order, such as those of the training images.
        split: "val" or "test".
        kind: what is looked for.

    Raises:
        InputError: ``root`` is missing or cannot be read, has no images, other splits alone, or another class.
    """
    folders, _ = _contents(str(root), kind)
    of_splits = folder_splits([name for name in folders if name not in classes])
    chosen = [name for name, its in of_splits.items() if its == split]
    if of_splits and len(chosen) != 1:
        raise InputError(
            f"{escape(root)}: has {some(of_splits)} and not one {split} folder; give the folder that holds the class "
            f"folders, such as {escape(root / next(iter(of_splits)))}"
        )
    folder = _innermost(os.path.join(root, chosen[0]), split, kind) if chosen else str(root)
    images = {name: paths for name, paths in _classes(folder, kind).items() if paths}
    targets = np.repeat(class_rows(folder, list(images), classes), [len(paths) for paths in images.values()])
    return Listing([path for paths in images.values() for path in paths], targets, list(classes))


def _within(split: str) -> str:
    return "" if split == "all" else f" in {split}"


def _splits(root: str, kind: Kind, passed_over: PassedOver) -> dict[str, str]:
    """The folder of every split, ``train`` first; or ``root`` itself under ``"all"``."""
    folders, _ = _contents(root, kind)
    of_splits = folder_splits(folders)
    split_folders = {
        split: [name for name, its in of_splits.items() if its == split] for split in ("train", "val", "test")
    }
    only_splits = len(folders) == len(of_splits) > 0
    # A folder called train may be a class among others: then it holds images and no folders.
    if not only_splits and not any(_contents(os.path.join(root, name), kind)[0] for name in split_folders["train"]):
        return {"all": root}
    if not split_folders["train"]:
        raise InputError(
            f"{escape(root)}: has {some(folders)} but no train folder; add one with the training {kind.noun}s"
        )
    for split, names in split_folders.items():
        if len(names) > 1:
            raise InputError(f"{escape(root)}: {' and '.join(names)} both stand for {split}; keep one of them")
    passed_over.folders += [name for name in folders if name not in of_splits]
    places = {
        split: _innermost(os.path.join(root, names[0]), split, kind) for split, names in split_folders.items() if names
    }
    if "test" in places and (unlabelled := _without_classes(places["test"], kind)):
        passed_over.unlabelled += unlabelled
        del places["test"]
    return places


def _innermost(folder: str, split: str, kind: Kind) -> str:
    """The folder of a split, or in it the one of the same name or split that is all it holds, as archives have it."""
    folders, samples = _contents(folder, kind)
    alone = not samples and len(folders) == 1
    if alone and (folders[0] == os.path.basename(folder) or folder_splits(folders) == {folders[0]: split}):
        return _innermost(os.path.join(folder, folders[0]), split, kind)
    return folder


def _without_classes(folder: str, kind: Kind) -> int:
    """The number of images right in a folder that has no others."""
    folders, samples = _contents(folder, kind)
    return 0 if folders else len(samples)


def _classes(folder: str, kind: Kind, passed_over: PassedOver | None = None) -> dict[str, list[str]]:
    """Paths of the samples in every class folder in ``folder``."""
    folders, samples = _contents(folder, kind)
    if lone := [path for name in samples if os.path.isdir(path := os.path.join(folder, name))]:
        raise InputError(
            f"{escape(lone[0])}: its images are the frames of one {kind.noun}; put it in the folder of its class, or, "
            f"if it is a class, give every {kind.noun} in it a folder of its own"
        )
    if samples and not folders:
        raise InputError(
            f"{escape(folder)}: no class folders; put the {kind.noun}s of every class in a folder of its own"
        )
    above = {_identity(str(path)) for path in (Path(folder).resolve(), *Path(folder).resolve().parents)}
    others = None if passed_over is None else passed_over.suffixes
    classes = {name: samples_below(os.path.join(folder, name), kind, above, others) for name in folders}
    if not any(classes.values()):
        refuse_archives(Path(folder))
        suffixes = ", ".join(sorted(kind.suffixes))
        instead = f"; there are {named_suffixes(others)}" if others else ""
        raise InputError(f"{escape(folder)}: no {kind.noun}s ({suffixes}) in class folders below it{instead}")
    if passed_over is not None:
        passed_over.beside += len(samples)
    return classes


def samples_below(
    folder: str, kind: Kind, above: Collection[tuple[int, int]] = (), others: Counter[str] | None = None
) -> list[str]:
    """Paths of the samples in ``folder`` and below, without entering a folder in ``above`` or any folder twice; the
    suffixes of other files are counted in ``others``."""
    paths, waiting, identities = [], [folder], set(above)
    while waiting:
        current = waiting.pop()
        if (identity := _identity(current)) in identities:
            continue
        identities.add(identity)
        folders, samples = _contents(current, kind, others)
        paths += [os.path.join(current, name) for name in samples]
        waiting += [os.path.join(current, name) for name in reversed(folders)]
    return paths


def _identity(folder: str) -> tuple[int, int]:
    """The same for all paths that lead to one folder."""
    with reading(folder):
        status = os.stat(folder)
    return status.st_dev, status.st_ino


def _contents(folder: str, kind: Kind, others: Counter[str] | None = None) -> tuple[list[str], list[str]]:
    """Sorted names of the folders and of the samples that lie directly in ``folder``; see ``samples_below``."""
    folders: list[str] = []
    samples: list[str] = []
    for entry in entries(folder):
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if is_folder(entry):
            (samples if is_sample(entry.path, kind) else folders).append(entry.name)
        elif not kind.has(entry.path):
            if others is not None:
                others[os.path.splitext(entry.name)[1].lower() or entry.name] += 1
        elif is_file(entry):
            samples.append(entry.name)
        elif entry.is_symlink():
            raise InputError(f"{escape(entry.path)}: a link to a file that is missing; restore or remove it")
    return folders, samples


def is_sample(folder: str, kind: Kind) -> bool:
    """Whether a folder is itself a sample, as the frames of a video are: images lie directly in it, and no samples."""
    if not kind.folders:
        return False
    files = [entry.path for entry in entries(folder) if not entry.name.startswith(".") and is_file(entry)]
    of_suffix = {os.path.splitext(path)[1].lower(): path for path in files}  # one of each tells
    return not SUFFIXES.isdisjoint(of_suffix) and not any(kind.has(path) for path in of_suffix.values())
