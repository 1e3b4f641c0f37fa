"""Files looked at by threads and by processes of their own: what hangs or crashes one, and what ends them."""

import os
import threading
from pathlib import Path

import pytest
from endless import loads, look

from longtail.files import apart as module
from longtail.files import threads
from longtail.files.apart import apart
from longtail.files.threads import NoAnswer, in_threads


def test_one_that_never_ends_or_dies_is_told_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PATIENCE", 1)
    monkeypatch.setattr(module, "_TRIES", 1)
    answers = list(apart(look, [["a"], ["hang"], ["b"], ["crash"], ["\udcff"]]))
    assert [answer and answer[0] for answer, _ in answers] == ["a", None, "b", None, "\udcff"]
    assert [fate for _, fate in answers] == [
        *("", "no answer within 1 seconds", ""),
        *("its decoder crashed by SIGKILL, as happens when memory runs out", ""),
    ]


@pytest.mark.parametrize(("item", "error"), [("memory", MemoryError), ("wrong", RuntimeError)])
def test_other_errors_are_raised(item: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        list(apart(look, [[item]]))


def test_processes_are_gone_when_nobody_listens_any_more() -> None:
    answers = apart(look, [["a"], ["b"]])
    (_, pid), _ = next(answers)
    os.kill(int(pid), 0)
    answers.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_torch_is_not_loaded_to_look_at_files() -> None:
    pytest.importorskip("av")
    modules = ["images.checks", "video.reading", "video.pyav"]
    assert set(apart(loads, [[f"longtail.files.{name}"] for name in modules])) == {(False, "")}


def test_threads_keep_the_order_and_raise() -> None:
    assert list(in_threads(str, range(1000), 3)) == list(map(str, range(1000)))
    assert list(in_threads(str, [], 3)) == []
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda number: 1 // number, [1, 0], 2))


def test_nobody_waits_for_a_thread_that_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PATIENCE", 1)
    goes_on = threading.Event()
    with pytest.raises(NoAnswer, match=r"^b: no answer within 1 seconds"):
        list(in_threads(lambda name: name == "b" and goes_on.wait(), ["a", "b", "c"], 1, str))
    goes_on.set()
