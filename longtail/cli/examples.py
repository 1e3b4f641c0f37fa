"""A few examples of each class of a data set, as pictures within a page."""

from collections.abc import Callable

from PIL import Image

from longtail.data.base import LongTailData
from longtail.errors import InputError
from longtail.reports.overlays import data_uri

_MOST, _PICTURES, _LONGEST = 3, 600, 96  # of a class, of a page, pixels of a side


def examples_of(data: LongTailData) -> list[list[str]]:
    """Of each class (C,) pictures of training samples, as data URIs, chosen and shown as the set says.

    What cannot be decoded is left out. Of many classes each has fewer, and one at least.
    """
    chosen = data.example_rows(max(1, min(_MOST, _PICTURES // len(data.classes))))
    pictures = [[thumbnail(data.example, row, label) for row in rows] for label, rows in enumerate(chosen)]
    return [[uri for uri in of_class if uri] for of_class in pictures]


def thumbnail(picture: Callable[..., Image.Image], *of: object) -> str:
    """The data URI of a small picture, made of these; empty where it cannot be decoded."""
    try:
        return data_uri(picture(*of), _LONGEST)
    except InputError:
        return ""
