"""What the data modules say of their options, and their bases want to have written."""

import importlib
import re
from pathlib import Path

import pytest
from discovery import classes_of, options_of

import longtail.data
from longtail.data.base import LongTailData

KINDS = [pytest.param(kind, id=kind.__name__) for kind in classes_of(longtail.data, LongTailData)]
# Options that neither say where a set lies nor what is in which split: what its files are read as, and how they look.
OTHERS = {
    *("background", "classes", "data", "features", "frame_pattern", "frames", "ignore_index", "label_column", "masks"),
    *("path_column", "values"),
    *("bit_depth", "check_images", "class_names", "download", "full_check", "skip_bad_annotations", "skip_bad_images"),
    *("image_size", "mean", "min_scale", "padding", "preprocessing", "sampling", "std", "view", "views"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_data_module_says_of_each_of_its_options_whether_the_splits_follow_from_it(kind: type[LongTailData]) -> None:
    options = set(options_of(kind)) - {"self", "kwargs"}
    named = kind.movable | kind.split_options | kind.roots | kind.places
    assert named <= options
    assert not kind.movable & kind.split_options
    assert options - named <= OTHERS


def test_no_option_is_listed_that_no_data_module_has() -> None:
    options = {name for kind in classes_of(longtail.data, LongTailData) for name in options_of(kind)}
    assert options >= OTHERS


def unwritten(base: type[LongTailData]) -> set[str]:
    """What a class wants of those derived from it: its abstract methods, and attributes without a value."""
    attributes = {
        name
        for kind in base.__mro__
        if kind.__module__.startswith("longtail.")
        for name in vars(kind).get("__annotations__", {})
        if not hasattr(base, name)
    }
    return set(base.__abstractmethods__) | attributes


def test_the_docs_say_what_is_to_be_written_for_a_set_of_ones_own() -> None:
    page = (Path(longtail.__file__).parent.parent / "docs" / "your_data_set.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(longtail\.data\.[\w.]+)` \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE)
    assert len(rows) > 5
    for path, words in rows:
        module, _, name = path.rpartition(".")
        base = getattr(importlib.import_module(module), name)
        if not words.startswith("the same"):
            assert set(re.findall(r"`(\w+)`", words.split(";")[0])) == unwritten(base), path
