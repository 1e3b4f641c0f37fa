"""How far something is, in a log."""

import pytest

from longtail.files import progress
from longtail.files.progress import ProgressLines, progress_bar


def test_lines_come_at_growing_intervals_with_rate_and_time_left(monkeypatch, log):
    now = 0.0
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now)
    with progress_bar(1000, "features of the train split", "image", 100) as bar:  # the 100 are no part of the rate
        assert isinstance(bar, ProgressLines)  # the tests have no terminal
        for second in range(1, 41):
            now = float(second)
            bar.update(10)
    assert log.messages == [
        "features of the train split: 150 of 1,000 images, 10 a second, 1 min 25 s left",
        "features of the train split: 250 of 1,000 images, 10 a second, 1 min 15 s left",
        "features of the train split: 450 of 1,000 images, 10 a second, 55.0 s left",
    ]


@pytest.mark.parametrize(("first", "terminal"), [(False, False), (False, True)])
def test_other_processes_tell_nothing(monkeypatch, log, first, terminal):
    monkeypatch.setattr(progress, "is_first", lambda: first)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr(progress, "FIRST", 0.0)
    with progress_bar(None, "unpacking", "image") as bar:
        bar.update()
    assert not log.messages


def test_where_no_total_is_known_there_is_no_time_left(monkeypatch, log):
    monkeypatch.setattr(progress, "FIRST", 0.0)
    with progress_bar(None, "unpacking", "image") as bar:
        bar.update(3)
    assert log.messages[0].startswith("unpacking: 3 images, ")
    assert "left" not in log.messages[0]
