"""Average precision, thresholds and figures of several labels, against scikit-learn and plain loops."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score
from torch import Tensor

from longtail.errors import InputError
from longtail.metrics.multi_label import LabelScores, average_precision, best_thresholds, label_figures


def sample(rows: int = 20, ties: bool = False) -> tuple[Tensor, Tensor]:
    """Scores and labels of four classes, of which the last has no image and the first is in all of them."""
    random = np.random.default_rng(rows)
    scores = random.normal(size=(rows, 4))
    labels = random.random((rows, 4)) < 0.3
    labels[:, 0], labels[:, 3] = True, False
    return torch.from_numpy(scores.round(1) if ties else scores), torch.from_numpy(labels)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 20, 200])
def test_average_precision_is_that_of_scikit_learn(rows: int, ties: bool) -> None:
    scores, labels = sample(rows, ties)
    values = average_precision(scores, labels)
    assert values.dtype == torch.float64
    for c in range(4):
        if labels[:, c].any():
            expected = average_precision_score(labels[:, c].numpy(), scores[:, c].numpy())
            assert float(values[c]) == pytest.approx(expected, rel=1e-14)
        else:
            assert values[c].isnan()


def test_without_images_nothing_is_measured() -> None:
    assert average_precision(torch.zeros(0, 3), torch.zeros(0, 3)).isnan().all()
    assert best_thresholds(torch.zeros(0, 3), torch.zeros(0, 3)).isnan().all()


@pytest.mark.parametrize("ties", [False, True])
def test_thresholds_give_the_largest_f1_of_all(ties: bool) -> None:
    scores, labels = sample(40, ties)
    thresholds = best_thresholds(scores, labels)
    figures = label_figures(scores, labels, thresholds)
    for c in range(3):
        truth, values = labels[:, c].numpy(), scores[:, c].numpy()
        best = max(f1_score(truth, values >= value) for value in values)
        assert float(figures["f1"][c]) == pytest.approx(best)
    assert thresholds[3].isnan()


def test_a_threshold_lies_halfway_and_the_highest_of_equally_good_ones_is_taken() -> None:
    scores = torch.tensor([[3.0, 1.0], [2.0, 1.0], [1.0, 1.0], [0.0, 1.0]])
    labels = torch.tensor([[1, 1], [1, 0], [0, 0], [0, 0]])
    assert best_thresholds(scores, labels).tolist() == [1.5, 1.0]
    scores, labels = torch.tensor([[4.0], [3.0], [2.0], [1.0]]), torch.tensor([[1], [0], [0], [1]])
    assert best_thresholds(scores, labels).tolist() == [3.5], "F1 is 2/3 there and for all four"


def test_figures_are_those_of_scikit_learn() -> None:
    scores, labels = sample(50)
    figures = label_figures(scores, labels, [0.2, 0.0, -0.3, 9.0])
    for c, threshold in enumerate([0.2, 0.0, -0.3]):
        truth, answer = labels[:, c].numpy(), scores[:, c].numpy() >= threshold
        for name, function in (("f1", f1_score), ("precision", precision_score), ("recall", recall_score)):
            assert float(figures[name][c]) == pytest.approx(function(truth, answer)), name
    assert all(figures[name][3].isnan() for name in ("ap", "f1", "precision", "recall"))
    assert figures["images"].tolist() == labels.sum(0).tolist()


def test_what_ranks_nothing_is_refused() -> None:
    scores = LabelScores(2)
    scores.update(torch.tensor([[0.0, torch.nan], [0.0, 1.0]]), torch.zeros(2, 2))
    with pytest.raises(InputError, match="1 of 2 rows of logits are not finite"):
        scores.compute()
    with pytest.raises(ValueError, match="labels must be 0 or 1, got 2"):
        average_precision(torch.zeros(1, 2), torch.tensor([[0, 2]]))
