"""Checks of shapes, labels and options, and the switch that makes them thorough."""

import contextlib
import math
import runpy
from typing import Any

import numpy as np
import pytest
import torch

from longtail import checks
from longtail.checks import (
    as_tensor,
    check_integers,
    check_logits,
    check_number,
    check_outputs,
    check_shape,
    check_targets,
    check_temperature,
    set_debug,
)
from longtail.errors import InputError

HOLDS_NAN = torch.zeros(3, 4)
HOLDS_NAN[1, 2] = HOLDS_NAN[2, 0] = math.nan


def debug() -> bool:
    """Whether NaN is refused."""
    try:
        check_shape("logits", HOLDS_NAN, "M", 4)
    except ValueError:
        return True
    return False


def test_nan_is_named_with_its_first_index() -> None:
    message = r"logits holds NaN, first at index \(1, 2\) of shape \(3, 4\)"
    with set_debug(True), pytest.raises(ValueError, match=message):
        check_logits(HOLDS_NAN, torch.tensor([0, 1, 2]))


def test_debug_mode_is_a_statement_and_a_with_block() -> None:
    with set_debug(False):
        assert not debug()
        set_debug(True)
        assert debug()
        with set_debug(False):
            assert not debug()
        assert debug(), "what was before is back"
        with pytest.raises(ZeroDivisionError), set_debug(False):
            raise ZeroDivisionError
        assert debug(), "after an error too"


@pytest.mark.parametrize(("value", "refused"), [("1", True), ("0", False)])
def test_debug_mode_by_environment_variable(value: str, refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read as the module is loaded: a second copy of it stands for a new process."""
    monkeypatch.setenv("LONGTAIL_DEBUG", value)
    module = runpy.run_path(checks.__file__)
    problem = pytest.raises(ValueError, match=r"x holds NaN, first at index \(0,\) of shape \(1,\)")
    with problem if refused else contextlib.nullcontext():
        module["check_shape"]("x", torch.tensor([torch.nan]), 1)


def test_integers_pass_in_debug_mode() -> None:
    with set_debug(True):
        check_targets(torch.tensor([0, 2]), 2, 3)


def test_letters_stand_for_any_length() -> None:
    check_shape("x", torch.zeros(0, 3), "M", 3)
    with pytest.raises(ValueError, match=r"x must have shape \(M, 3\), got \(2, 4\)"):
        check_shape("x", torch.zeros(2, 4), "M", 3)
    with pytest.raises(ValueError, match=r"x must have shape \(M,\), got \(2, 4\)"):
        check_shape("x", torch.zeros(2, 4), "M")


@pytest.mark.parametrize(
    ("labels", "classes", "low", "problem"),
    [
        ([0, 3], 3, 0, r"labels must lie in 0\.\.2, got 0\.\.3"),
        ([-1, 2], 3, 0, r"labels must lie in 0\.\.2, got -1\.\.2"),
        ([-2, 2], 3, -1, r"labels must lie in -1\.\.2, got -2\.\.2"),
        ([-1, 9], None, 0, r"labels must lie in 0\.\.C - 1, got -1\.\.9"),
        ([1, 7], 7, 0, r"labels must lie in 0\.\.6, got 1\.\.7: labels run from 1 to 7; subtract 1$"),
        ([3, 7], 7, 0, r"labels must lie in 0\.\.6, got 3\.\.7: if labels run from 1 to 7, subtract 1$"),
        ([0, 7], 7, 0, r"labels must lie in 0\.\.6, got 0\.\.7$"),
        ([1, 8], 7, 0, r"labels must lie in 0\.\.6, got 1\.\.8$"),
    ],
)
def test_labels_outside_their_range_are_refused(labels: list[int], classes: int | None, low: int, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_targets(torch.tensor(labels), 2, classes, "labels", low)


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, -math.inf])
def test_numbers_that_are_too_small_or_not_finite_are_refused(value: float) -> None:
    check_number("x", 0, low=0)
    with pytest.raises(ValueError, match=f"x must be at least 0, got {value}"):
        check_number("x", value, low=0)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf])
def test_numbers_outside_their_range_are_refused(value: float) -> None:
    check_number("x", 0, low=0, high=1)
    check_number("x", 1, low=0, high=1)
    with pytest.raises(ValueError, match=rf"x must be in 0\.\.1, got {value}"):
        check_number("x", value, low=0, high=1)


@pytest.mark.parametrize("value", [0.0, -0.1, math.nan, math.inf])
def test_temperatures_that_are_not_positive_or_not_finite_are_refused(value: float) -> None:
    check_temperature(1e-3)
    with pytest.raises(ValueError, match=f"temperature must be positive, got {value}"):
        check_temperature(value)


READ_ONLY = np.array([2, 0, 1], dtype=np.int16)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    "values",
    [[2, 0, 1], (2, 0, 1), {"a": 2, "b": 0, "c": 1}.values(), np.array([2, 0, 1], np.uint8), READ_ONLY,
     np.array([1, 0, 2])[::-1], [np.int64(2), 0, torch.tensor(1)], range(2, -1, -1)],
    ids=["list", "tuple", "dict.values", "uint8", "read-only", "backwards", "mixed", "range"],
)  # fmt: skip
def test_what_holds_numbers_becomes_a_tensor(values: Any) -> None:
    tensor = check_integers("x", values, 3)
    assert tensor.dtype == torch.int64
    assert tensor.tolist() == ([2, 1, 0] if isinstance(values, range) else [2, 0, 1])


def test_a_tensor_stays_the_one_it_is() -> None:
    tensor = torch.tensor([1, 2], dtype=torch.int32)
    assert as_tensor("x", tensor) is tensor
    assert check_targets([], 0, 3).dtype == torch.int64


@pytest.mark.parametrize(
    "values", [{"a": 1}, "12", None, [[1, 2], [3]], object()], ids=["dict", "text", "None", "ragged", "object"]
)
def test_what_holds_no_numbers_is_told_what_is_wanted(values: Any) -> None:
    problem = rf"x must be numbers of shape \(M, 2\), as a tensor, an array or a list, got {type(values).__name__} \("
    with pytest.raises(ValueError, match=problem):
        as_tensor("x", values, "M", 2)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_outputs_that_decide_nothing_are_refused(value: float) -> None:
    logits = torch.zeros(4, 3)
    logits[1, 2] = value
    with pytest.raises(InputError, match=r"^1 of 4 rows are not finite .*--lr.*--precision.*--clip"):
        check_outputs(logits, "rows")


def test_a_class_may_be_ruled_out_by_minus_infinity() -> None:
    logits = torch.zeros(2, 3)
    logits[:, 1] = -math.inf
    check_outputs(logits)
    check_outputs(torch.zeros(0, 3))
    check_outputs(torch.zeros(3, 0))
    with pytest.raises(InputError, match="2 of 6 numbers are not finite"):
        check_outputs(logits, "numbers", dim=None)
    logits[0] = -math.inf
    with pytest.raises(InputError, match="1 of 2 outputs of the network are not finite"):
        check_outputs(logits)
