"""Which epoch is the best one."""

from pathlib import Path

import pytest

from longtail.errors import InputError
from longtail.figures import METRICS, Metric
from longtail.tasks.checkpoints import RunCheckpoints


def test_the_metric_says_which_way_is_better(tmp_path: Path) -> None:
    assert RunCheckpoints(tmp_path, "top1", METRICS).sign == 1
    assert RunCheckpoints(tmp_path, "calibration_error", METRICS).sign == -1


def test_a_metric_that_does_not_say_it_chooses_nothing(tmp_path: Path) -> None:
    metrics = {"top1": METRICS["top1"], "spread": Metric("Spread", better=0)}
    with pytest.raises(InputError, match='which way is better is not known of "spread": choose from top1'):
        RunCheckpoints(tmp_path, "spread", metrics)
    with pytest.raises(InputError, match='unknown metric "f1": choose from top1'):
        RunCheckpoints(tmp_path, "f1", metrics)


@pytest.mark.parametrize("options", [{"better": 2}, {"better": None}, {"label": 3}])
def test_words_that_are_none_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Metric(**{"label": "x", **options})  # type: ignore[arg-type]
