"""What is said of a data set before a training, from facts that were made up."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from longtail.reports.dataset import Copy, Dataset, Overlap, duplicate_words, validation_words
from longtail.reports.dataset_page import dataset_page
from longtail.reports.grains import IMAGES, MASKS
from longtail.reports.tail import ROWS, tail_table

from .sample import HOSTILE, Tags, picture

COUNTS = [500, 60, 12, 3]


def make_dataset(classes: int = 4, hostile: bool = False, **changes: Any) -> Dataset:
    """A set of made-up classes, two of whose validation images are copies."""
    counts = (COUNTS * classes)[:classes]
    names = [f"class {c}" for c in range(classes)]
    if hostile:
        names[: len(HOSTILE)] = HOSTILE[:classes]
    pictures = (picture(np.random.default_rng(0)),) * 2
    pair = (names[0], names[-1])
    copies = [
        Copy("val", names[0], "train", "b" * 200, True, pair, pictures),
        Copy("val", "v.png", "train", "t.png", False, None, pictures),
    ]
    dataset = Dataset(
        "a" * 200,
        "images in a folder for each class",
        IMAGES,
        names,
        counts,
        "image",
        {"many": 100, "few": 20},
        {"train": sum(counts), "val": 3 * classes},
        {"train": counts, "val": [3] * classes},
        notes=["left out <b>1</b> file"],
        lines=[("data", "a set")],
        overlaps=[Overlap("val", "train", 3 * classes, 1, 1, copies)],
        repeats={"train": 1, "val": 0},
        disputed=2,
        recipe="logit_adjusted: few images",
        next="longtail fit --data a",
    )
    return replace(dataset, **changes)


def rows(dataset: Dataset, width: int = 100) -> list[list[str]]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(tail_table(dataset))
    return [[part for part in line.rstrip().split("  ") if part] for line in capture.get().splitlines()]


def test_each_class_has_a_bar_by_the_logarithm_of_its_count() -> None:
    table = rows(make_dataset())
    assert [row[:3] for row in table] == [
        ["class 0", "500", "many"],
        ["class 1", " 60", "medium"],
        ["class 2", " 12", "few"],
        ["class 3", "3", "few"],
    ]
    span = np.log10(500) - np.log10(0.3)
    expected = [round(40 * (np.log10(count) - np.log10(0.3)) / span) for count in COUNTS]
    assert [len(row[3].strip()) for row in table] == expected == [40, 29, 20, 12]


def test_many_classes_share_rows_and_none_is_lost() -> None:
    table = rows(make_dataset(100))
    assert len(table) == ROWS
    assert sum(1 + int(row[0].split(" and ")[1].split()[0]) for row in table) == 100
    assert table[0][:3] == ["class 0 and 4 more", "500", "many"]


def test_classes_without_any_and_of_one_size() -> None:
    assert [len(row) for row in rows(make_dataset(group_counts=[5, 5, 0, 0]))] == [4, 4, 3, 3]
    assert {len(row[3]) for row in rows(make_dataset(group_counts=[7] * 4))} == {40}
    assert [len(row) for row in rows(make_dataset(group_counts=[0] * 4))] == [3] * 4
    assert rows(make_dataset(grain=MASKS))[0][2] == "frequent"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"samples": {"train": COUNTS, "val": [5, 9, 5, 6]}}, "every class has 5 images or more"),
        ({"samples": {"train": COUNTS}}, "no validation images: no class can be measured, and no epoch chosen"),
        (
            {"samples": {"train": COUNTS, "val": [4, 0, 0, 4]}, "way_out": "give more"},
            "4 of 4 classes have fewer than 5 images: class 2 (0), class 1 (0), class 3 (4) and 1 more; give more",
        ),
    ],
)
def test_validation(changes: dict[str, Any], words: str) -> None:
    assert validation_words(make_dataset(**changes)) == words


def test_copies() -> None:
    counts: dict[str, Any] = {"repeats": {"train": 0}, "disputed": 0}
    overlap = Overlap("test", "val", 1000, 0, 1, [Copy("test", "x", "val", "y", False)])
    assert duplicate_words(make_dataset(overlaps=[overlap], **counts)) == (
        "1 near copy of validation images among the 1,000 test images, such as x of y"
    )
    empty = replace(overlap, near=0, copies=[])
    assert duplicate_words(make_dataset(overlaps=[empty], **counts)) == (
        "no image comes twice, and none looks like one of another split"
    )
    assert duplicate_words(make_dataset(overlaps=[empty], **counts, blank=1)) == (
        "no image comes twice; 1 image too small or black, and not compared by their looks"
    )
    first, *rest = duplicate_words(make_dataset()).split("; ")
    assert first.startswith("1 exact and 1 near copies of training images among the 12 validation images, such as ")
    assert rest == ["1 exact copy within the training images", "2 contents under several classes"]
    assert duplicate_words(make_dataset(overlaps=None)) == "not looked for"


def test_a_page_of_hostile_names_holds_no_markup_of_theirs() -> None:
    dataset = make_dataset(len(HOSTILE), hostile=True)
    page = dataset_page(dataset, [[picture(np.random.default_rng(0))]] * len(HOSTILE))
    tags = Tags(page)
    assert tags.tags.count("script") == 1
    assert tags.tags.count("img") == len(HOSTILE) + 4
    assert "b" not in tags.tags
    assert not [name for name in tags.attributes if name.startswith("on")]
    assert "\x1b" not in page
    page.encode()
    assert "pictures" not in json.dumps(dataset.plain())
