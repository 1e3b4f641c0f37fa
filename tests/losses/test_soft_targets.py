"""Soft targets and label smoothing: the mean over the classes of the loss on labels, weighted by the true class."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from longtail.difficulty import ClassDifficulty
from longtail.losses.base import Loss
from longtail.losses.bcl import BalancedContrastiveLoss
from longtail.losses.cdb import ClassDifficultyLoss
from longtail.losses.cibl import ClassInstanceBalancedLoss
from longtail.losses.class_balanced import ClassBalancedLoss, effective_number_weights
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.equalization import EqualizationLossV2
from longtail.losses.federated import FederatedLoss
from longtail.losses.focal import FocalLoss
from longtail.losses.gml import GaussianMixtureLoss
from longtail.losses.ldam import LDAMLoss
from longtail.losses.logit_adjusted import LogitAdjustedLoss
from longtail.losses.seesaw import SeesawLoss
from longtail.losses.softmax import SoftmaxLoss
from longtail.losses.supcon import SupervisedContrastiveLoss

from . import naive

COUNTS, WEIGHTS = [100, 20, 5, 2], torch.tensor([0.5, 1.0, 2.0, 4.0])
ROWS = 5


def late_ldam(**options: str) -> LDAMLoss:
    loss = LDAMLoss(COUNTS, scale=2, reweight_from=0, **options)
    loss.set_epoch(1, 2)
    return loss


def by_difficulty(loss: Loss) -> ClassDifficultyLoss:
    difficulty = ClassDifficulty(4, tau=1)
    difficulty.update([0.9, 0.7, 0.2, 0.0])
    return ClassDifficultyLoss(difficulty, loss, reduction="none")


# a loss, the same without weights, the weights, the smoothing
CASES: dict[str, tuple[Loss, Loss, Tensor | None, float]] = {
    "plain": (CrossEntropyLoss(reduction="none"), CrossEntropyLoss(reduction="none"), None, 0),
    "weighted": (
        CrossEntropyLoss(WEIGHTS, 0.1, reduction="none"), CrossEntropyLoss(reduction="none"), WEIGHTS, 0.1
    ),
    "focal": (FocalLoss(2, WEIGHTS, 0.2, reduction="none"), FocalLoss(2, reduction="none"), WEIGHTS, 0.2),
    "class_balanced": (
        ClassBalancedLoss(COUNTS, 0.9, label_smoothing=0.1, reduction="none"), CrossEntropyLoss(reduction="none"),
        effective_number_weights(COUNTS, 0.9), 0.1,
    ),
    "logit_adjusted": (
        LogitAdjustedLoss(COUNTS, 0.7, 0.3, reduction="none"), LogitAdjustedLoss(COUNTS, 0.7, reduction="none"),
        None, 0.3,
    ),
    "ldam": (
        late_ldam(reduction="none"), LDAMLoss(COUNTS, scale=2, reduction="none"),
        effective_number_weights(COUNTS, 0.9999), 0,
    ),
    "difficulty": (
        by_difficulty(LogitAdjustedLoss(COUNTS, label_smoothing=0.1)), LogitAdjustedLoss(COUNTS, reduction="none"),
        by_difficulty(CrossEntropyLoss()).weights(), 0.1,
    ),
}  # fmt: skip
every_case = pytest.mark.parametrize(("loss", "of_label", "weights", "smoothing"), CASES.values(), ids=CASES)


def logits(dtype: torch.dtype = torch.float64) -> Tensor:
    return (3 * torch.randn(ROWS, 4, generator=torch.Generator().manual_seed(0), dtype=dtype)).requires_grad_()


def distributions() -> Tensor:
    """One of a single class, one of two, the others of all."""
    soft = torch.rand(ROWS, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    soft[0], soft[1] = torch.tensor([0, 0, 1, 0]), torch.tensor([0.3, 0, 0, 0.7])
    return soft / soft.sum(1, keepdim=True)


@every_case
def test_it_is_the_weighted_mean_over_the_classes(
    loss: Loss, of_label: Loss, weights: Tensor | None, smoothing: float
) -> None:
    x, soft = logits(), distributions()
    per_class = [of_label(x, torch.full((ROWS,), c)) for c in range(4)]
    terms = []
    for i in range(ROWS):
        value = sum(((1 - smoothing) * soft[i, c] + smoothing / 4) * per_class[c][i] for c in range(4))
        weight = 1 if weights is None else sum(float(soft[i, c]) * float(weights[c]) for c in range(4))
        terms.append(weight * value)
    naive.assert_same_rows(loss(x, soft), torch.stack(terms), [x], rtol=1e-6, atol=1e-6)


@every_case
def test_a_label_is_the_distribution_of_one_class(
    loss: Loss, of_label: Loss, weights: Tensor | None, smoothing: float
) -> None:
    x, targets = logits(), torch.tensor([0, 3, 1, 2, 1])
    soft = F.one_hot(targets, 4).double()
    naive.assert_same_rows(loss(x, soft), loss(x, targets), [x], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(loss(x, soft.half()), loss(x, targets), rtol=1e-6, atol=1e-6)
    assert loss(x[:0], soft[:0]).shape == (0,)
    assert loss(x.tolist(), soft.tolist()).shape == (ROWS,)


def test_smoothed_rows_weigh_what_their_true_class_weighs() -> None:
    """Worked out by hand. torch weighs each of the classes that the label is smeared over."""
    x, targets = torch.tensor([[2.0, 0, -1], [0.5, 1, 0]]), torch.tensor([0, 2])
    rows = CrossEntropyLoss([0.5, 1, 1.5], label_smoothing=0.1, reduction="none")(x, targets)
    torch.testing.assert_close(rows, torch.tensor([0.168256, 2.445405]), rtol=0, atol=1e-6)
    plain = CrossEntropyLoss(label_smoothing=0.1)(x, targets)
    torch.testing.assert_close(plain, F.cross_entropy(x, targets, label_smoothing=0.1))
    soft = torch.tensor([[0.6, 0.4, 0], [0, 0, 1]])
    torch.testing.assert_close(CrossEntropyLoss()(x, soft), F.cross_entropy(x, soft))


@pytest.mark.parametrize("scale", [30.0, 1e3])
def test_margins_of_logits_that_are_far_apart_are_exact(scale: float) -> None:
    x = scale * torch.tensor([[1.0, -1, 0.9, 0], [0.2, 0.9, -0.5, 0.1], [1, 1, 1, 1]])
    targets = torch.tensor([0, 1, 3])
    loss = LDAMLoss(COUNTS, reduction="none")
    close = {"rtol": 1e-5, "atol": 1e-6}
    naive.assert_same_rows(loss(v := x.requires_grad_(), F.one_hot(targets, 4).float()), loss(v, targets), [v], **close)


def test_a_class_that_is_ruled_out_has_no_part() -> None:
    x = torch.tensor([[1.0, -torch.inf, 0.0, 2.0]], requires_grad=True)
    for loss in (CrossEntropyLoss(), LDAMLoss(COUNTS), LogitAdjustedLoss(COUNTS), FocalLoss()):
        value = loss(x, torch.tensor([[0.5, 0.0, 0.0, 0.5]]))
        value.backward()
        assert value.isfinite()
        assert x.grad is not None
        assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    "call",
    [
        lambda q: SeesawLoss(4)(torch.zeros(2, 4), q),
        lambda q: EqualizationLossV2(4)(torch.zeros(2, 4), q),
        lambda q: FederatedLoss(COUNTS)(torch.zeros(2, 4), q),
        lambda q: ClassDifficultyLoss(COUNTS, SeesawLoss)(torch.zeros(2, 4), q),
        lambda q: SupervisedContrastiveLoss()(torch.zeros(2, 2, 4), q),
        lambda q: BalancedContrastiveLoss()(torch.zeros(2, 2, 4), q, torch.zeros(4, 4)),
        lambda q: ClassInstanceBalancedLoss()(torch.zeros(2, 4), torch.zeros(2, 2, 4), q),
        lambda q: GaussianMixtureLoss(COUNTS)(torch.zeros(2, 4), q, torch.zeros(3, 4), torch.tensor([0, 1, 2])),
        lambda q: Shifted()(torch.zeros(2, 4), q),
    ],
)
def test_a_loss_that_has_no_meaning_for_them_says_so(call: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ValueError, match=r"^targets must be labels \(M,\), int64, got \(2, 4\): soft ones have no"):
        call(torch.full((2, 4), 0.25))


class Shifted(SoftmaxLoss):
    """It does not say what its change is for every class."""

    def adjust(self, logits: Tensor, targets: Tensor) -> Tensor:
        return logits.scatter_add(1, targets[:, None], -torch.ones_like(targets[:, None]).to(logits.dtype))


def test_what_is_no_distribution_is_refused() -> None:
    loss, x = CrossEntropyLoss(), torch.zeros(2, 2)
    for soft in ([[0.5, 0.5], [1.5, -0.5]], [[0.5, 0.5], [0.5, 0.4]], [[0.5, 0.5], [torch.nan, 1]]):
        with pytest.raises(ValueError, match="soft targets must be distributions"):
            loss(x, torch.tensor(soft))
    with pytest.raises(ValueError, match=r"targets must have shape \(2, 2\), got \(1, 2\)"):
        loss(x, torch.tensor([[0.5, 0.5]]))
    with pytest.raises(ValueError, match=r"label_smoothing must be in 0\.\.1"):
        CrossEntropyLoss(label_smoothing=1.1)
    with pytest.raises(ValueError, match="log_probabilities"):
        Shifted(label_smoothing=0.1)
