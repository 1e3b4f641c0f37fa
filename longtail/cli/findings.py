"""What is found out about a data set that was read: its classes in every split, and what comes more than once."""

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from longtail.cli.examples import thumbnail
from longtail.cli.first_recipe import first_recipe, limits_of
from longtail.data.base import LongTailData
from longtail.errors import InputError
from longtail.files.images.duplicates import SIZE, Small, contents, near, small_picture
from longtail.files.images.reading import decode
from longtail.files.listing import IntArray
from longtail.files.progress import progress_bar
from longtail.reports.dataset import Copy, Dataset, Overlap

_THREADS = 8
_COPIES = 12  # of two splits that are named


def dataset_of(data: LongTailData, name: str, recognised: str, limits: Mapping[str, float | None]) -> Dataset:
    """What is known of a set once it is read.

    Args:
        data: the set.
        name: as it was given.
        recognised: what it is.
        limits: of "many" and "few", where they are given.
    """
    recipe = first_recipe(data)
    splits = data.split_names
    samples = {name: split.class_sizes(len(data.classes)) for name in splits if (split := data.split(name)) is not None}
    return Dataset(
        name,
        recognised,
        data.grain,
        data.classes,
        data.group_counts,
        data.group_noun,
        limits_of(data, recipe, limits),
        {split: data.size(split) for split in splits},
        samples,
        data.ways_out.get("val", "") if 0 in samples.get("val", []) else "",
        recipe=recipe or "NAME",
    )


def with_copies(dataset: Dataset, data: LongTailData, pictures: bool) -> Dataset:
    """The same with what comes more than once; ``pictures`` shows the copies."""
    looks = looks_of(data)
    return replace(
        dataset,
        overlaps=overlaps_of(data, looks, pictures),
        repeats=repeats_of(looks),
        disputed=disputed_of(data, looks),
        blank=sum(int((~look.pictures.any((1, 2))).sum()) for look in looks.values()),
    )


@dataclass(frozen=True)
class Looks:
    """The N samples of a split: what their content is (N,), the same number for what is equal; and small pictures of
    them."""

    contents: IntArray
    pictures: Small


def looks_of(data: LongTailData) -> dict[str, Looks]:
    """How the samples of each split look. Of a video the middle frame counts.

    A sample that cannot be decoded looks like no other.
    """
    names = data.split_names
    with progress_bar(sum(data.size(name) for name in names), "looking for copies", data.noun) as bar:
        files = {name: _paths(data, name) for name in names}
        samples = {name: _samples_of(data, name, files[name], bar.update) for name in names}
    tokens = [token for name in names for token, _ in samples[name]]
    if in_files := [paths for paths in files.values() if paths is not None]:
        numbers = contents([path for paths in in_files for path in paths])
    else:
        numbers = np.unique(tokens, return_inverse=True)[1].astype(np.int64)
    ends = np.cumsum([len(samples[name]) for name in names])
    parts = np.split(numbers, ends[:-1])
    return {
        name: Looks(part, np.stack([picture for _, picture in samples[name]]))
        for name, part in zip(names, parts, strict=True)
    }


def _paths(data: LongTailData, name: str) -> list[str] | None:
    """The files of a split; None where its samples lie in none."""
    split = data.split(name)
    path: Callable[[int], str] | None = getattr(split.images, "path", None) if split is not None else None
    return None if path is None else [path(row) for row in range(data.size(name))]


def _samples_of(
    data: LongTailData, name: str, paths: list[str] | None, progress: Callable[[int], object]
) -> list[tuple[bytes, Small]]:
    """Of each sample of a split a digest of its picture, where it lies in no file, and the picture made small."""
    stills = paths is not None and data.stills

    def one(row: int) -> tuple[bytes, Small]:
        try:
            if stills and paths is not None:
                return b"", small_picture(decode(paths[row], _reduction, getattr(data, "bit_depth", None)))
            picture = data.picture(name, row)
        except InputError:
            return b"", np.zeros(SIZE[::-1], dtype=np.uint8)
        return b"" if paths is not None else hashlib.blake2b(picture.tobytes()).digest(), small_picture(picture)

    samples = []
    with ThreadPoolExecutor(_THREADS if stills else 1) as pool:  # other readers need not be made for threads
        for result in pool.map(one, range(data.size(name))):
            samples.append(result)
            progress(1)
    return samples


def _reduction(width: int, height: int) -> float:
    """How many times smaller an image may be decoded: to four pixels for each of the small picture."""
    return min(width, height) / (4 * max(SIZE))


def overlaps_of(data: LongTailData, looks: Mapping[str, Looks], pictures: bool) -> list[Overlap]:
    """What each split shares with those before it.

    Args:
        data: the set.
        looks: of its splits.
        pictures: whether to show the copies.
    """
    names = list(looks)
    pairs = [(other, name) for i, name in enumerate(names) for other in names[:i]]
    return [_overlap(data, looks, name, other, pictures) for other, name in pairs]


def _overlap(data: LongTailData, looks: Mapping[str, Looks], name: str, other: str, pictures: bool) -> Overlap:
    ours, others = looks[name], looks[other]
    order = np.argsort(others.contents, kind="stable")
    places = np.minimum(np.searchsorted(others.contents[order], ours.contents), len(order) - 1)
    equal = order[places]
    exact = others.contents[equal] == ours.contents
    alike = near(ours.pictures, others.pictures)
    is_near = ~exact & (alike >= 0)
    rows = [*np.flatnonzero(exact)[:_COPIES], *np.flatnonzero(is_near)[:_COPIES]]
    of = np.where(exact, equal, alike)
    copies = [_copy(data, (name, int(row)), (other, int(of[row])), bool(exact[row]), pictures) for row in rows]
    return Overlap(name, other, len(exact), int(exact.sum()), int(is_near.sum()), copies)


def _copy(data: LongTailData, ours: tuple[str, int], other: tuple[str, int], exact: bool, pictures: bool) -> Copy:
    classes = _class_of(data, *ours), _class_of(data, *other)
    thumbnails = (thumbnail(data.picture, *ours), thumbnail(data.picture, *other)) if pictures else None
    differ = None not in classes and classes[0] != classes[1]
    names = ours[0], data.file_name(*ours), other[0], data.file_name(*other)
    return Copy(*names, exact, (str(classes[0]), str(classes[1])) if differ else None, thumbnails)


def _class_of(data: LongTailData, name: str, row: int) -> str | None:
    """The class of a sample; None where it may have several."""
    split = data.split(name)
    return None if split is None or split.owners is not None else data.classes[split.targets[row]]


def repeats_of(looks: Mapping[str, Looks]) -> dict[str, int]:
    """Of each split the samples whose content is in it before."""
    return {name: len(look.contents) - len(np.unique(look.contents)) for name, look in looks.items()}


def disputed_of(data: LongTailData, looks: Mapping[str, Looks]) -> int:
    """How many contents come with several classes, where a sample has a single one."""
    splits = [(split, look) for name, look in looks.items() if (split := data.split(name)) is not None]
    if any(split.owners is not None for split, _ in splits):
        return 0
    pairs = np.concatenate([np.stack([look.contents, split.targets], 1) for split, look in splits])
    numbers = np.unique(pairs, axis=0)[:, 0]
    return int((np.unique(numbers, return_counts=True)[1] > 1).sum())
