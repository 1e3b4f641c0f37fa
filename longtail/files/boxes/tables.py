"""Boxes and shapes in tables as Hugging Face's ``datasets`` has them: a row for each image, with the objects in it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from longtail.errors import InputError
from longtail.files.boxes.base import BoxSet, Labelled
from longtail.files.boxes.builder import Builder, image_size
from longtail.files.boxes.forms import BoxForm, Form, box_form
from longtail.files.boxes.rows import RowImage, add_objects
from longtail.files.cache import kept_in
from longtail.files.listing import in_class_order
from longtail.files.tables.columnar import SUFFIXES, columnar
from longtail.files.tables.columns import Columns
from longtail.files.tables.configurations import configuration
from longtail.files.tables.features import Features, features_of
from longtail.files.tables.files import metadata_files, shards_name, shards_words, table_files, tables_by_split
from longtail.files.tables.groups import values_of_field
from longtail.files.tables.labels import Rows, text
from longtail.files.tables.nested import nested_rows, plain_columns
from longtail.files.tables.objects import find_objects
from longtail.files.tables.packed import read_columnar
from longtail.files.tables.places import placed
from longtail.files.tables.table import read_rows
from longtail.messages import escape, plural

logger = logging.getLogger(__name__)


class TableSet(BoxSet):
    """Parquet or Arrow files with the images in them, or metadata.jsonl beside the images, and a column of objects: a
    structure of lists or a list of structures with a box and a class.

    Splits are those of README.md, or told by the names of the files or their folders. Class numbers stand for the names
    in the schema, ``dataset_info.json`` or README.md; where there are none, classes are called by their numbers.

    Args:
        root: the folder.
        options: as in the base, a table each.
        name: of the configuration; None for the default.
        column: of the images, where there are several; None for the likeliest.
        form: what the numbers of a box are; None to have it told from them.
    """

    format: ClassVar[str] = "boxes in tables"
    needs: ClassVar[str] = "table with images and objects that have a bbox and a category"

    def __init__(
        self,
        root: Path,
        options: Mapping[str, Path],
        name: str | None = None,
        column: str | None = None,
        form: Form | None = None,
    ) -> None:
        self._name, self._column, self._form = name, column, form
        super().__init__(root, options)

    def find(self, options: dict[str, Path]) -> dict[str, list[Path]]:
        self.chosen = configuration(self.root, self._name)
        if options:
            self.tables = {split: [file] for split, file in options.items()}
        else:
            files = [*metadata_files(self.chosen), *table_files(self.chosen)]
            with_objects = [file for file in dict.fromkeys(files) if find_objects(file)]
            self.tables, others = tables_by_split(self.chosen, with_objects)
            if others:
                logger.info(f"{escape(self.root)}: left out {plural(len(others), 'table')} of no split")
            if "all" in self.tables:
                self.tables = {"train": self.tables.pop("all"), **self.tables}
            self._leave_out_unlabelled()
        return {split: [shards_name(files)] for split, files in self.tables.items()}

    def _leave_out_unlabelled(self) -> None:
        """Leave out test images that nobody annotated."""
        images = self.contents.get("test", [])
        if images and len(self.tables) > 1 and not any(image.objects or image.bad for image in images):
            logger.info(
                f"{escape(self.root)}: left out {plural(len(images), 'test image')}, of which none has an object"
            )
            del self.tables["test"], self.contents["test"]

    def where(self) -> str:
        words = ", ".join(f"{split} in {shards_words(self.root, files)}" for split, files in self.tables.items())
        numbers = not self._names and all(name.isdigit() for name in self.classes)
        names = "; no names, so classes are numbers" if numbers else ""
        return f"{self.chosen.words}read as {self.format}: {words}; {self.form.words}{names}"

    @cached_property
    def form(self) -> BoxForm:
        """What the numbers of the boxes of all splits are."""
        there = [image for image in self._all() if image.path is not None]
        pairs = [(entry.numbers, image.size) for image in there for entry in image.objects]
        return box_form(self.root, [numbers for numbers, _ in pairs], [size for _, size in pairs], self._form)

    @cached_property
    def classes(self) -> list[str]:
        """The names that class numbers stand for; else what the objects of all splits have, sorted."""
        labels = {text(entry.label) for image in self._all() for entry in image.objects}
        return self._names or in_class_order(list(labels))

    @cached_property
    def _names(self) -> list[str]:
        """The names that class numbers stand for, where the set has some."""
        for files in self.tables.values():
            if (objects := find_objects(files[0])) and (names := self._features(files[0]).inner.get(objects.place)):
                return names
        return []

    def _features(self, file: Path) -> Features:
        if file.suffix.lower() not in SUFFIXES:
            return features_of(file, None, self.chosen.name)
        with columnar(file) as table:
            return features_of(file, table.schema, self.chosen.name)

    @cached_property
    def contents(self) -> dict[str, list[RowImage]]:
        """The rows of each split."""
        return {
            split: [image for file in files for image in self._images(file)] for split, files in self.tables.items()
        }

    @cached_property
    def home(self) -> Path:
        """The folder that the paths of the images start from: that of the unpacked ones, where all are."""
        start = f"{kept_in(self.root, 'images')}{os.sep}"
        paths = [image.path for image in self._all() if image.path is not None]
        return Path(start) if all(path.startswith(start) for path in paths) else self.root

    def _all(self) -> Iterator[RowImage]:
        return (image for images in self.contents.values() for image in images)

    def _images(self, file: Path) -> Iterator[RowImage]:
        objects = find_objects(file)
        if objects is None:
            raise InputError(f"{escape(file)} has no {self.needs}: give another table")
        rows, paths = self._paths(file)
        for at, (values, path) in enumerate(zip(nested_rows(file, objects.columns), paths, strict=True)):
            image = RowImage(file, at, rows.numbers[at], path)
            if path is not None:
                image.size = image_size(path)
            add_objects(image, values.get(objects.column) if objects.column else values, objects)
            yield image

    def _paths(self, file: Path) -> tuple[Rows, list[str | None]]:
        """The rows of a table, and the image of each; None where it is not there."""
        columns = Columns(path=self._column, labelled=False)
        top = self.root if file.is_relative_to(self.root) else file.parent
        is_packed = file.suffix.lower() in SUFFIXES
        rows = read_columnar(file, columns, top, self.chosen.name) if is_packed else read_rows(file, columns)
        folders = [folder for folder in (rows.home, file.parent, self.root) if folder is not None]
        return rows, [placed(path, folders) for path in rows.paths]

    def read(self, split: str, masks: bool, skip_bad: bool) -> Labelled:
        builder = Builder(self.places[split], self.classes, masks)
        labels = {name: c for c, name in enumerate(self.classes)}
        images = self.contents[split]
        folder = self.home
        for image in images:
            place = f"{escape(os.path.relpath(image.file, self.root))}, row {image.row}"
            if image.path is None:
                builder.add_bad(place, "has no image, or one that is not there")
                continue
            builder.add_image(os.path.relpath(image.path, folder), *image.size)
            for where, reason in image.bad:
                builder.add_bad(f"{place}{where}", reason)
            for entry in image.objects:
                where = f"{place}, {entry.place}"
                label = labels.get(self._name_of(entry.label))
                if label is None:
                    count = plural(len(self._names), "name")
                    builder.add_bad(where, f"has class {escape(entry.label)}, which is none of the {count}, from 0 on")
                else:
                    box = self.form.xywh(entry.numbers, image.size)
                    builder.add_object(where, label, box, entry.shape, entry.crowd, entry.area)
        annotations = builder.annotations(skip_bad)
        return Labelled(annotations, folder, np.arange(len(annotations)))

    def _name_of(self, label: object) -> str:
        """The class of an object as text: of a number its name, where there are names."""
        name = text(label)
        if self._names and not isinstance(label, str) and name.isdigit():
            return self._names[int(name)] if int(name) < len(self._names) else ""
        return name

    def groups(self, split: str, name: str) -> list[str]:
        """The values in a column."""
        values: list[str] = []
        for file in self.tables[split]:
            columns = plain_columns(file)
            rows = list(nested_rows(file, [name])) if name in columns else []
            of_file = values_of_field(file, rows, name, columns)
            values += [of_file[image.at] for image in self.contents[split] if image.file == file and image.path]
        return values
