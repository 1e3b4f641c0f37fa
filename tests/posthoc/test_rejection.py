"""Scores of rejection against plain loops in float64 and closed cases; thresholds refuse no more than was allowed."""

import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail.metrics import separation
from longtail.posthoc import class_distance, energy, mean_directions, rejection_threshold
from longtail.posthoc.rejection import cross_refused, images_for
from longtail.posthoc.scaling import fold_of


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_energy_is_that_of_a_plain_loop(temperature: float) -> None:
    torch.manual_seed(0)
    logits = 20 * torch.randn(5, 4)
    for row, value in zip(logits.double().tolist(), energy(logits, temperature).tolist(), strict=True):
        assert value == pytest.approx(-temperature * math.log(sum(math.exp(z / temperature) for z in row)))


def test_the_energy_of_large_logits_and_of_classes_that_are_ruled_out_is_finite() -> None:
    values = energy([[1e4, 0.0], [-1e4, -1e4], [2.0, -math.inf]])
    assert values.tolist() == pytest.approx([-1e4, 1e4 - math.log(2), -2.0])


def unit(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(x * x for x in vector))
    return [x / length for x in vector]


def test_the_distance_is_that_of_a_plain_loop() -> None:
    torch.manual_seed(0)
    features, targets, new = torch.randn(40, 3) + 1, torch.arange(40) % 4, torch.randn(6, 3)
    sums, counts = [[0.0] * 3 for _ in range(4)], [0] * 4
    for vector, c in zip(features.double().tolist(), targets.tolist(), strict=True):
        sums[c] = [s + x for s, x in zip(sums[c], unit(vector), strict=True)]
        counts[c] += 1
    means = [[s / n for s in row] for row, n in zip(sums, counts, strict=True)]
    centre = [sum(column) / 4 for column in zip(*means, strict=True)]
    directions = [unit([m - g for m, g in zip(mean, centre, strict=True)]) for mean in means]
    result = mean_directions(features, targets, 4)
    torch.testing.assert_close(result, torch.tensor(means, dtype=torch.float64), atol=1e-6, rtol=0)
    for vector, value in zip(new.double().tolist(), class_distance(new, result).tolist(), strict=True):
        ray = unit([x - g for x, g in zip(unit(vector), centre, strict=True)])
        cosines = [sum(x * y for x, y in zip(ray, direction, strict=True)) for direction in directions]
        assert value == pytest.approx(1 - max(cosines))


def test_between_opposite_classes_the_distance_is_the_angle() -> None:
    """Two classes at either end of a line have their centre at 0: an image at the angle a is 1 - |cos a| away."""
    means = mean_directions([[2.0, 0.0], [5.0, 0.0], [-1.0, 0.0]], [0, 0, 1], 2)
    angles = [0.0, 0.3, 1.2, math.pi / 2, 2.5, math.pi]
    images = [[3 * math.cos(a), 3 * math.sin(a)] for a in angles]
    assert class_distance(images, means).tolist() == pytest.approx([1 - abs(math.cos(a)) for a in angles], abs=1e-6)


def test_a_frequent_class_moves_the_centre_no_more_than_a_rare_one() -> None:
    torch.manual_seed(0)
    features, targets = torch.randn(12, 5) + 2, torch.arange(12) % 3
    labels = torch.cat([targets, targets[targets == 0].repeat(50)])
    means = mean_directions(torch.cat([features, features[targets == 0].repeat(50, 1)]), labels, 3)
    torch.testing.assert_close(means, mean_directions(features, targets, 3))


def test_a_class_without_an_image_has_no_mean() -> None:
    with pytest.raises(ValueError, match="class 1 has none"):
        mean_directions(torch.ones(2, 3), [0, 2], 3)


@settings(max_examples=30)
@given(st.integers(2, 30), st.integers(1, 99))
def test_a_threshold_refuses_no_more_than_allowed(images: int, percent: int) -> None:
    """Every one of the images taken as the new one: at most the share is refused, and one less would be too few."""
    scores, rate = random.Random(images).sample(range(1000), images), percent / 100
    if images * percent < 100:  # n images of which n - 1 are held out: fewer than 1 / rate - 1
        with pytest.raises(ValueError, match="held-out images"):
            rejection_threshold([float(score) for score in scores[1:]], rate)
        return
    refusals = [
        score > rejection_threshold([float(value) for value in scores if value != score], rate) for score in scores
    ]
    assert rate - 1 / images < sum(refusals) / images <= rate


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_a_rate_is_between_none_and_all(rate: float) -> None:
    with pytest.raises(ValueError, match="rate must be between 0 and 1"):
        rejection_threshold([0.0] * 100, rate)


def test_every_fold_is_held_against_the_others() -> None:
    torch.manual_seed(0)
    scores, targets = torch.randn(60), torch.arange(60) % 7
    fold = fold_of(targets, 5)
    expected = []
    for row in range(60):
        rest = sorted(scores[partner].item() for partner in range(60) if fold[partner] != fold[row])
        expected.append(scores[row].item() > rest[math.ceil(49 * 0.9) - 1])
    assert cross_refused(scores, fold, 0.1).tolist() == expected
    assert not cross_refused(scores, fold, 0.001).any(), "too few to refuse one"


@pytest.mark.parametrize("apart", [0.0, 1.0, 2.5])
def test_two_normal_distributions_are_told_apart_as_their_formula_says(apart: float) -> None:
    """N(0, 1) and N(d, 1): AUROC is Phi(d / sqrt 2), and Phi(1.645 - d) are kept with 95 % of the others."""
    normal = torch.distributions.Normal(0.0, 1.0)
    grid = normal.icdf((torch.arange(4000) + 0.5) / 4000)
    figures = separation(grid, grid + apart)
    assert figures["auroc"] == pytest.approx(normal.cdf(torch.tensor(apart / math.sqrt(2))).item(), abs=2e-3)
    assert figures["fpr95"] == pytest.approx(normal.cdf(torch.tensor(1.6449 - apart)).item(), abs=2e-3)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=25), st.lists(st.integers(0, 9), min_size=1, max_size=25))
def test_separation_is_that_of_counting_pairs(known: list[int], outsiders: list[int]) -> None:
    wins = sum((outer > inner) + (outer == inner) / 2 for inner in known for outer in outsiders)
    figures = separation([float(x) for x in known], [float(x) for x in outsiders])
    assert figures["auroc"] == pytest.approx(wins / len(known) / len(outsiders))
    level = min(x for x in known if 100 * sum(inner <= x for inner in known) >= 95 * len(known))
    assert figures["fpr95"] == pytest.approx(sum(outer <= level for outer in outsiders) / len(outsiders))


def test_of_nobody_nothing_is_told_apart() -> None:
    assert all(math.isnan(value) for value in separation([], [1.0]).values())
    assert all(math.isnan(value) for value in separation([1.0], []).values())


@pytest.mark.parametrize("rate", [0.5, 0.3, 0.1, 0.05, 0.01])
def test_a_threshold_wants_as_many_images_as_it_says_and_no_fewer(rate: float) -> None:
    least = images_for(rate)
    assert math.isfinite(rejection_threshold(torch.arange(least).double(), rate))
    with pytest.raises(ValueError, match=f"wants at least {least} held-out images, got {least - 1}"):
        rejection_threshold(torch.arange(least - 1).double(), rate)
