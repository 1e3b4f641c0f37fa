"""Which images are in which split of a set in YOLO's format."""

import logging
from pathlib import Path, PurePosixPath, PureWindowsPath

from longtail.errors import InputError
from longtail.files.boxes.pairs import files_below, read_lines
from longtail.files.boxes.yolo_names import Names
from longtail.files.images.reading import SUFFIXES
from longtail.files.split_names import split_in, split_of
from longtail.messages import escape, plural, some

logger = logging.getLogger(__name__)


def find_splits(root: Path, names: Names) -> dict[str, list[Path]]:
    """Folders of images, or lists of their paths, of each split.

    Raises:
        InputError: data.yaml names training images that are not there.
    """
    if not names.splits:
        return _by_folders(root)
    splits: dict[str, list[Path]] = {}
    for split, values in names.splits.items():
        places = [_resolved(root, names.base, value) for value in values]
        if None in places:
            missing = values[places.index(None)]
            if split == "train":
                raise InputError(
                    f"{escape(names.file)}, {split}: no folder or list at {escape(missing)}; correct the path"
                )
            logger.info(f"{escape(names.file)}, {split}: there is nothing at {escape(missing)}, so no {split} split")
        else:
            splits[split] = [place for place in places if place is not None]
    for split in [split for split in splits if split != "train" and splits[split] == splits.get("train")]:
        logger.info(f"{escape(names.file)}: the images of {split} are those of train, so it is left out")
        del splits[split]
    return splits


def images_in(place: Path, root: Path) -> list[str]:
    """The images of a folder, or of a list of paths.

    Raises:
        InputError: a list names an image that is not there.
    """
    if place.is_dir():
        return files_below(place)
    if place.suffix.lower() in SUFFIXES:
        return [str(place)]
    paths = []
    for number, line in enumerate(read_lines(place), start=1):
        path = _resolved(place.parent, "", line) or _resolved(root, "", line)
        if path is None:
            raise InputError(f"{escape(place)}, line {number}: no image at {escape(line)}; correct or remove it")
        paths.append(str(path))
    return paths


def _resolved(folder: Path, base: str, value: str) -> Path | None:
    """Where a path leads: from ``base``, from ``folder``, or without leading parts that lead elsewhere; else None."""
    windows = PureWindowsPath(value)
    path = (
        PurePosixPath(*[part for part in windows.parts if part != windows.anchor])
        if "\\" in value
        else PurePosixPath(value)
    )
    for start in (folder / base, folder) if base else (folder,):
        if (place := start / path).exists():
            return place
    parts = [part for part in path.parts if part not in ("..", "/")]
    ends = (folder.joinpath(*parts[at:]) for at in range(len(parts)))
    return next((end for end in ends if end.exists()), None)


def _by_folders(root: Path) -> dict[str, list[Path]]:
    """Lists such as train.txt where they name images, or folders that are called by their split, or one for all."""
    lists = {split: root / f"{split}.txt" for split in ("train", "val", "valid", "test")}
    named = {split_of(split) or split: [file] for split, file in lists.items() if file.is_file()}
    if "train" in named:
        return named
    splits: dict[str, list[Path]] = {}
    outside = []
    for path in files_below(root):
        parts = Path(path).relative_to(root).parts[:-1]
        names = [split_of(part) or (split_in(part) if part.startswith("obj_") else None) for part in parts]
        at = next((i for i, split in enumerate(names) if split), None)
        if at is None:
            outside.append(path)
        elif (place := root.joinpath(*parts[: at + 1])) not in splits.setdefault(names[at] or "", []):
            splits[names[at] or ""].append(place)
    if not splits:
        return {"train": [root]}
    if outside:
        logger.info(f"passed over {plural(len(outside), 'image')} beside the folders of the splits: {some(outside)}")
    for split, places in splits.items():
        if len(places) > 1:
            raise InputError(f"{escape(places[0])} and {escape(places[1])} both stand for {split}: keep one of them")
    return splits
