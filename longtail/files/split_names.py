"""The names that people give to the parts of a set."""

import re
from collections.abc import Sequence
from pathlib import Path

SPLIT_NAMES = {
    "train": ("train", "training", "trainset"),
    "val": ("val", "validation", "valid", "dev", "valset"),
    "test": ("test", "testing", "testset", "evaluation"),
}
_ENDS = r"(?![a-z])"  # train2017 and train_b are for training, trainer is not
# What the folder of a split is called beside its split, as train_images is.
_SETS = frozenset(
    "data dataset set split image images img imgs photo photos picture pictures video videos clip clips".split()  # noqa: SIM905
)


def split_of(name: str) -> str | None:
    """The split that a name begins with, in lower case or upper: "train", "val" or "test"; else None."""
    for split, names in SPLIT_NAMES.items():
        if re.match(rf"({'|'.join(names)}){_ENDS}", name, re.IGNORECASE):
            return split
    return None


def split_in(name: str) -> str | None:
    """The split of which the name is a word in another name, such as train in images_train; else None."""
    splits = {split for word in re.split(r"[\W_]+", name) if (split := split_of(word))}
    return splits.pop() if len(splits) == 1 else None


def split_of_file(root: Path, file: Path) -> str:
    """The split of a file below ``root``, by its folder or its name; "all" where neither says one."""
    above = file.relative_to(root).parts[:-1]
    by_folder = next((split for part in above if (split := split_of(part))), None)
    return by_folder or split_of(file.stem) or split_in(file.stem) or "all"


def folder_splits(names: Sequence[str]) -> dict[str, str]:
    """The names of folders that stand for a split, and that split: "train", "val" or "test".

    These have the name of one split, and beside it numbers, words such as "images", or what the folder of another split
    has as well: Training, TEST2, train_images, seg_train beside seg_test. Others, such as train_station, are classes.
    """
    rests: dict[str, tuple[str, tuple[str, ...]]] = {}
    for name in names:
        words = re.findall(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+", name)
        splits = [split for word in words if (split := split_of(word))]
        if len(splits) == 1:
            rests[name] = splits[0], tuple(word.lower() for word in words if not split_of(word))
    return {
        name: split
        for name, (split, rest) in rests.items()
        if _SETS.issuperset(rest) or any(rest == other and split != its for its, other in rests.values())
    }
