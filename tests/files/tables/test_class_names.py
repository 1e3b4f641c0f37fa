"""Names of classes in words."""

from pathlib import Path

import pytest

from longtail.errors import InputError
from longtail.files.tables.class_names import read_class_names

CLASSES = ["n01", "n02", "n03"]
NAMES = ["tench", "gold fish, red", "shark"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("names.txt", "tench\ngold fish, red\nshark\n"),
        ("names.json", '["tench", "gold fish, red", "shark"]'),
        ("names.json", '{"n03": "shark", "n01": "tench", "n02": "gold fish, red", "n99": "whale"}'),
        ("names.csv", 'class,name\nn03,shark\nn02,"gold fish, red"\nn01,tench\n'),
        ("names.tsv", "name\tclass\nshark\tn03\ngold fish, red\tn02\ntench\tn01\n"),
    ],
)
def test_names_come_in_the_order_of_the_classes(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert read_class_names(tmp_path / name, CLASSES) == NAMES


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("names.txt", "tench\nshark\n", "has 2 names and the set 3 classes"),
        ("names.txt", "tench\n\nshark\n", "has no name for n02"),
        ("names.json", '["tench"]', "has 1 names and the set 3 classes"),
        ("names.json", '{"n01": "tench", "x": "y"}', "does not name 2 of 3 classes: n02, n03; it has x instead"),
        ("names.json", '{"n01": 3}', "wants an object of class and name, or a list of names"),
        ("names.json", "{", "no JSON"),
        ("names.csv", "class,name\nn01,tench\n", "does not name 2 of 3 classes: n02, n03$"),
        ("names.csv", "a,b\nn01,tench\n", "class"),
        ("names.csv", "class,name\nn01,a\nn01,b\nn02,c\nn03,d\n", "names a class more than once: n01; leave one name"),
        ("names.json", '{"n01": "a", "n02": "c", "n03": "d", "n01": "b"}', "more than once: n01; leave one name"),
        ("names.json", '["fish", "fish", "fish"]', "calls every class fish: give each a name of its own"),
    ],
)
def test_names_that_do_not_match_are_one_line(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message) as error:
        read_class_names(tmp_path / name, CLASSES)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_class_names(tmp_path / "names.txt", CLASSES)
