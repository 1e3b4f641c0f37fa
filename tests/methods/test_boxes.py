"""How boxes are classified: losses and scores against plain loops."""

import functools
import inspect
import math

import pytest
import torch
from discovery import losses
from torch import Tensor, nn

from longtail.difficulty import ClassDifficulty
from longtail.errors import InputError
from longtail.losses.base import Loss
from longtail.losses.cdb import ClassDifficultyLoss
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.equalization import EqualizationLossV2
from longtail.losses.federated import FederatedLoss
from longtail.losses.logit_adjusted import LogitAdjustedLoss
from longtail.methods.boxes import BoxClassification, ObjectnessBoxes, SigmoidBoxes, SoftmaxBoxes, with_background
from longtail.models.classifiers import CosineClassifier

COUNTS = [50, 20, 3]
MADE = {  # with losses whose formula is plain at first
    SoftmaxBoxes: functools.partial(SoftmaxBoxes, loss=CrossEntropyLoss),
    ObjectnessBoxes: functools.partial(ObjectnessBoxes, loss=CrossEntropyLoss),
    SigmoidBoxes: functools.partial(SigmoidBoxes, loss=EqualizationLossV2),
}
every_kind = pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind.__name__)


def arguments(loss: type[Loss]) -> set[str]:
    return set(inspect.signature(loss).parameters)


def counted_losses() -> list[type[Loss]]:
    """The losses of logits that are made from class counts."""
    of_logits = [
        loss for loss in losses() if list(inspect.signature(loss.forward).parameters)[1:] == ["logits", "targets"]
    ]
    return [loss for loss in of_logits if {"class_counts", "num_classes", "difficulty"} & arguments(loss)]


def log_sigmoid(x: Tensor) -> Tensor:
    return -(1 + (-x).exp()).log()


def naive_loss(kind: type[BoxClassification], logits: Tensor, labels: Tensor) -> Tensor:
    total = 0 * logits.sum()
    for x, y in zip(logits, labels.tolist(), strict=True):
        if kind is SoftmaxBoxes:
            total = total - (x[y].exp() / x.exp().sum()).log()
        elif kind is ObjectnessBoxes:
            total = total - log_sigmoid(x[0] if y else -x[0])
            total = total - (x[y].exp() / x[1:].exp().sum()).log() if y else total
        else:
            total = total - sum(log_sigmoid(x[c] if c == y else -x[c]) for c in range(len(x)))
    return total / max(len(labels), 1)


def naive_score(kind: type[BoxClassification], x: Tensor, c: int) -> Tensor:
    """Score of class c in 0..C-1."""
    if kind is SoftmaxBoxes:
        return x[1 + c].exp() / x.exp().sum()
    if kind is ObjectnessBoxes:
        return x[0].sigmoid() * x[1 + c].exp() / x[1:].exp().sum()
    return x[1 + c].sigmoid() * (1 - x[0].sigmoid())


