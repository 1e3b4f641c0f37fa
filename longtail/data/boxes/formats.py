"""Which class reads the format of the boxes in a folder."""

from pathlib import Path
from typing import NoReturn

from longtail.data.base import LongTailData
from longtail.data.introduction import Located
from longtail.data.names import find_class, handed_on, shipped
from longtail.errors import InputError
from longtail.files.archives import refuse_archives
from longtail.files.boxes.base import BoxSet
from longtail.files.formats.layouts import box_readers, check_layout, find_layouts, in_file
from longtail.messages import command, escape


def refuse_annotations(path: Path) -> None:
    """Make sure that a path is no file of annotations, beside which the images are to be found.

    Raises:
        InputError: it is.
    """
    if path.suffix.lower() == ".json":
        way_out = f"give --data FOLDER, that of the images, and {command('--data.train', path)}"
        raise InputError(f"{escape(path)} holds annotations alone: {way_out}")
    if path.suffix.lower() in (".yaml", ".yml"):
        way_out = f"give {command('--data', path.parent)}; names and splits are read from it there"
        raise InputError(f"{escape(path)}: {way_out}")


def of_table(data: type[LongTailData], file: Path) -> Located | None:
    """What a table with boxes means as the training images of the set in its folder; None of another file."""
    layouts = in_file(file) if file.is_file() else []
    reader = next((layout.reader for layout in layouts if layout.grain == "boxes"), None)
    if reader is None:
        return None
    kind = find_class(reader)
    other = Located(kind, {"root": file.parent, "train": file})
    return other if issubclass(data, kind) else handed_on(data, _replaceable(data), other)


def other_format(data: type[LongTailData], reader: type[BoxSet], root: Path) -> Located | None:
    """The class that reads a folder in the place of ``data``, where it holds another format; else None.

    Args:
        data: the class that was asked.
        reader: what it reads.
        root: the folder.

    Raises:
        InputError: it holds several formats, or ``data`` is nobody's to replace.
    """
    layouts = box_readers(root) if root.is_dir() else {}
    kinds = {name: find_class(name) for name in layouts}
    if len(kinds) > 1:
        words = " and ".join(layout.words for layout in layouts.values())
        ways = " or ".join(_named(kind, root) for kind in kinds.values())
        raise InputError(f"{escape(root)} holds {words}: give {ways}")
    for kind in kinds.values():
        if not issubclass(reader, kind.reader):  # type: ignore[attr-defined]  # the layouts name classes of boxes alone
            return handed_on(data, _replaceable(data), Located(kind, {"root": root}))
    return None


def _replaceable(data: type[LongTailData]) -> type[LongTailData]:
    """The class itself where it is one of the package, which another may stand for; no other is."""
    return data if data in shipped().values() else LongTailData


def has_shapes(root: Path) -> bool:
    """Whether there are masks beside the boxes in a folder, as far as its layout is known."""
    return any(layout.shapes for layout in find_layouts(root))


def refuse_missing(reader: type[BoxSet], root: Path, needs: str, split: str) -> NoReturn:
    """Say that what holds a split is missing, and what is there.

    Raises:
        InputError: always.
    """
    check_layout(root, "boxes")
    refuse_other_format(reader, root)
    refuse_archives(root)
    raise InputError(f"{root} has no {needs}: give --data.{split} FILE")


def refuse_other_format(reader: type[BoxSet], root: Path) -> None:
    """Make sure that a folder without anything for ``reader`` has no boxes in another format.

    Raises:
        InputError: it has.
    """
    for name, layout in box_readers(root).items():
        kind = find_class(name)
        if not issubclass(reader, kind.reader):  # type: ignore[attr-defined]  # as above
            raise InputError(f"{escape(root)} holds {layout.words}: give {_named(kind, root)}")


def _named(kind: type[LongTailData], root: Path) -> str:
    return command("--data", kind.short_name, "--data.root", root)
