"""Class frequencies other than those of the training set: given, or estimated from images without labels."""

import torch
from torch import Tensor

from longtail.checks import Numbers, as_tensor, check_shape

STEPS = 10_000  # of expectation maximisation at most; it takes tens to hundreds
TOLERANCE = 1e-7  # of a frequency, for the steps to end


def check_prior(prior: Numbers, num_classes: int) -> Tensor:
    """Return class frequencies (C,) as float64 that sum to 1; counts do as well.

    Raises:
        ValueError: on another shape, a negative or infinite entry, or a sum of 0.
    """
    values = check_shape("prior", prior, num_classes).double()
    if not bool((values >= 0).all()) or not bool(values.isfinite().all()):
        raise ValueError(f"prior must be finite and not negative, got {float(values.min()):g} as its smallest")
    if not float(values.sum()) > 0:
        raise ValueError("prior must have a class above 0")
    return values / values.sum()


def shift_prior(logits: Numbers, source: Numbers, target: Numbers) -> Tensor:
    r"""Logits under other class frequencies, :math:`z_c + \log \pi_c - \log s_c`.

    Their softmax is the posterior under the target where that of the logits is the posterior under the source and the
    images of each class stay what they were (label shift).

    Args:
        logits: (M, C).
        source: class frequencies s (C,) that the logits imply, positive.
        target: class frequencies (C,) where they are used; a class of frequency 0 gets minus infinity.

    Raises:
        ValueError: on another shape, a negative entry, or a source of 0.

    Source: Saerens et al., Adjusting the outputs of a classifier to new a priori probabilities, Neural Computation
    2002, equation 2.4.
    """
    values = as_tensor("logits", logits, "M", "C")
    classes = values.shape[-1]
    before, after = check_prior(source, classes), check_prior(target, classes)
    if not bool((before > 0).all()):
        raise ValueError(f"source must be positive, got 0 for class {int(before.argmin())}")
    return values + (after.log() - before.log()).to(values)


def estimate_prior(logits: Numbers, source: Numbers) -> Tensor:
    r"""Class frequencies (C,) of images without labels, by maximum likelihood, float64.

    Expectation maximisation of the mixture :math:`\sum_c \pi_c p(x \mid c)`, whose densities are
    :math:`p(c \mid x) / s_c` up to a factor: :math:`\pi_c \leftarrow \frac{1}{M} \sum_i p_\pi(c \mid x_i)`.

    Args:
        logits: (M, C), calibrated: their softmax is the posterior under the source.
        source: class frequencies s (C,), positive.

    Raises:
        ValueError: on another shape, no row, or a source of 0.

    Source: Saerens et al., Adjusting the outputs of a classifier to new a priori probabilities, Neural Computation
    2002, equation 2.9; calibrated as in Alexandari et al., Maximum likelihood with bias-corrected calibration is
    hard-to-beat at label shift adaptation, ICML 2020.
    """
    ratio = _ratio(logits, source)
    return _maximise(ratio, torch.ones(len(ratio), 1, dtype=torch.float64))[:, 0]


def prior_interval(
    logits: Numbers, source: Numbers, level: float = 0.95, samples: int = 100, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Lower and upper ends (C,) of what `estimate_prior` gives on samples of the rows, drawn with replacement.

    Args:
        logits: as in ``estimate_prior``.
        source: as there.
        level: share of the samples between the ends.
        samples: of the bootstrap.
        seed: of the draws.
    """
    ratio = _ratio(logits, source)
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randint(len(ratio), (samples, len(ratio)), generator=generator)
    weights = torch.stack([rows.bincount(minlength=len(ratio)) for rows in draws], 1).double()
    estimates = _maximise(ratio, weights)
    tail = (1 - level) / 2
    return estimates.quantile(tail, 1), estimates.quantile(1 - tail, 1)


def _ratio(logits: Numbers, source: Numbers) -> Tensor:
    """Densities p(x | c) of each row (M, C), up to a factor of the row."""
    values = as_tensor("logits", logits, "M", "C").double().cpu()
    if values.ndim != 2 or not len(values):
        raise ValueError(f"logits must have shape (M, C) with M >= 1, got {tuple(values.shape)}")
    shifted = shift_prior(values, source, torch.ones(values.shape[1]))
    return (shifted - shifted.max(1, keepdim=True).values).exp()


def _maximise(ratio: Tensor, weights: Tensor) -> Tensor:
    """Frequencies (C, B) of the rows under B weightings (M, B) of them."""
    share = weights / weights.sum(0)
    prior = torch.full((ratio.shape[1], weights.shape[1]), 1 / ratio.shape[1], dtype=torch.float64)
    for _ in range(STEPS):
        after = prior * (ratio.T @ (share / (ratio @ prior)))
        change = float((after - prior).abs().max())
        prior = after
        if change < TOLERANCE:
            break
    return prior
