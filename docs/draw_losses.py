"""Draws the pictures of docs/losses.md: ``python docs/draw_losses.py [FOLDER]``, by default into docs/losses.

Every curve comes from calling the loss that it is about; no formula is repeated here. The data set is that of
CIFAR-100-LT: 100 classes of 500 to 5 images. That of the pixels has two classes.
"""

import argparse
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from torch import Tensor, nn

from longtail import losses
from longtail.counts import exponential_counts, log_prior
from longtail.difficulty import ClassDifficulty
from longtail.metrics.segmentation import PixelConfusion

C = 100
COUNTS = exponential_counts(500, C, 0.01)
IMAGES = int(COUNTS.sum())
CLASSES = torch.arange(C)
MANY, FEW = 100, 20  # a class with more images is many-shot, with fewer few-shot

# Logits (C, C) of one row of each class, for three classifiers: one that holds all classes for equally likely, one
# that knows how frequent each class is and nothing else, and one that also sees the true class, every class as well.
UNIFORM = torch.zeros(C, C)
FREQUENCY = log_prior(COUNTS).expand(C, C)
HALF_TRAINED = FREQUENCY + 4 * torch.eye(C)
EVEN = losses.CrossEntropyLoss(reduction="none")(UNIFORM, CLASSES)  # what a weight of 1 gives

INK = "#1d232a"
LINES: list[dict[str, Any]] = [  # apart in grey as well: by shade and by dash
    {"color": "#0b3c5d", "linestyle": "-", "linewidth": 2.2},
    {"color": "#c4560a", "linestyle": "--", "linewidth": 2.2},
    {"color": "#3f8fc5", "linestyle": "-.", "linewidth": 2.2},
    {"color": "#e0a100", "linestyle": ":", "linewidth": 2.6},
]
SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "longtail",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 10,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e3e6ea",
    "legend.frameon": False,
    "legend.handlelength": 2.6,
}

Drawing = Callable[[Figure], None]


