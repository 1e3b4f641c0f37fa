"""What the package logs, on the terminal."""

import logging

import pytest

from longtail.cli.main import main


@pytest.mark.parametrize(
    ("variable", "rank", "first"), [("RANK", "0", True), ("RANK", "1", False), ("LOCAL_RANK", "1", False)]
)
def test_the_first_process_alone_shows_what_is_logged(
    variable: str, rank: str, first: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, rank)
    for _ in range(2):  # a second command in the process shows a line once, too
        assert main(["recipes"]) == 0
    capsys.readouterr()
    logging.getLogger("longtail.files.images.reading").info("left out 1 of %d files", 3)
    logging.getLogger("longtail.files.images.reading").debug("nothing for people")
    logging.getLogger("lightning.pytorch").info("of another package")
    assert capsys.readouterr().err == "left out 1 of 3 files\n" * first


def test_a_line_is_not_said_twice_in_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("longtail.files.images.checks")
    for _ in range(2):
        assert main(["recipes"]) == 0
        for line in ("checked by headers", "checked by headers", "left out 2", "checked by headers"):
            log.info(line)
        assert capsys.readouterr().err == "checked by headers\nleft out 2\nchecked by headers\n"
