"""How hard the classes are against how frequent they are."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from longtail.reports.difficulty import (
    Snapshot,
    exceptions,
    in_words,
    rank_correlation,
    rarity_correlation,
    snapshots,
)
from longtail.reports.report import Correlation, difficulty_sentence
from longtail.reports.results import Thresholds

THRESHOLDS: Thresholds = {"many": 100, "few": 20}

values = st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])


def naive(first: list[float], second: list[float]) -> float:
    """Spearman's rank correlation in plain loops: ranks are counted, equal values share their mean rank."""

    def ranks(numbers: list[float]) -> list[float]:
        return [sum(b < a for b in numbers) + (sum(b == a for b in numbers) + 1) / 2 for a in numbers]

    a, b = ranks(first), ranks(second)
    mean = (len(a) + 1) / 2
    covariance = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    return covariance / math.sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))


@given(st.lists(st.tuples(values, values), min_size=3, max_size=12))
def test_rank_correlation_is_the_naive_one_and_scipys(pairs: list[tuple[float, float]]) -> None:
    x, y = ([pair[side] for pair in pairs] for side in (0, 1))
    correlation = rank_correlation(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert correlation is None
    else:
        assert correlation == pytest.approx(naive(x, y), abs=1e-9)
        assert correlation == pytest.approx(spearmanr(x, y).statistic, abs=1e-9)


def test_two_classes_are_too_few() -> None:
    assert rank_correlation([0.1, 0.2], [1, 2]) is None


def test_classes_that_were_not_measured_do_not_count() -> None:
    snapshot = Snapshot(1, (0.1, None, 0.4, 0.9))
    assert rarity_correlation(snapshot, [500, 400, 50, 5]) == pytest.approx(1)
    assert rarity_correlation(snapshot, [5, 400, 50, 500]) == pytest.approx(-1)
    assert rarity_correlation(Snapshot(1, (0.1, None, None, 0.9)), [500, 400, 50, 5]) is None


def history(validated: list[int], epochs: int = 9) -> Any:
    return [{"epoch": n, "class_accuracy": [n / 10, None] if n in validated else None} for n in range(1, epochs + 1)]


@pytest.mark.parametrize(
    ("validated", "epochs"),
    [([], []), ([4], [4]), ([2, 9], [2, 9]), ([2, 4, 9], [2, 4, 9]), ([1, 2, 3, 4], [1, 2, 4])],
)
def test_first_middle_and_last_validated_epoch(validated: list[int], epochs: list[int]) -> None:
    points = snapshots(history(validated))
    assert [point.epoch for point in points] == epochs
    assert all(point.difficulty == (pytest.approx(1 - point.epoch / 10), None) for point in points)


def test_histories_of_before_and_of_nothing_measured() -> None:
    assert snapshots([{"epoch": 1}]) == []  # type: ignore[typeddict-item]
    assert snapshots([{"epoch": 1, "class_accuracy": [None, None]}]) == []  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("correlation", "words"),
    [
        (1.0, "almost without exception"),
        (0.7, "mostly the hard ones"),
        (0.4, "tend to be"),
        (0.0, "says little"),
        (-0.29, "says little"),
        (-0.5, "rather the easy ones"),
        (-1.0000000000000002, "rather the easy ones"),  # rounding
        (None, "cannot be told"),
    ],
)
def test_in_words(correlation: float | None, words: str) -> None:
    assert words in in_words(correlation)


def test_one_sentence() -> None:
    assert difficulty_sentence([Correlation(7, 0.75, "")]) == (
        "At epoch 7 the rare classes are mostly the hard ones, with exceptions "
        "(rank correlation of difficulty with rarity +0.75)."
    )
    ends = [Correlation(1, None, "all classes equally difficult"), Correlation(9, -0.04, "")]
    assert difficulty_sentence([Correlation(5, 0.5, ""), ends[1]]).endswith("−0.04); it was +0.50 at epoch 5.")  # noqa: RUF001
    assert difficulty_sentence(ends).endswith("rarity −0.04).")  # noqa: RUF001
    assert difficulty_sentence(ends[:1]).endswith("cannot be told (all classes equally difficult).")


@pytest.mark.parametrize(
    ("difficulty", "counts", "reason"),
    [
        ((0.5, 0.5, None, 0.5), [9, 8, 7, 6], "all classes equally difficult"),
        ((0.1, 0.2, 0.3), [5, 5, 5], "all classes equally frequent"),
        ((0.1, None, 0.3), [9, 5, 2], "fewer than 3 classes measured"),
    ],
)
def test_a_correlation_that_does_not_exist_says_why(
    difficulty: tuple[float | None, ...], counts: list[int], reason: str
) -> None:
    correlation = Correlation.of_snapshot(Snapshot(3, difficulty), counts)
    assert (correlation.value, correlation.reason) == (None, reason)
    assert correlation.words == f"no correlation: {reason}"


def test_exceptions_are_the_most_striking_three() -> None:
    counts = [500, 400, 300, 200, 50, 10, 9, 8, 7, 6]
    hard_heads = Snapshot(3, (0.9, 0.9, 1.0, 0.8, 0.0, 0.3, 0.1, 0.1, 0.2, None))
    classes = exceptions(hard_heads, counts, THRESHOLDS)
    assert classes is not None
    assert (classes.head, classes.tail) == ("many", "few")
    assert classes.easy == [7, 6, 8], "the easiest first, the rarer first among equals"
    assert classes.hard == [2, 0, 1], "the hardest first, the more frequent first among equals"


def test_no_exceptions_where_rarity_is_all() -> None:
    classes = exceptions(Snapshot(3, (0.1, 0.2, 0.6)), [500, 50, 5], THRESHOLDS)
    assert classes is not None
    assert classes.easy == classes.hard == []


def test_exceptions_between_the_groups_there_are() -> None:
    classes = exceptions(Snapshot(3, (0.5, 0.2, None)), [50, 5, 500], THRESHOLDS)
    assert classes is not None
    assert (classes.head, classes.tail, classes.easy, classes.hard) == ("medium", "few", [1], [0])
    assert exceptions(Snapshot(3, (0.5, 0.2, None)), [5, 5, 500], THRESHOLDS) is None
