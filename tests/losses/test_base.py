"""Making a loss, and what wrappers hand on."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser

from longtail.counts import Counts
from longtail.difficulty import ClassDifficulty
from longtail.losses.base import Loss, build_loss
from longtail.losses.cdb import ClassDifficultyLoss
from longtail.losses.cibl import ClassInstanceBalancedLoss
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.equalization import EqualizationLossV2
from longtail.losses.federated import FederatedLoss
from longtail.losses.focal import FocalLoss
from longtail.losses.ldam import LDAMLoss
from longtail.losses.logit_adjusted import LogitAdjustedLoss
from longtail.losses.pixels import PixelLoss
from longtail.losses.seesaw import SeesawLoss

COUNTS = [50, 10, 2]


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropyLoss,
        FocalLoss,
        LogitAdjustedLoss,
        LDAMLoss,
        SeesawLoss,
        EqualizationLossV2,
        FederatedLoss,
        ClassDifficultyLoss,
    ],
)
def test_every_loss_class_is_made_from_counts_and_takes_them_for_nothing_else(loss: type[Loss]) -> None:
    instance = build_loss(loss, COUNTS)
    assert isinstance(instance, loss)
    value = instance(torch.zeros(6, 3), torch.tensor([0, 0, 0, 1, 1, 2]))
    assert 0 < value < 50
    if loss is CrossEntropyLoss:
        torch.testing.assert_close(value, torch.tensor(3.0).log())


def test_a_loss_has_the_reduction_of_its_place_and_the_one_given_keeps_its_own() -> None:
    ldam = LDAMLoss(COUNTS, reweight_from=0.5)
    assert build_loss(ldam, COUNTS) is ldam
    rows = ldam.with_reduction("none")
    assert (ldam.reduction, rows.reduction) == ("mean", "none")
    assert build_loss(rows, COUNTS).reduction == "mean"
    ldam.set_epoch(5, 10)  # one state
    assert rows.class_weights is ldam.class_weights
    logits, targets = torch.randn(6, 3), torch.tensor([0, 0, 0, 1, 1, 2])
    torch.testing.assert_close(rows(logits, targets).mean(), ldam(logits, targets))


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("outer", [ClassDifficultyLoss, PixelLoss])
def test_a_loss_inside_another_stays_as_it_is(outer: Callable[..., Loss], reduction: str) -> None:
    seesaw = SeesawLoss(3, reduction=reduction)
    of_rows = ClassDifficultyLoss(COUNTS, lambda counts: seesaw, reduction=reduction)
    states = [dict(vars(loss)) for loss in (seesaw, of_rows)]
    wrapper = outer(COUNTS, of_rows)
    wrapper.eval()
    wrapper.train()(torch.randn(6, 3), torch.tensor([0, 0, 0, 1, 1, 2]))
    assert [vars(loss) for loss in (seesaw, of_rows)] == states
    assert seesaw.training
    assert seesaw.seen.tolist() == [3, 2, 1], "counts of both"


def test_a_background_that_an_outer_loss_is_told_is_not_that_of_the_loss_of_a_caller_inside() -> None:
    inner = EqualizationLossV2(3, reduction="none")
    outer = build_loss(lambda counts: ClassDifficultyLoss(counts, inner), COUNTS, background=0)
    assert (outer.background, outer.loss.background, inner.background) == (0, 0, None)
    assert outer.loss.positive_gradients is inner.positive_gradients


def test_the_epoch_reaches_the_losses_inside() -> None:
    inner = LDAMLoss(COUNTS, reweight_from=0.5)
    for outer in (ClassDifficultyLoss(COUNTS, inner), ClassInstanceBalancedLoss(logit_loss=inner)):
        outer.set_epoch(0, 10)
        assert inner.class_weights.tolist() == [1, 1, 1]
        outer.set_epoch(5, 10)
        assert inner.class_weights[2] > 1


def test_re_weighting_begins_with_its_epoch_whatever_the_rounding() -> None:
    loss = LDAMLoss(COUNTS, reweight_from=0.55)
    loss.set_epoch(55, 100)
    assert loss.class_weights[2] > 1


def test_large_half_precision_logits_of_equalization_stay_finite_under_autocast() -> None:
    logits = (torch.randn(4, 8142) + 10).half()
    with torch.autocast("cpu", torch.float16):
        value = EqualizationLossV2(8142)(logits, torch.tensor([0, 1, 2, 3]))
    torch.testing.assert_close(value, EqualizationLossV2(8142)(logits.float(), torch.tensor([0, 1, 2, 3])))


@pytest.mark.parametrize("loss", [ClassDifficultyLoss, EqualizationLossV2, FederatedLoss])
@pytest.mark.parametrize("background", [None, 0, 2])
def test_a_loss_class_is_told_the_background(loss: type[Loss], background: int | None) -> None:
    assert build_loss(loss, COUNTS, background=background).background == background


def test_a_choice_of_the_background_stands() -> None:
    loss = FederatedLoss(COUNTS, background=2)
    loss.set_background(0)
    assert loss.background == 2
    with pytest.raises(ValueError, match=r"background must be in 0\.\.2, got 3"):
        FederatedLoss(COUNTS).set_background(3)


def test_a_shared_difficulty_is_that_of_the_classes_beside_the_background() -> None:
    difficulty = ClassDifficulty(2)
    loss = build_loss(lambda counts: ClassDifficultyLoss(difficulty), COUNTS, background=0)
    assert isinstance(loss, ClassDifficultyLoss)
    assert loss.difficulty is difficulty
    assert loss.weights().tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("path", "arguments", "expected"),
    [
        ("EqualizationLossV2", {"gamma": 6.0}, {"gamma": 6.0, "background": 0}),
        ("FederatedLoss", {"background": 2}, {"num_classes": 3, "background": 2}),  # a choice that was made stands
        ("ClassDifficultyLoss", {}, {"background": 0}),
        ("LogitAdjustedLoss", {"strength": 0.5}, {"strength": 0.5}),
    ],
)
def test_a_loss_of_a_configuration_is_told_the_background(
    path: str, arguments: dict[str, Any], expected: dict[str, Any]
) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--loss", type=Callable[[Counts], Loss])
    config = parser.parse_object({"loss": {"class_path": f"longtail.losses.{path}", "init_args": arguments}})
    instance = build_loss(parser.instantiate(config).loss, COUNTS, background=0)
    assert type(instance).__name__ == path
    assert {name: getattr(instance, name) for name in expected} == expected
