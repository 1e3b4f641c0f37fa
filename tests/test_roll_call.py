"""Which process differs from the first, and in what, by what they have told."""

import pytest

from longtail.roll_call import checksum, difference, with_host

FACTS = {
    "runs longtail {}": "0.4.0",
    "runs torch {}": "2.14",
    "has --recipe {}": "bcl",
    "has --lr {}": "0.2",
    "reads {} classes": "100",
    "reads {} training images": "10,847",
    "reads training images whose names have the checksum {}": "5f1c",
}


@pytest.mark.parametrize(
    ("fact", "value", "line"),
    [
        ("runs longtail {}", "0.3.0", "runs longtail 0.3.0, process 0 on a 0.4.0: install the same version everywhere"),
        ("runs torch {}", "2.13", "runs torch 2.13, process 0 on a 2.14: install the same version everywhere"),
        ("has --recipe {}", "gml", "has --recipe gml, process 0 on a bcl: give all processes the same command"),
        ("has --lr {}", "0.1", "has --lr 0.1, process 0 on a 0.2: give all processes the same command"),
        ("has --ema {}", "0.9", "has --ema 0.9, process 0 on a none: give all processes the same command"),
        ("reads {} classes", "99", "reads 99 classes, process 0 on a 100: give all processes the same files"),
        (
            "reads {} training images",
            "10,846",
            "reads 10,846 training images, process 0 on a 10,847: give all processes the same files",
        ),
        (
            "reads training images whose names have the checksum {}",
            "77aa",
            "reads training images whose names have the checksum 77aa, process 0 on a 5f1c: give all processes the "
            "same files",
        ),
    ],
)
def test_the_line_says_who_differs_in_what_and_the_way_out(fact: str, value: str, line: str) -> None:
    processes = [{"host": "a", **FACTS}, {"host": "a", **FACTS}, {"host": "b", **FACTS, fact: value}]
    assert difference(processes) == f"process 2 on b {line}"


def test_the_first_fact_counts_whichever_process_differs_in_it() -> None:
    second, third = {**FACTS, "reads {} classes": "99"}, {**FACTS, "runs torch {}": "2.13", "has --lr {}": "1"}
    hosts = zip("abbb", (FACTS, second, third, third), strict=True)
    line = difference([{"host": host, **facts} for host, facts in hosts])
    assert line is not None
    assert line.startswith("process 2 on b (and 1 more) runs torch 2.13, process 0 on a 2.14: ")


def test_a_fact_that_a_process_lacks_is_none_there() -> None:
    rest = {fact: value for fact, value in FACTS.items() if fact != "has --lr {}"}
    line = difference([{"host": "a", **FACTS}, {"host": "a", **rest}])
    assert line == "process 1 on a has --lr none, process 0 on a 0.2: give all processes the same command"


def test_processes_on_several_machines_that_tell_the_same_agree() -> None:
    assert difference([{"host": host, **FACTS} for host in "abc"]) is None
    assert difference([with_host(FACTS)]) is None


def test_names_are_told_apart_with_their_order() -> None:
    assert checksum(["a", "b"]) == checksum(iter("ab")) == checksum(b"a\0b")
    assert len({checksum(names) for names in (["a", "b"], ["b", "a"], ["ab"], ["a", "\udcff"])}) == 4
