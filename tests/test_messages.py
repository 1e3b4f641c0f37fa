"""How names and commands are worded."""

from pathlib import Path

from longtail.messages import command, retrievable


def test_a_command_can_be_typed() -> None:
    assert command("longtail", "report", Path("-run")) == "longtail report ./-run"
    assert command("longtail", "fit", "--resume", Path("my runs/a")) == "longtail fit --resume 'my runs/a'"


def test_a_name_is_escaped_only_where_it_must_be() -> None:
    assert retrievable("ü\\a") == "ü\\a"
    assert retrievable("ü\\\udcff") == "ü\\\\\\xff"
