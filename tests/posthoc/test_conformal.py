"""Sets hold the true class as often as was promised, and thresholds are those of plain counting."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longtail.posthoc import conformal_quantile, cross_fitted_sets, fit_sets
from longtail.posthoc.scaling import fold_of


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 99))
def test_the_threshold_is_that_of_counting(scores: list[int], percent: int) -> None:
    coverage = percent / 100
    rank = -(-(len(scores) + 1) * percent // 100)  # the ceiling, in whole numbers
    expected = sorted(scores)[rank - 1] if rank <= len(scores) else math.inf
    assert conformal_quantile([float(score) for score in scores], coverage) == expected


def test_of_exchangeable_scores_enough_are_under_the_threshold() -> None:
    """Every one of n + 1 scores taken as the new one: on the mean it is covered as promised, and little more."""
    torch.manual_seed(0)
    scores = torch.randn(40)
    for coverage in (0.5, 0.8, 0.9):
        hits = [scores[i] <= conformal_quantile(torch.cat([scores[:i], scores[i + 1 :]]), coverage) for i in range(40)]
        assert coverage <= sum(map(float, hits)) / 40 <= coverage + 1 / 40


def test_weights_count_a_score_as_often() -> None:
    scores = torch.tensor([0.1, 0.2, 0.3, 0.4])
    assert conformal_quantile(scores, 0.5, torch.ones(4)) == conformal_quantile(scores, 0.5)
    # (0.5 * (5 + 2) = 3.5; 2 + 1 = 3 is short of it, 2 + 1 + 1 is not)
    assert conformal_quantile(scores, 0.5, torch.tensor([2.0, 1.0, 1.0, 1.0])) == pytest.approx(0.3)


def sample(rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Calibrated posteriors of four classes, whose frequencies are 0.6, 0.25, 0.1, 0.05, and labels."""
    generator = torch.Generator().manual_seed(seed)
    prior = torch.tensor([0.6, 0.25, 0.1, 0.05])
    labels = torch.multinomial(prior, rows, replacement=True, generator=generator)
    x = torch.randn(rows, 4, generator=generator) + 1.5 * torch.nn.functional.one_hot(labels, 4)
    return (1.5 * x + prior.log()).softmax(1), labels


PRIOR = [0.6, 0.25, 0.1, 0.05]


@pytest.mark.parametrize("kind", ["marginal", "class", "cluster", "prevalence"])
def test_new_images_are_covered(kind: str) -> None:
    probabilities, labels = sample(4000, 0)
    sets = fit_sets(probabilities.gather(1, labels[:, None])[:, 0], labels, PRIOR, 0.9, kind)
    new, truth = sample(20_000, 1)
    hits = sets(new).gather(1, truth[:, None])[:, 0]
    assert hits.float().mean() >= 0.885
    assert sets(new).any(1).all()
    if kind == "class":
        assert all(hits[truth == c].float().mean() > 0.86 for c in range(4))


def test_other_frequencies_are_covered_by_weights() -> None:
    probabilities, labels = sample(4000, 0)
    true, target = probabilities.gather(1, labels[:, None])[:, 0], [0.05, 0.1, 0.25, 0.6]
    new, truth = sample(60_000, 1)
    shares = torch.tensor(target)[truth] / torch.tensor(PRIOR)[truth]
    for prior, least, most in ((None, 0.0, 0.85), (target, 0.88, 0.93)):
        hits = fit_sets(true, labels, PRIOR, 0.9, target_prior=prior)(new).gather(1, truth[:, None])[:, 0]
        assert least <= float((hits * shares).sum() / shares.sum()) <= most


def test_a_class_of_too_few_images_is_in_every_set() -> None:
    labels = torch.tensor([0] * 20 + [1] * 8)
    sets = fit_sets(torch.linspace(0.5, 1, 28), labels, [20, 8], 0.9, "class")
    assert sets.thresholds[0] < math.inf
    assert sets.thresholds[1] == math.inf
    assert sets(torch.tensor([[1.0, 0.0]])).tolist() == [[True, True]]


@pytest.mark.parametrize("kind", ["marginal", "class", "cluster", "prevalence"])
def test_sets_of_held_out_images_come_from_the_other_folds(kind: str) -> None:
    probabilities, labels = sample(120, 2)
    probabilities = probabilities.double()
    members, unsure = cross_fitted_sets(probabilities, labels, PRIOR, 0.8, kind, folds=3)
    fold, infinite = fold_of(labels, 3), torch.zeros(4, dtype=torch.bool)
    for number in range(3):
        rest = [row for row in range(120) if fold[row] != number]
        true = [probabilities[row, labels[row]].item() for row in rest]
        sets = fit_sets(true, [int(labels[row]) for row in rest], PRIOR, 0.8, kind)
        for row in set(range(120)) - set(rest):
            assert members[row].tolist() == sets(probabilities[row : row + 1])[0].tolist()
        infinite |= sets.thresholds.isinf()
    assert unsure.tolist() == infinite.tolist()
    assert members[:, unsure].all()
    assert bool(unsure.any()) == (kind == "class")


def test_few_images_make_no_clusters() -> None:
    sets = fit_sets([0.9, 0.8, 0.7], [0, 1, 2], [1, 1, 1], 0.5, "cluster")
    assert len(set(sets.thresholds.tolist())) == 1


def test_a_class_of_too_few_images_for_a_cluster_goes_by_all_images() -> None:
    labels = torch.arange(4).repeat_interleave(200).tolist() + [4] * 3
    levels = torch.tensor([0.9, 0.7, 0.5, 0.3, 0.1])[labels]
    true = levels + 0.01 * torch.rand(len(labels), generator=torch.Generator().manual_seed(0))
    *clustered, rare = fit_sets(true, labels, [200, 200, 200, 200, 3], 0.8, "cluster").thresholds.tolist()
    assert rare not in clustered
    assert min(clustered) < rare < max(clustered)


@pytest.mark.parametrize("coverage", [0.0, 1.0, -1, 2, math.nan])
def test_a_promise_is_between_none_and_all(coverage: float) -> None:
    with pytest.raises(ValueError, match="coverage must be between 0 and 1"):
        fit_sets([0.9], [0], [1, 1], coverage)
