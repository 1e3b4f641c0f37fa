"""What the data modules say of their options."""

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
