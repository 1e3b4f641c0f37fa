"""What ``--data`` means: a name, a path or a class, beside the data set that the recipe names."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from longtail.cli.hub import HUB, downloaded
from longtail.cli.options import pairs
from longtail.errors import InputError
from longtail.files.stores import is_address
from longtail.messages import escape, near_names

if TYPE_CHECKING:
    from longtail.data.base import LongTailData
    from longtail.data.introduction import Located

# Of files, in any case: `photos.ZIP` is no class.
_ENDINGS = frozenset(
    "csv tsv txt lst parquet arrow json jsonl xlsx xls yaml zip tar gz tgz bz2 xz 7z rar pkl h5".split()  # noqa: SIM905
)


def data_options(value: str, class_path: str | None) -> list[str]:
    """What ``--data VALUE`` stands for.

    Args:
        value: short name of a data set, path of a folder or a file, a set on Hugging Face's hub, the address
            of shards in a store, or a class.
        class_path: the class that the recipe or the configuration names, which is asked what a path means.

    Raises:
        InputError: if it is none of these, or the class cannot read what lies there.
    """
    if is_address(value):
        return _of_address(value, class_path)
    original, (path, configuration) = value, local_place(value)
    value = str(path) if value.startswith(HUB) else value
    must_exist = "/" in value or os.sep in value or ("." in value and not _is_class(value))
    if must_exist and not path.exists():
        raise InputError(f"no folder or table at {escape(value)}{_near(path)}")
    from longtail.data.names import find_class, import_path, shipped, short_names
    from longtail.files.formats.readers import Reader

    own = None if class_path is None else find_class(class_path)
    names = short_names(own)
    if value in names:
        return ["--data", import_path(names[value])]
    if path.exists():
        place = (own or find_class(Reader.FOLDER)).located(path)
        options = _options(place)
        if configuration is not None:
            if "configuration" not in place.data.places:
                way_out = "give a folder of the set, as hf:OWNER/NAME:FOLDER"
                raise InputError(f"--data {escape(original)}: {place.data.__name__} knows no configurations: {way_out}")
            options.append(f"--data.configuration={configuration}")
        return options if place.data is own else ["--data", import_path(place.data), *options]
    if "." in value or value in shipped():
        return ["--data", value]
    choices = ", ".join(sorted(names))
    raise InputError(f'no folder or table at "{escape(value)}", and no data set of that name: {choices}')


def local_place(value: str) -> tuple[Path, str | None]:
    """The path that ``--data`` is given, and the configuration; of a set on the hub where it lies once it is fetched.

    Raises:
        InputError: as ``downloaded``.
    """
    return downloaded(value) if value.startswith(HUB) else (Path(value), None)


def _of_address(address: str, class_path: str | None) -> list[str]:
    """What the address of shards stands for."""
    from longtail.data.names import find_class, import_path
    from longtail.files.formats.readers import Reader

    place = find_class(class_path or Reader.FOLDER).at_address(address)
    return ["--data", import_path(place.data), *_options(place)]


def _options(place: "Located") -> list[str]:
    return [f"--data.{name}={path}" for name, path in place.options.items()]


def build_data(place: Sequence[str], class_path: str | None, options: Sequence[str]) -> "LongTailData":
    """The data set of some options, without a task.

    Args:
        place: what ``data_options`` gives.
        class_path: the class that it was asked by.
        options: of the data.

    Raises:
        InputError: on a wrong option.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    from longtail.data.base import LongTailData
    from longtail.tasks.refusals import building, explain

    data_class = [] if class_path is None or "--data" in place else ["--data", class_path]
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LongTailData, "data", required=True)
    try:
        config = parser.parse_args([*data_class, *place, *options])
    except ArgumentError as error:
        raise InputError(explain(str(error))) from error
    with building():
        data: LongTailData = parser.instantiate(config).data
    return data


def data_settings(options: Sequence[str]) -> dict[str, str]:
    """The options of the data among those of a command, by their names there."""
    return {name.removeprefix("--data."): value for name, value in pairs(options) if name.startswith("--data.")}


def _is_class(value: str) -> bool:
    """Whether it could be the import path of a class."""
    *modules, name = value.split(".")
    is_named_so = all(part.isidentifier() for part in (*modules, name)) and name[0].isupper()
    return is_named_so and name.lower() not in _ENDINGS


def _near(path: Path) -> str:
    """How a message about a path that is not there goes on: with the names near it, if there are any."""
    beside = path.parent
    if not beside.is_dir():
        return f"; {escape(beside)} is no folder"
    return near_names(path.name, sorted(entry.name for entry in beside.iterdir()))


def check_table(value: str, class_path: str | None, settings: Mapping[str, str]) -> None:
    """Read a table given to ``--data``, and those for validation and test, where a class of this package does it.

    It does so before anything is imported that takes seconds. What is no table passes.

    Args:
        value: as in ``data_options``.
        class_path: as in ``data_options``.
        settings: options of the data by their names, such as "label_column", by which the table is read.

    Raises:
        InputError: on what the class would refuse about them, or an archive.
    """
    file = Path(value)
    if not file.is_file():
        return
    from longtail.files.archives import refuse_archive
    from longtail.files.formats.known import read_file
    from longtail.files.formats.layouts import check_tables
    from longtail.files.formats.readers import Reader, reader_of
    from longtail.files.tables.columns import Columns
    from longtail.files.tables.entries import Reading
    from longtail.files.tables.table import is_table

    reader = Reader.FOLDER if class_path is None else reader_of(class_path)
    if reader is None or reader.kind is None:
        return
    refuse_archive(file)
    if not is_table(file):
        return
    if "label_column" not in settings:
        check_tables(file, "images")
    columns = Columns(settings.get("path_column"), settings.get("label_column"), settings.get("group"))
    skip = settings.get("skip_bad_images", "false").lower() == "true"
    reading = Reading(reader.kind, columns, skip)
    root = Path(settings["root"]) if "root" in settings else None
    classes: Sequence[str] | None = None
    with quiet():  # what was recognised is said when the data set reads it
        for table in (str(file), settings.get("val"), settings.get("test")):
            if table is not None and not Path(table).is_dir():
                classes = next(iter(read_file(Path(table), root, reading, classes).values())).classes


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing is said inside of what is read, as it is read again."""
    package = logging.getLogger("longtail")
    level = package.level
    package.setLevel(logging.WARNING)
    try:
        yield
    finally:
        package.setLevel(level)
