"""The names that people give to the parts of a set."""

import re

SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "validation", "valid", "dev"),
    "test": ("test", "testing"),
}
_ENDS = r"(?![a-z])"  # train2017 and train_b are for training, trainer is not


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
