"""Class instance balanced loss against its formula."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from longtail.losses.cibl import ClassInstanceBalancedLoss
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.focal import FocalLoss
from longtail.losses.supcon import SupervisedContrastiveLoss

from . import naive

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.3, 0.1, -2.0], [-1.0, 1.0, 3.0], [0.0, 0.7, 0.2]])
EMBEDDINGS = normalize(torch.tensor([[[3.0, 1.0]], [[-1.0, 2.0]], [[1.0, 1.0]], [[2.0, -1.0]]]), dim=2)
TARGETS = torch.tensor([0, 2, 0, 0])  # the second image is alone in its class


@given(
    st.integers(0, 6), st.integers(1, 3), st.integers(1, 5), st.sampled_from([0.0, 0.5, 1.0, 20.0]), st.integers(0, 99)
)
def test_value_and_gradients_are_the_formulas(rows: int, views: int, classes: int, trade_off: float, seed: int) -> None:
    logits, _ = naive.logits_and_targets(rows, classes, seed)
    embeddings, targets = naive.embeddings_and_targets(rows, views, classes, seed)
    contrastive = naive.supervised_contrastive(embeddings, targets, 0.2)
    expected = []
    for i in range(rows):
        instances = views * sum(targets[j] == targets[i] for j in range(rows)) - 1
        share = float(trade_off * instances / (1 + trade_off * instances))
        entropy = -naive.probability(logits[i], targets[i]).log()
        mean = sum(contrastive[i * views + v] for v in range(views)) / views
        expected.append((1 - share) * entropy + share * mean)
    values = ClassInstanceBalancedLoss(trade_off, 0.2, reduction="none")(logits, embeddings, targets)
    naive.assert_same_rows(values, naive.stack(expected, logits), [logits, embeddings])


def rows(trade_off: float) -> Tensor:
    return ClassInstanceBalancedLoss(trade_off, reduction="none")(LOGITS, EMBEDDINGS, TARGETS)


def test_without_a_trade_off_it_is_plain_cross_entropy() -> None:
    assert torch.equal(rows(0), CrossEntropyLoss(reduction="none")(LOGITS, TARGETS))


def test_a_large_trade_off_leaves_the_contrastive_loss_where_there_are_positives() -> None:
    contrastive = SupervisedContrastiveLoss(reduction="none")(EMBEDDINGS, TARGETS)
    rest = TARGETS == 0
    torch.testing.assert_close(rows(1e9)[rest], contrastive[rest])


def test_a_sample_alone_in_its_class_is_classified_whatever_the_trade_off() -> None:
    entropy = CrossEntropyLoss(reduction="none")(LOGITS, TARGETS)
    for trade_off in (0.5, 1.0, 1e9):
        assert rows(trade_off)[1] == entropy[1]


def test_the_share_can_be_replaced() -> None:
    calls = []

    def share(instances: Tensor, trade_off: float) -> Tensor:
        calls.append((instances.tolist(), trade_off))
        return torch.tensor([0.0, 1.0, 1.0, 0.25])

    views = EMBEDDINGS.repeat(1, 2, 1)
    values = ClassInstanceBalancedLoss(3.0, share=share, reduction="none")(LOGITS, views, TARGETS)
    assert calls == [([5.0, 1.0, 5.0, 5.0], 3.0)]  # three images and one, two views of each, less the one itself
    entropy = CrossEntropyLoss(reduction="none")(LOGITS, TARGETS)
    contrastive = SupervisedContrastiveLoss(reduction="none")(views, TARGETS)[::2]  # both views are alike
    expected = [entropy[0], contrastive[1], contrastive[2], 0.75 * entropy[3] + 0.25 * contrastive[3]]
    torch.testing.assert_close(values, torch.stack(expected))


def test_a_loss_in_the_place_of_the_cross_entropy_may_have_either_reduction() -> None:
    mean, rows = FocalLoss(), FocalLoss(reduction="none")
    values = [ClassInstanceBalancedLoss(logit_loss=loss)(LOGITS, EMBEDDINGS, TARGETS) for loss in (mean, rows)]
    assert torch.equal(*values)
    assert (mean.reduction, rows.reduction) == ("mean", "none")
