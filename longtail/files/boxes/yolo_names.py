"""The names of the classes of a set in YOLO's format, and what else data.yaml says."""

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from longtail.errors import InputError
from longtail.files.boxes.pairs import read_lines, read_text
from longtail.messages import escape
from longtail.plain import JSON

_LISTS = (
    "classes.txt",
    "obj.names",
    "labels/classes.txt",
    "train/classes.txt",
    "train/obj.names",
    "predefined_classes.txt",
)


@dataclass
class Names:
    """The class names, the file that has them, and the paths of each split.

    Attributes:
        file: None where there is none.
        classes: in the order of their numbers; empty where they are not told.
        splits: paths as in data.yaml, of "train", "val" and "test".
        base: what these start from, as in data.yaml.
        poses: whether boxes are followed by key points.
    """

    file: Path | None = None
    classes: list[str] = field(default_factory=list)
    splits: dict[str, list[str]] = field(default_factory=dict)
    base: str = ""
    poses: bool = False


def find_names(root: Path) -> Names:
    """Those of data.yaml or another YAML file with "names" in ``root``, or of a list such as classes.txt.

    Raises:
        InputError: there are several such YAML files, or one is not as it should be.
    """
    files = sorted(path for path in root.iterdir() if path.suffix.lower() in (".yaml", ".yml") and path.name[0] != ".")
    described = [names for file in files if (names := _described(file)) is not None]
    named = [names for names in described if names.file and names.file.stem == "data"] or described
    if len(named) > 1:
        raise InputError(f"{escape(root)} has {named[0].file} and {named[1].file}, both with names: keep one of them")
    if named:
        return named[0]
    for name in (*_LISTS, *(path.name for path in sorted(root.glob("*.names")))):
        if (file := root / name).is_file():
            return Names(file, read_lines(file))
    return Names()


def _described(file: Path) -> Names | None:
    """What a YAML file says; None where it has no names."""
    try:
        content = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"{escape(file)}{line}: not YAML ({getattr(error, 'problem', error)}); correct it") from error
    if not isinstance(content, dict) or "names" not in content:
        return None
    splits: dict[str, list[str]] = {}
    for split, keys in {"train": ["train"], "val": ["val", "valid", "validation"], "test": ["test"]}.items():
        values = [content[key] for key in keys if content.get(key)]
        paths = [path for value in values for path in (value if isinstance(value, list) else [value])]
        if not all(isinstance(path, str) for path in paths):
            raise InputError(f"{escape(file)}, {split}: not a path or a list of paths")
        splits |= {split: paths} if paths else {}
    return Names(file, _classes(file, content), splits, str(content.get("path") or ""), "kpt_shape" in content)


def _classes(file: Path, content: dict[str, JSON]) -> list[str]:
    names = content["names"]
    if isinstance(names, dict):
        numbers = [int(key) if str(key).isdigit() else -1 for key in names]
        if sorted(numbers) != list(range(len(numbers))):
            raise InputError(f"{escape(file)}, names: the numbers of the classes are not 0, 1, 2, ... to the last")
        names = [name for _, name in sorted(zip(numbers, names.values(), strict=True))]
    if not isinstance(names, list) or not names:
        raise InputError(f"{escape(file)}, names: neither a list of names nor a name for each number")
    count = content.get("nc", len(names))
    if count != len(names):
        raise InputError(f"{escape(file)}: nc is {count}, and there are {len(names)} names; correct one of them")
    return [str(name) for name in names]
