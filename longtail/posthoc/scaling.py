"""Probabilities that mean something: scales and biases of the logits, fitted on validation images."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from longtail.checks import Numbers, check_logits
from longtail.counts import Counts, counts_tensor, log_prior, shot_groups

STEPS = 100  # of L-BFGS at most
# A scaling's parameters: logarithms of scales, and offsets of the biases, for each of these parts of the classes.
SCALINGS = ("temperature", "group", "bias", "vector")


@dataclass(frozen=True)
class Scaling:
    r"""Scales and biases of the logits, :math:`a_c z_c + b_c`, which are calibrated under equal class frequencies.

    Under frequencies :math:`\pi` the calibrated logits are :math:`a_c z_c + b_c + \log \pi_c`.

    Attributes:
        kind: one of ``SCALINGS``.
        scale: a (C,).
        bias: b (C,).
        strength: t; the logits as they are imply the class frequencies :math:`n_c^t / \sum_k n_k^t`.
    """

    kind: str
    scale: Tensor
    bias: Tensor
    strength: float

    def __call__(self, logits: Tensor) -> Tensor:
        """The scaled logits (M, C)."""
        return logits * self.scale.to(logits) + self.bias.to(logits)

    def implied_prior(self, class_counts: Counts) -> Tensor:
        """The class frequencies (C,) that the logits imply as they are."""
        return (self.strength * log_prior(class_counts).double()).softmax(0)


def fit_scaling(
    logits: Numbers,
    targets: Numbers,
    class_counts: Counts,
    kind: str = "temperature",
    many: int = 100,
    few: int = 20,
) -> Scaling:
    r"""Fit scales and biases on validation images, by the likelihood of their labels.

    Minimises the mean of :math:`-\log \mathrm{softmax}_y(a_c z_c + b_c + \log v_c)` over the rows, with v the class
    frequencies among them, so that the fit does not depend on how many validation images a class has. The biases are
    :math:`b_c = -t \log n_c + d_c`: t is what the training left of its own frequencies in the logits. By kind:

    - "temperature": one scale, d = 0;
    - "group": a scale and an offset d for the many-shot, medium-shot and few-shot classes each;
    - "bias": one scale, an offset for every class (bias-corrected temperature scaling);
    - "vector": a scale and an offset for every class.

    Offsets, and the logarithms of scales relative to the common one, have a normal prior of mean 0 and deviation 1, so
    that a class with few images stays near the others.

    Args:
        logits: (M, C).
        targets: labels (M,).
        class_counts: training images of each class n (C,).
        kind: see above.
        many: classes with more training images are many-shot.
        few: classes with fewer training images are few-shot.

    Raises:
        ValueError: on a wrong shape, no row, or another kind.

    Source: Guo et al., On calibration of modern neural networks, ICML 2017, section 4.2 (temperature and vector
    scaling); Alexandari et al., ICML 2020, section 3 (bias-corrected temperature scaling).
    """
    if kind not in SCALINGS:
        raise ValueError(f"kind must be one of {', '.join(SCALINGS)}, got {kind!r}")
    counts = counts_tensor(class_counts)
    values, labels = check_logits(logits, targets, len(counts))
    if not len(labels):
        raise ValueError("there must be a row to fit on")
    z, labels, prior = values.double().cpu().clone(), labels.cpu().clone(), log_prior(counts).double()
    frequencies = (labels.bincount(minlength=len(counts)) / len(labels)).double().log()
    parts = _parts(kind, counts, many, few)
    zeros = partial(torch.zeros, dtype=torch.float64, requires_grad=True)
    common, strength, own = zeros(()), zeros(()), zeros(2, 0 if parts is None else int(parts.max()) + 1)

    def terms() -> tuple[Tensor, Tensor]:
        scale, bias = common.expand(len(counts)), -strength * prior
        if parts is not None:
            scales, offsets = own
            bias = bias + offsets[parts]
            scale = scale if kind == "bias" else scale + scales[parts]
        return scale.exp(), bias

    def loss() -> Tensor:
        scale, bias = terms()
        return cross_entropy(z * scale + bias + frequencies, labels) + own.square().sum() / (2 * len(labels))

    _minimise(loss, [common, strength, own])
    with torch.no_grad():
        scale, bias = terms()
        return Scaling(kind, scale.clone(), bias.clone(), float(strength))


def cross_fitted(
    logits: Numbers,
    targets: Numbers,
    class_counts: Counts,
    kind: str = "temperature",
    folds: int = 5,
    many: int = 100,
    few: int = 20,
) -> Tensor:
    """Scaled logits (M, C), each row by a scaling that was fitted on the other folds; see `fit_scaling`.

    The rows of a class are dealt to the folds in turn.
    """
    values, labels = check_logits(logits, targets, len(counts_tensor(class_counts)))
    fold = fold_of(labels, folds)
    scaled = torch.empty_like(values, dtype=torch.float64)
    for number in range(folds):
        inside = fold == number
        if not bool(inside.any()):
            continue
        rest = inside if bool(inside.all()) else ~inside
        scaling = fit_scaling(values[rest], labels[rest], class_counts, kind, many, few)
        scaled[inside] = scaling(values[inside].double())
    return scaled


def fold_of(targets: Tensor, folds: int) -> Tensor:
    """The fold (M,) of each row: those of a class are dealt in turn, going on where the class before ended."""
    order = targets.argsort(stable=True)
    fold = torch.empty_like(targets)
    fold[order] = torch.arange(len(targets), device=targets.device) % folds
    return fold


def _parts(kind: str, counts: Tensor, many: int, few: int) -> Tensor | None:
    """Which of the own parameters each class has (C,)."""
    if kind == "temperature":
        return None
    if kind != "group":
        return torch.arange(len(counts))
    return torch.stack(list(shot_groups(counts, many, few).values())).int().argmax(0)


def _minimise(loss: Callable[[], Tensor], parameters: list[Tensor]) -> None:
    optimizer = torch.optim.LBFGS(parameters, max_iter=STEPS, line_search_fn="strong_wolfe", tolerance_change=1e-10)

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call] # torch
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call] # torch
