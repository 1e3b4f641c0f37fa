"""How names, commands and times are worded."""

from pathlib import Path

import pytest

from longtail.messages import command, duration, retrievable


def test_a_command_can_be_typed() -> None:
    assert command("longtail", "report", Path("-run")) == "longtail report ./-run"
    assert command("longtail", "fit", "--resume", Path("my runs/a")) == "longtail fit --resume 'my runs/a'"


def test_a_name_is_escaped_only_where_it_must_be() -> None:
    assert retrievable("ü\\a") == "ü\\a"
    assert retrievable("ü\\\udcff") == "ü\\\\\\xff"


@pytest.mark.parametrize(
    ("seconds", "words"), [(4.2, "4.2 s"), (85, "1 min 25 s"), (3599.6, "1 h 0 min"), (9000, "2 h 30 min")]
)
def test_a_time_has_the_two_units_that_matter(seconds: float, words: str) -> None:
    assert duration(seconds) == words
