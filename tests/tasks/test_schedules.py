"""Learning-rate schedules."""

import math

import pytest

from longtail.tasks.schedules import CosineSchedule, PolySchedule, StepSchedule


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


def test_poly_is_a_power_of_what_is_left() -> None:
    schedule = PolySchedule()
    assert [schedule(step, 100, 10) for step in range(101)] == pytest.approx(
        [(1 - step / 100) ** 0.9 for step in range(101)]
    )
    assert schedule(0, 100, 10) == 1
    assert schedule(100, 100, 10) == 0


def test_poly_begins_after_the_warmup() -> None:
    schedule = PolySchedule(power=2, warmup=2)
    assert [schedule(step, 120, 10) for step in range(20)] == pytest.approx([(step + 1) / 21 for step in range(20)])
    assert [schedule(step, 120, 10) for step in range(20, 121)] == pytest.approx(
        [(1 - step / 100) ** 2 for step in range(101)]
    )
    short = [PolySchedule(power=1, warmup=5)(step, 20, 10) for step in range(21)]  # half of it is warm-up
    assert max(short) == short[10] == 1
    assert short[20] == pytest.approx(0)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.0), (1, 5.0), (7, 0.3), (333, 1.7)])
def test_poly_stays_between_zero_and_one(steps: int, warmup: float) -> None:
    factors = [PolySchedule(warmup=warmup)(step, steps, 10) for step in range(steps + 2)]  # one beyond, as rounding may
    assert all(isinstance(factor, float) and 0 <= factor <= 1 for factor in factors)


@pytest.mark.parametrize("schedule", [CosineSchedule(warmup=0), PolySchedule()])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_run_of_few_steps_ends_at_zero(schedule: CosineSchedule | PolySchedule, steps: int) -> None:
    assert schedule(0, steps, 10) == 1
    assert schedule(steps, steps, 10) == pytest.approx(0)
    assert schedule(0, 0, 10) == 1, "a run without a step has a schedule too"


@pytest.mark.parametrize("power", [0.0, -0.9, math.nan])
def test_a_power_that_is_not_positive_is_refused(power: float) -> None:
    with pytest.raises(ValueError, match="power must be positive"):
        PolySchedule(power)


def test_warmup_takes_at_most_half_a_short_run() -> None:
    schedule = StepSchedule(milestones=(), warmup=5)
    assert schedule(9, 20, 10) < 1
    assert schedule(10, 20, 10) == 1


def test_no_warmup() -> None:
    assert StepSchedule(warmup=0)(0, 100, 10) == 1


def test_negative_warmup_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        CosineSchedule(warmup=-1)
