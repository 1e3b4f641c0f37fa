"""Distribution-balanced loss against its formula."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail.losses.binary_cross_entropy import BinaryCrossEntropyLoss
from longtail.losses.binary_difficulty import BinaryDifficultyLoss
from longtail.losses.distribution_balanced import DistributionBalancedLoss

from . import naive

CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # shares and offsets are kept in float32


@settings(max_examples=20)
@given(
    st.integers(0, 5),
    st.lists(st.integers(1, 900), min_size=1, max_size=5),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([1.0, 2.0, 5.0]),
    st.sampled_from([0.0, 0.05, 1.0]),
    st.integers(0, 99),
)
def test_value_and_gradient_are_the_formulas(
    rows: int, counts: list[int], alpha: float, scale: float, bias: float, seed: int
) -> None:
    logits, labels = naive.logits_and_labels(rows, len(counts), seed)
    images, beta, mu = 1000, 10.0, 0.2

    def term(i: int, c: int, x: torch.Tensor, y: int) -> torch.Tensor:
        rate = sum(1 / n for n, has in zip(counts, labels[i].tolist(), strict=True) if has)
        part = (1 / counts[c]) / rate if rate else math.inf
        weight = alpha + 1 / (1 + math.exp(-beta * (part - mu)))
        logit = x - bias * math.log(images / counts[c] - 1)
        cost = (1 + (-logit).exp()).log() if y else (1 + (scale * logit).exp()).log() / scale
        return weight * cost

    loss = DistributionBalancedLoss(counts, alpha, beta, mu, scale, bias, images, reduction="none")
    naive.assert_same_rows(loss(logits, labels), naive.sum_of_terms(logits, labels, term), [logits], **CLOSE)


def test_without_weights_and_tolerance_it_is_binary_cross_entropy() -> None:
    logits, labels = torch.randn(6, 3), torch.randint(2, (6, 3))
    loss = DistributionBalancedLoss([9, 3, 1], alpha=0.5, beta=0, scale=1, bias=0)
    torch.testing.assert_close(loss(logits, labels), BinaryCrossEntropyLoss()(logits, labels))


def test_it_is_told_the_images_also_inside_another_loss() -> None:
    loss, truth = DistributionBalancedLoss([40, 4, 1], bias=1), DistributionBalancedLoss([40, 4, 1], bias=1, images=100)
    assert not torch.equal(loss.offsets, truth.offsets)
    loss.set_images(100)
    assert torch.equal(loss.offsets, truth.offsets)
    torch.testing.assert_close(truth.offsets, torch.tensor([60 / 40, 96 / 4, 99.0]).log())
    assert loss.with_reduction("none").offsets is loss.offsets
    copy = DistributionBalancedLoss([40, 4, 1], bias=1.0)
    copy.load_state_dict(loss.state_dict())
    assert torch.equal(copy.offsets, loss.offsets), "though the images that there were are not counted again"
    inner = BinaryDifficultyLoss([40, 4, 1], loss).loss
    assert isinstance(inner, DistributionBalancedLoss)
    inner.set_images(1000)
    assert loss.offsets[2] == torch.tensor(999.0).log()


def test_a_class_that_every_image_has_starts_at_a_finite_offset() -> None:
    assert DistributionBalancedLoss([50, 2], images=50).offsets.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -0.1}, "alpha must be at least 0"),
        ({"scale": 0}, "scale must be at least"),
        ({"images": 8}, "images must be at least 9, got 8"),
    ],
    ids=str,
)
def test_options_outside_their_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DistributionBalancedLoss([9, 3, 1], **options)