@every_kind
@pytest.mark.parametrize(
    "labels", [[0, 2, 1, 0, 3, 0], [0, 0, 0], [3, 1, 1], [2], []], ids=["mixed", "none", "all", "one row", "no rows"]
)
def test_loss_gradient_and_scores_are_the_formulas(kind: type[BoxClassification], labels: list[int]) -> None:
    torch.manual_seed(0)
    boxes, targets = MADE[kind](COUNTS), torch.tensor(labels, dtype=torch.int64)
    logits = (3 * torch.randn(len(labels), 4, dtype=torch.float64)).requires_grad_()
    expected, values = naive_loss(kind, logits, targets), boxes(logits, targets)
    torch.testing.assert_close(values.double(), expected, rtol=1e-5, atol=1e-6)
    gradients = [torch.autograd.grad(value, logits)[0] for value in (values, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)
    scores = [[naive_score(kind, x, c) for c in range(3)] for x in logits.detach()]
    truth = torch.tensor(scores, dtype=torch.float32).reshape(-1, 3)
    torch.testing.assert_close(boxes.scores(logits.detach()), truth, rtol=1e-5, atol=1e-6)


def test_softmax_boxes_are_torchs_cross_entropy() -> None:
    logits, labels = torch.randn(9, 4), torch.tensor([0, 0, 0, 1, 2, 3, 3, 0, 1])
    torch.testing.assert_close(SoftmaxBoxes(COUNTS)(logits, labels), nn.functional.cross_entropy(logits, labels))


@every_kind
@pytest.mark.parametrize("classes", [1, 3, 1203])
def test_the_softmax_of_log_shares_gives_the_scores(kind: type[BoxClassification], classes: int) -> None:
    torch.manual_seed(0)
    boxes = MADE[kind](torch.ones(classes, dtype=torch.int64))
    logits = torch.cat([5 * torch.randn(20, classes + 1), torch.full((1, classes + 1), 30.0)])
    logits[:4, 0] = torch.tensor([-40.0, 40.0, -5.0, 5.0])
    logits[4:6] = torch.tensor([-60.0, 60.0])[:, None]
    shares = boxes.log_shares(logits)
    assert shares.shape == logits.shape
    assert shares.isfinite().all()
    torch.testing.assert_close(shares.softmax(1)[:, 1:] * boxes.scale, boxes.scores(logits), rtol=1e-4, atol=1e-9)
    assert boxes.scores(logits).sum(1).max() <= boxes.scale * (1 + 1e-6)


@every_kind
def test_half_precision_logits_give_full_precision(kind: type[BoxClassification]) -> None:
    boxes, logits = MADE[kind](COUNTS), torch.randn(5, 4).bfloat16().requires_grad_()
    value = boxes(logits, torch.tensor([0, 1, 0, 3, 2]))
    value.backward()
    assert {value.dtype, boxes.scores(logits).dtype, boxes.log_shares(logits).dtype} == {torch.float32}
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(("counts", "expected"), [([50, 20, 3], [24, 50, 20, 3]), ([7], [7, 7]), ([1, 2], [2, 1, 2])])
def test_the_background_counts_as_a_class_of_mean_size(counts: list[int], expected: list[int]) -> None:
    assert with_background(counts).tolist() == expected
    assert with_background(torch.tensor(counts)).dtype == torch.int64


def test_there_are_losses_with_counts() -> None:
    assert {LogitAdjustedLoss, FederatedLoss, EqualizationLossV2, ClassDifficultyLoss} < set(counted_losses())


@pytest.mark.parametrize("loss", counted_losses(), ids=lambda loss: loss.__name__)
def test_a_loss_is_made_from_the_counts_with_the_background(loss: type[Loss]) -> None:
    options = {"background": 0} if "background" in arguments(loss) else {}
    expected = loss([24, *COUNTS], **options)
    fitting, misfit = (SigmoidBoxes, SoftmaxBoxes) if expected.sigmoid else (SoftmaxBoxes, SigmoidBoxes)
    instance = fitting(COUNTS, loss).loss
    with pytest.raises(InputError, match=f"goes with longtail.methods.{fitting.__name__}"):
        misfit(COUNTS, loss)
    assert type(instance) is loss
    logits, labels = torch.randn(9, 4), torch.tensor([0, 0, 0, 1, 2, 3, 3, 0, 1])
    values = []
    for criterion in (instance, expected):
        torch.manual_seed(0)
        values.append(criterion(logits, labels))
    assert torch.equal(*values)
    if expected.sigmoid:
        return
    of_objects = ObjectnessBoxes(COUNTS, loss).loss
    assert getattr(of_objects, "background", None) is None, "it sees objects alone"
    of_objects(torch.randn(2, 3), torch.tensor([0, 2]))


@pytest.mark.parametrize(
    ("kind", "loss"),
    [
        (SigmoidBoxes, EqualizationLossV2(4)),
        (SigmoidBoxes, FederatedLoss([24, *COUNTS], background=3)),
        (SigmoidBoxes, functools.partial(FederatedLoss, background=3)),
        (SoftmaxBoxes, ClassDifficultyLoss(ClassDifficulty(4))),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_a_loss_that_has_another_background_is_refused(kind: type[BoxClassification], loss: Loss) -> None:
    with pytest.raises(ValueError, match=r"needs background 0 here, got (None|3)"):
        kind(COUNTS, loss)


def test_sigmoid_boxes_start_with_the_prior() -> None:
    boxes, layer = SigmoidBoxes(COUNTS, EqualizationLossV2, prior=0.02), nn.Linear(5, 4)
    weight = layer.weight.clone()
    boxes.start(layer)
    torch.testing.assert_close(layer.bias.sigmoid(), torch.tensor([0.98, 0.02, 0.02, 0.02]))
    assert torch.equal(layer.weight, weight)
    for misfit in (CosineClassifier(5, 4), nn.Linear(5, 4, bias=False)):
        with pytest.raises(InputError, match="needs a classifier with a bias"):
            boxes.start(misfit)
    for prior in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="prior must be between 0 and 1"):
            SigmoidBoxes(COUNTS, EqualizationLossV2, prior)