def gradients(loss: nn.Module, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient (C,) that the logit of each class gets in an epoch: upwards as the true class, downwards as another."""
    x = logits.clone().requires_grad_()
    (loss.eval()(x, CLASSES) * COUNTS).sum().backward()
    assert x.grad is not None
    up = -x.grad.diagonal()
    return up, x.grad.sum(0) + up


def cross_entropy(figure: Figure) -> None:
    up, down = gradients(losses.CrossEntropyLoss(reduction="none"), UNIFORM)
    axes = by_class(figure, "gradient of the logit, one epoch")
    lines(axes, COUNTS, {"up, by images of the class": up, "down, by all other images": down})
    log_scale(axes, (5, 10, 20, 50, 100, 200, 500))
    legend(axes)


def logit_adjusted(figure: Figure) -> None:
    balance = {}
    for strength, name in ((1.0, "strength 1"), (0.5, "strength 0.5"), (0.0, "cross-entropy")):
        up, down = gradients(losses.LogitAdjustedLoss(COUNTS, strength, reduction="none"), UNIFORM)
        balance[name] = up / down
    axes = by_class(figure, "gradient up over gradient down")
    lines(axes, COUNTS, balance)
    log_scale(axes, (0.05, 0.1, 0.2, 0.5, 1, 2, 5))
    legend(axes, columns=3)


def ldam(figure: Figure) -> None:
    margins = -losses.LDAMLoss(COUNTS, scale=1).adjust(UNIFORM, CLASSES).diagonal()
    loss = losses.LDAMLoss(COUNTS, max_margin=0, reweight_from=0.8, reduction="none")  # what is left is the weight
    weights = {}
    for epoch, name in ((160, "from reweight_from on"), (159, "before")):
        loss.set_epoch(epoch, 200)
        weights[name] = loss(UNIFORM, CLASSES) / EVEN
    upper, lower = figure.subplots(2, 1, sharex=True)
    by_class(upper, "margin (cosine)", last=False)
    lines(upper, COUNTS, {"": margins})
    upper.set_ylim(0, 0.55)
    by_class(lower, "weight", groups=False)
    lines(lower, COUNTS, weights)
    lower.legend(loc="upper left")


def class_balanced(figure: Figure) -> None:
    weights = {
        f"beta {beta}": losses.ClassBalancedLoss(COUNTS, beta, reduction="none")(UNIFORM, CLASSES) / EVEN
        for beta in (0.9999, 0.99, 0.9, 0)
    }
    axes = by_class(figure, "weight of an image")
    lines(axes, COUNTS, weights)
    log_scale(axes, (0.05, 0.1, 0.2, 0.5, 1, 2, 5))
    legend(axes)


def focal(figure: Figure) -> None:
    plain, _ = gradients(losses.CrossEntropyLoss(reduction="none"), HALF_TRAINED)
    curves = {}
    for gamma in (5, 2, 1):
        up, _ = gradients(losses.FocalLoss(gamma, reduction="none"), HALF_TRAINED)
        curves[f"gamma {gamma}"] = up / plain
    axes = by_class(figure, "gradient of an image,\ncross-entropy = 1")
    axes.axhline(1, color=INK, linewidth=0.8)
    lines(axes, COUNTS, curves)
    axes.set_ylim(0, 1.5)
    legend(axes, columns=3)


def class_difficulty(figure: Figure) -> None:
    accuracy = torch.linspace(0.9, 0, C)  # the first class does best, as it has most images
    curves = {}
    for tau in (2.0, 1.0, 0.5):
        difficulty = ClassDifficulty(C, tau)
        difficulty.update(accuracy)
        loss = losses.ClassDifficultyLoss(difficulty, reduction="none")
        curves[f"tau {tau:g}"] = loss(UNIFORM, CLASSES) / EVEN
    axes = figure.subplots()
    axes.axhline(1, color=INK, linewidth=0.8)
    lines(axes, 100 * accuracy, curves)
    axes.set_xlim(92, -2)
    axes.set_ylim(0)
    axes.set_xlabel("validation accuracy of the class (%)")
    axes.set_ylabel("weight of an image")
    for side, place in (("most images", 0.02), ("fewest images", 0.98)):
        axes.text(place, 1.02, side, ha="left" if place < 0.5 else "right", transform=axes.transAxes, fontsize=9)
    legend(axes, columns=3)


def seesaw(figure: Figure) -> None:
    plain_up, plain_down = gradients(losses.CrossEntropyLoss(reduction="none"), FREQUENCY)
    ratios = {}
    for q, name in ((2.0, "down"), (0.0, "down, q = 0")):
        loss = losses.SeesawLoss(C, q=q, reduction="none")
        loss(torch.zeros(IMAGES, C), CLASSES.repeat_interleave(COUNTS))  # it counts what it sees: one epoch
        up, down = gradients(loss, FREQUENCY)
        ratios |= {name: down / plain_down, "up": up / plain_up}
    axes = by_class(figure, "gradient of the logit,\ncross-entropy = 1")
    axes.axhline(1, color=INK, linewidth=0.8)
    lines(axes, COUNTS, ratios)
    log_scale(axes, (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2))
    legend(axes, columns=3)


def equalization(figure: Figure) -> None:
    loss = losses.EqualizationLossV2(C)
    generator = torch.Generator().manual_seed(0)
    targets = CLASSES.repeat_interleave(COUNTS)
    for _ in range(5):
        for rows in torch.randperm(IMAGES, generator=generator).split(128):
            loss(torch.full((len(rows), C), -math.log(C - 1)), targets[rows])  # sigmoids of 1 / C
    as_positive, as_negative = loss.weights()
    axes = by_rank(figure, "weight of the class")
    axes.axhline(1, color=INK, linewidth=0.8)
    lines(axes, CLASSES, {"as the true class": as_positive, "as another class": as_negative})
    axes.set_ylim(0, 5)
    legend(axes)


def federated(figure: Figure) -> None:
    batches = torch.multinomial(COUNTS.double().expand(2000, C), 16, True, generator=torch.Generator().manual_seed(0))
    curves = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, num_sampled, power in (
            ("power 0.5", 20, 0.5),
            ("power 0", 20, 0.0),
            ("power 1", 20, 1.0),
            ("none drawn", 1, 0.5),
        ):
            loss = losses.FederatedLoss(COUNTS, num_sampled, power)
            curves[name] = 100 * torch.stack([loss.sample(targets) for targets in batches]).float().mean(0)
    axes = by_class(figure, "batches in which\nthe class counts (%)")
    lines(axes, COUNTS, curves)
    axes.set_ylim(0)
    legend(axes)


def a_batch() -> Tensor:
    """Labels of a batch of 256 images, drawn from the data set."""
    return torch.multinomial(COUNTS.double(), 256, True, generator=torch.Generator().manual_seed(0))


def push(loss: Any, targets: Tensor, prototypes: bool = False) -> tuple[Any, Any]:
    """Share of the push that an anchor gets from the images of each other class (C,), and from its prototype (C,).

    Two views of each image, all embeddings at right angles: then the gradient that an anchor's loss sends to a key,
    along the anchor, is the key's share in the denominator. The mean over anchors of several classes.
    """
    n = len(targets)
    keys = torch.eye(2 * n + C)
    shares = []
    for label in targets.unique()[::10].tolist():
        anchor = int((targets == label).nonzero()[0])
        z, p = keys[: 2 * n].unflatten(0, (n, 2)).requires_grad_(), keys[2 * n :].clone().requires_grad_()
        rows = loss(z, targets, p) if prototypes else loss(z, targets)
        gradients = torch.autograd.grad(rows[2 * anchor], (z, p), allow_unused=True)
        of_images = torch.zeros(C).index_add(0, targets, gradients[0][..., 2 * anchor].sum(1))
        of_prototypes = gradients[1][:, 2 * anchor] if prototypes else torch.zeros(C)
        share = loss.temperature * torch.stack([of_images, of_prototypes])
        share[:, label] = math.nan  # the own class pulls
        shares.append(share)
    images, others = (100 * torch.stack(shares).nanmean(0)).numpy()
    return images, others


def supervised_contrastive(figure: Figure) -> None:
    targets = a_batch()
    share, _ = push(losses.SupervisedContrastiveLoss(reduction="none"), targets)
    axes = by_rank(figure, "share of the push (%)")
    axes.stairs(share, range(C + 1), fill=True, color=LINES[0]["color"], label="images of the class")
    axes.axhline(1, color=INK, linewidth=1, linestyle="--", label="equal shares")
    legend(axes)


def balanced_contrastive(figure: Figure) -> None:
    targets = a_batch()
    images, prototypes = push(losses.BalancedContrastiveLoss(reduction="none"), targets, prototypes=True)
    before, _ = push(losses.SupervisedContrastiveLoss(reduction="none"), targets)
    axes = by_rank(figure, "share of the push (%)")
    axes.stairs(images, range(C + 1), fill=True, color="#3f8fc5", label="images of the class")
    total = images + prototypes
    axes.stairs(total, range(C + 1), baseline=images, fill=True, color="#f3cf7a", label="its prototype")
    axes.stairs(before, range(C + 1), color=INK, linewidth=0.9, label="supervised contrastive loss")
    legend(axes)


def class_instance_balanced(figure: Figure) -> None:
    images = torch.arange(1, 21)
    targets = torch.arange(len(images)).repeat_interleave(images)
    embeddings = torch.eye(2 * len(targets)).unflatten(0, (-1, 2))
    first = images.cumsum(0) - images
    curves = {}
    for trade_off in (10, 1, 0.1):
        gradients = []
        for a in (0, trade_off):
            logits = torch.zeros(len(targets), len(images), requires_grad=True)
            losses.ClassInstanceBalancedLoss(a)(logits, embeddings, targets).backward()
            assert logits.grad is not None
            gradients.append(logits.grad[first, targets[first]])
        curves[f"trade_off {trade_off}"] = 100 * (1 - gradients[1] / gradients[0])  # what cross-entropy has lost
    axes = figure.subplots()
    lines(axes, images, curves, marker="o", markersize=3.5)
    for place, name in ((1, "rarest class, if there"), (256 * 500 / IMAGES, "largest class, on average")):
        axes.axvline(place, color="#9aa3ac", linewidth=0.8, zorder=0)
        side = "left" if place == 1 else "center"
        axes.text(place, 1.02, name, ha=side, transform=axes.get_xaxis_transform(), fontsize=9)
    axes.set_xlim(0.5, 20.5)
    axes.set_ylim(0, 105)
    axes.set_xticks((1, 5, 10, 15, 20))
    axes.set_xlabel("images of the class in the batch, two views each")
    axes.set_ylabel("share of the contrastive loss (%)")
    legend(axes, columns=3)


def gaussian_mixture(figure: Figure) -> None:
    axis = torch.eye(C + 1)
    keys = axis[:C]  # one for each class, at right angles
    cosines = torch.linspace(0, 1, 101)[:, None, None]
    queries = (cosines * keys + (1 - cosines**2).sqrt() * axis[C]).flatten(0, 1)  # at right angles to other classes
    curves = {}
    for name, counts, temperature in (
        ("tau 0.1", COUNTS, 0.1),
        ("tau 0.1, equal counts", torch.full((C,), 100), 0.1),
        ("tau 0.05", COUNTS, 0.05),
        ("tau 0.15", COUNTS, 0.15),
    ):
        loss = losses.GaussianMixtureLoss(counts, temperature, reduction="none")
        rows = loss(queries, CLASSES.repeat(len(cosines)), keys, CLASSES).detach().unflatten(0, (-1, C))
        # the terms are equal, as no key is left out; the loss falls along the cosines
        half = [np.interp(-2 * math.log(2), -row, cosines[:, 0, 0], right=np.nan) for row in rows.T.numpy()]
        curves[name] = torch.tensor(half)
    axes = by_class(figure, "cosine to the own keys\nfor a probability of one half")
    lines(axes, COUNTS, curves)
    axes.set_ylim(0, 1)
    legend(axes)


def pixels(figure: Figure) -> None:
    counts = torch.tensor([19_000, 1_000])
    targets = torch.arange(2).repeat_interleave(counts)[None, None]
    # what a pixel looks like is one number, normally distributed in each class
    normal = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 1)
    spread = [normal.icdf((torch.arange(n, dtype=torch.float64) + 0.5) / n) for n in counts.tolist()]
    looks = torch.cat([spread[0], spread[1] + 2])

    def logits(weight: Tensor) -> Tensor:
        return torch.stack([torch.zeros_like(looks), weight[0] * looks + weight[1]])[None, :, None]

    strengths = torch.linspace(0, 1.5, 31)
    rows = []
    for strength in strengths.tolist():
        loss = losses.PixelLoss(counts, functools.partial(losses.LogitAdjustedLoss, strength=strength))
        weight = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([weight], max_iter=50, line_search_fn="strong_wolfe")

        def closure(loss: nn.Module = loss, weight: Tensor = weight) -> Tensor:
            weight.grad = None
            value: Tensor = loss(logits(weight), targets)
            value.backward()
            return value

        optimizer.step(closure)
        confusion = PixelConfusion(counts, many=10_000, few=5_000)
        confusion.update(logits(weight).argmax(1)[0], targets[0])
        figures, per_class = confusion.compute()
        rows.append([per_class["accuracy"][1], figures["mean_accuracy"], per_class["iou"][1], figures["miou"]])
    names = ("accuracy, rare class", "mean accuracy", "IoU, rare class", "mean IoU")
    axes = figure.subplots()
    lines(axes, strengths, dict(zip(names, 100 * torch.tensor(rows).T, strict=True)))
    axes.set_ylim(0, 100)
    axes.set_xlabel("strength of the logit adjustment")
    axes.set_ylabel("percent")
    legend(axes)


DRAWINGS: dict[str, Drawing] = {
    "BalancedContrastiveLoss": balanced_contrastive,
    "ClassBalancedLoss": class_balanced,
    "ClassDifficultyLoss": class_difficulty,
    "ClassInstanceBalancedLoss": class_instance_balanced,
    "CrossEntropyLoss": cross_entropy,
    "EqualizationLossV2": equalization,
    "FederatedLoss": federated,
    "FocalLoss": focal,
    "GaussianMixtureLoss": gaussian_mixture,
    "LDAMLoss": ldam,
    "LogitAdjustedLoss": logit_adjusted,
    "PixelLoss": pixels,
    "SeesawLoss": seesaw,
    "SupervisedContrastiveLoss": supervised_contrastive,
}


def by_class(place: Figure | Axes, label: str, groups: bool = True, last: bool = True) -> Axes:
    """Axes over the classes by their number of images, most on the left, with the shot groups named above."""
    axes = place if isinstance(place, Axes) else place.subplots()
    axes.set_xscale("log")
    axes.set_xlim(560, 4.5)
    for edge in (MANY, FEW):
        axes.axvline(edge, color="#9aa3ac", linewidth=0.8, zorder=0)
    axes.xaxis.set_major_locator(FixedLocator([500, 200, 100, 50, 20, 10, 5]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(plain_numbers())
    if last:
        axes.set_xlabel("training images of the class")
    if groups:
        name_groups(axes, (224, 44.7, 9.5))
    axes.set_ylabel(label)
    return axes


def by_rank(figure: Figure, label: str) -> Axes:
    """Axes over the classes by rank, for what is a bar for each class."""
    axes = figure.subplots()
    many, few = int((COUNTS > MANY).sum()), int((COUNTS >= FEW).sum())
    for edge in (many, few):
        axes.axvline(edge, color="#9aa3ac", linewidth=0.8, zorder=0)
    name_groups(axes, (many / 2, (many + few) / 2, (few + C) / 2))
    axes.set_xlim(-1, C + 1)
    axes.set_xlabel("classes, most training images first")
    axes.set_ylabel(label)
    return axes


def name_groups(axes: Axes, places: Sequence[float]) -> None:
    for name, place in zip(("many-shot", "medium-shot", "few-shot"), places, strict=True):
        axes.text(place, 1.02, name, ha="center", va="bottom", transform=axes.get_xaxis_transform(), fontsize=9)


def lines(axes: Axes, x: Tensor, curves: dict[str, Tensor], **more: Any) -> None:
    for look, (name, y) in zip(LINES, curves.items(), strict=False):
        axes.plot(x.numpy(), y.detach().numpy(), label=name, **look, **more)


def legend(axes: Axes, columns: int = 2) -> None:
    handles, names = axes.get_legend_handles_labels()
    axes.figure.legend(handles, names, loc="outside upper center", ncols=columns)


def log_scale(axes: Axes, ticks: Sequence[float]) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(plain_numbers())


def plain_numbers() -> FuncFormatter:
    return FuncFormatter(lambda value, _: f"{value:g}")


@contextmanager
def drawing() -> Iterator[Figure]:
    with style.context(["default", SETTINGS]):
        yield Figure(figsize=(5, 3.2), layout="constrained", facecolor="white")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent / "losses")
    parser.add_argument("--png", action="store_true", help="draw PNG, to look at")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, draw in DRAWINGS.items():
        with drawing() as figure:
            draw(figure)
            if options.png:
                figure.savefig(options.folder / f"{name}.png", dpi=160)
            else:
                nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
                figure.savefig(options.folder / f"{name}.svg", metadata=nothing)


if __name__ == "__main__":
    main()
