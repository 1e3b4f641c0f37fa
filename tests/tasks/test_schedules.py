"""Learning-rate schedules."""

import math

import pytest

from longtail.tasks.schedules import CosineSchedule, StepSchedule


def test_steps_at_160_and_180_of_200_epochs_after_5_of_warmup() -> None:
    schedule = StepSchedule()
    factors = [schedule(epoch * 10, 2000, 10) for epoch in range(200)]
    assert factors[5:160] == [1.0] * 155
    assert factors[160:180] == pytest.approx([0.1] * 20)
    assert factors[180:] == pytest.approx([0.01] * 20)
    rising = [schedule(step, 2000, 10) for step in range(50)]
    assert rising == pytest.approx([(step + 1) / 51 for step in range(50)])


def test_cosine_runs_from_one_to_zero() -> None:
    schedule = CosineSchedule(warmup=1)
    assert schedule(10, 110, 10) == pytest.approx(1)
    assert schedule(60, 110, 10) == pytest.approx(0.5)
    assert schedule(110, 110, 10) == pytest.approx(0)
    assert schedule(35, 110, 10) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


def test_warmup_takes_at_most_half_a_short_run() -> None:
    schedule = StepSchedule(milestones=(), warmup=5)
    assert schedule(9, 20, 10) < 1
    assert schedule(10, 20, 10) == 1


def test_no_warmup() -> None:
    assert StepSchedule(warmup=0)(0, 100, 10) == 1


def test_negative_warmup_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        CosineSchedule(warmup=-1)
