"""iNaturalist 2018 from the official JSON files or from the list files that papers use."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from longtail.data.images.published import PublishedLT, Totals
from longtail.errors import InputError
from longtail.files.listing import Listing, missing_files
from longtail.files.tables.labels import Rows
from longtail.files.tables.table import below
from longtail.messages import escape, some
from longtail.plain import JSON, AnyPath


class INaturalist2018(PublishedLT):
    """iNaturalist 2018: 8142 species of 1000 to 2 images.

    The labels of its test images are not public. Papers report on its validation images: they are the test split here,
    and a part of the training images is held out for validation, so that the best epoch is never chosen on the test
    split.

    Class names are those of ``categories.json`` where that is in the folder of the lists, else those of the training
    file, which are made up; the list files give numbers alone.

    Args:
        root: folder that holds ``train_val2018/``.
        lists: folder of ``train2018.json`` and ``val2018.json``; or, where there is no ``train2018.json``, of
            ``iNaturalist18_train.txt`` and ``iNaturalist18_val.txt``; by default ``root``.
        val_fraction: part of every class held out of the training images for validation; 0 for none, as in the papers.
        kwargs: see ``PublishedLT``.

    Source: Van Horn et al., The iNaturalist species classification and detection dataset, CVPR 2018, and
    https://github.com/visipedia/inat_comp/tree/master/2018.
    """

    short_name: ClassVar[str | None] = "inaturalist2018"
    title = "iNaturalist 2018"
    annotations: ClassVar[dict[str, str]] = {"train": "train2018.json", "test": "val2018.json"}
    files: ClassVar[dict[str, str]] = {"train": "iNaturalist18_train.txt", "test": "iNaturalist18_val.txt"}
    published: ClassVar[dict[str, Totals]] = {
        "train": Totals(437_513, 8142, 1000, 2),
        "test": Totals(24_426, 8142, 3, 3),
    }
    mean, std = (0.466, 0.471, 0.380), (0.195, 0.194, 0.192)

    def __init__(
        self, root: AnyPath = Path("data"), lists: AnyPath | None = None, val_fraction: float = 0.1, **kwargs: Any
    ) -> None:  # the options of the base class
        super().__init__(root, lists, val_fraction=val_fraction, test_fraction=0.0, **kwargs)

    def read_lists(self) -> dict[str, Listing]:
        """Read the JSON files, or else the list files."""
        train = self.lists / self.annotations["train"]
        if not train.is_file():
            if not (self.lists / self.files["train"]).is_file():
                raise InputError(
                    f"{escape(self.lists)}: has neither {train.name} nor {self.files['train']}; "
                    f"put the files of {self.title} there, or give their folder by --data.lists"
                )
            return super().read_lists()
        listings = {name: read_annotations(file, self.root) for name, file in self.find(self.annotations).items()}
        if len(listings["test"].classes) != len(listings["train"].classes):
            raise InputError(
                f"{escape(self.lists / self.annotations['test'])}: has {len(listings['test'].classes)} categories "
                f"where {train.name} has {len(listings['train'].classes)}; give two files of the same set"
            )
        names = self.class_names(listings["train"])
        return {name: replace(listing, classes=names) for name, listing in listings.items()}

    def class_names(self, train: Listing) -> list[str]:
        """The names in ``categories.json`` where it is there, else those that the training file gives."""
        file = self.lists / "categories.json"
        if not file.is_file():
            return train.classes
        try:
            names = _names(_load(file))
        except (KeyError, TypeError, ValueError) as error:
            raise _not_ours(file, error, "categories.json") from error
        if len(names) != len(train.classes):
            raise InputError(
                f"{escape(file)}: has {len(names)} categories where the training images have {len(train.classes)}; "
                "replace or remove it"
            )
        return names


def read_annotations(file: Path, root: Path) -> Listing:
    """Read images and their labels from a JSON file in the format of COCO, with one annotation for each image.

    Args:
        file: with "images" (id, file_name), "annotations" (image_id, category_id) and "categories" (id, name), numbered
            from 0.
        root: the folder that the file names start from, and that all must lie in.

    Returns:
        One row for every image, in the order of "images". A class is called by its number where names are not unique.

    Raises:
        InputError: the file, an entry in it or an image cannot be used.
    """
    content = _load(file)
    try:
        classes = _names(content["categories"])
        files: dict[int, str] = _unique(content["images"], "images", str)
        labels: dict[int, int] = _unique(content["annotations"], "annotations", int)
        if not files:
            raise ValueError("no images")
        if files.keys() != labels.keys():
            odd = min(files.keys() ^ labels.keys())
            raise ValueError(f"image {odd} has {'no annotation' if odd in files else 'an annotation but no entry'}")
        if bad := [i for i, label in labels.items() if not 0 <= label < len(classes)]:
            count = len(classes)
            raise ValueError(f"image {bad[0]} has category {labels[bad[0]]}, there are {count}, 0 to {count - 1}")
    except (KeyError, TypeError, ValueError) as error:
        raise _not_ours(file, error, "train2018.json and val2018.json") from error
    rows = Rows(file, list(files.values()), [], list(files), "image")
    paths = below(str(root), rows)
    if missing := missing_files(paths):
        raise rows.error(
            missing[0],
            f"no such file: {some([paths[i] for i in missing])}; "
            f"unpack the images below {escape(root)}, or give another root",
        )
    return Listing(paths, np.fromiter((labels[i] for i in files), dtype=np.int64, count=len(files)), classes)


def _load(file: Path) -> Any:
    try:
        with file.open(encoding="utf-8-sig") as stream:
            return json.load(stream, object_hook=_slim)
    except OSError as error:
        raise InputError(f"{escape(file)}: cannot read it ({error.strerror}); check its permissions") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{escape(file)}: not a JSON file ({error}); unpack its archive again") from error


def _slim(entry: dict[str, JSON]) -> Any:
    """An image or an annotation as a pair, so that half a million of them take little memory; others as they are."""
    if "file_name" in entry:
        return entry.get("id"), entry["file_name"]
    if "category_id" in entry:
        return entry.get("image_id"), entry["category_id"]
    return entry


def _unique(pairs: Sequence[tuple[Any, Any]], what: str, kind: type) -> dict[Any, Any]:
    """Pairs of a number and a value as a dict; refuses other values and a number that comes twice."""
    entries = dict(pairs) if {*map(type, pairs)} <= {tuple} else {None: None}
    if not {*map(type, entries)} <= {int} or not {*map(type, entries.values())} <= {kind}:
        raise ValueError(f'entries of "{what}" lack a field or have a wrong one')
    if len(entries) < len(pairs):
        raise ValueError(f'an image comes twice in "{what}"')
    return entries


def _names(categories: Sequence[dict[str, JSON]]) -> list[str]:
    """The names of the categories in the order of their numbers, or these where the names are not unique."""
    names = {category["id"]: str(category["name"]) for category in categories}
    if len(names) < len(categories) or sorted(names) != list(range(len(names))):
        raise ValueError("categories are not numbered 0, 1, 2, ...")
    unique = len(set(names.values())) == len(names)
    return [names[i] if unique else str(i) for i in range(len(names))]


def _not_ours(file: Path, error: Exception, content: str) -> InputError:
    reason = {KeyError: f"no {error}", TypeError: "another structure"}.get(type(error), str(error))
    return InputError(f"{escape(file)}: not a file of iNaturalist 2018 ({reason}); give {content} as published")
