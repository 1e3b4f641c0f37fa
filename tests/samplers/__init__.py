"""Samplers: their contract and their frequencies."""

import torch


def assert_frequencies(classes: torch.Tensor, probabilities: torch.Tensor) -> None:
    """Pearson's chi-square of drawn classes (or rows) against the probabilities, at five standard deviations."""
    counts = torch.bincount(classes, minlength=len(probabilities)).double()
    expected = probabilities.double() * len(classes)
    assert len(counts) == len(expected)
    assert counts[expected == 0].sum() == 0, "what has no probability is never drawn"
    counts, expected = counts[expected > 0], expected[expected > 0]
    freedom = len(counts) - 1
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert statistic <= freedom + 5 * (2 * freedom) ** 0.5 + 1e-9, (counts, expected)
