"""Curves: of a training over its epochs, and of a run over the strengths of the logit adjustment."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from longtail.figures import METRICS, Metric
from longtail.reports.grains import IMAGES, Grain
from longtail.reports.groups import Group
from longtail.reports.plots.drawing import COLOURS, DASHES, MARKERS, Array, drawing, legend, numbers, percent_axis, svg
from longtail.reports.results import Epoch
from longtail.reports.wording import metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Dial:
    """The curve of one run: accuracies at each strength; ``start`` and ``best`` are places in these lists."""

    label: str
    strengths: Sequence[float]
    head: Sequence[float | None]
    tail: Sequence[float | None]
    start: int
    best: int


def loss_curves(history: Sequence[Epoch], words: Mapping[str, Metric] = METRICS) -> str | None:
    """Draw the training loss and its parts over the epochs, or return None where there is nothing to draw.

    What is a share by the ``words`` of the run, such as the accuracy of the training, has an axis of its own.
    """
    keys = list(dict.fromkeys(key for epoch in history for key in epoch["train"]))
    curves = {key: numbers([epoch["train"].get(key) for epoch in history]) for key in keys}
    shares = {words[key].short or key: 100 * curves.pop(key) for key in keys if key in words and words[key].fraction}
    return _curves(history, curves, "training loss", shares)


def validation_curves(
    history: Sequence[Epoch], grain: Grain = IMAGES, words: Mapping[str, Metric] = METRICS
) -> str | None:
    """Draw the validation metrics over the epochs, or return None where there is nothing to draw.

    They are percentages where all of them are fractions by the ``words`` of the run.
    """
    epochs = [epoch for epoch in history if epoch["val"] is not None]
    shares = all(metric(key, words).fraction for key in grain.curves)
    curves = {
        label: (100 if shares else 1) * numbers([(epoch["val"] or {}).get(key) for epoch in epochs])
        for key, label in grain.curves.items()
    }
    return _curves(epochs, curves, f"validation {grain.scale}{' (%)' if shares else ''}")


def head_to_tail(dials: Sequence[Dial], head: Group, tail: Group) -> str:
    """Draw the accuracy of the rare classes against that of the frequent ones, one curve per run."""
    columns = 1 if any(len(dial.label) > 18 for dial in dials) else 2
    with drawing(3.7 + 0.2 * math.ceil(len(dials) / columns)) as figure:
        axes = figure.subplots()
        for index, dial in enumerate(dials):
            heads, tails = 100 * numbers(dial.head), 100 * numbers(dial.tail)
            colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
            line = DASHES[index % len(DASHES)]
            axes.plot([], [], color=colour, linestyle=line, marker=marker, label=legend(dial.label))
            axes.plot(heads, tails, color=colour, linestyle=line, linewidth=1.4)
            axes.plot(heads, tails, color=colour, linestyle="none", marker=".", markersize=5)
            for place, size, filled in ((dial.start, 9, True), (dial.best, 14, False)):
                axes.plot(
                    heads[place],
                    tails[place],
                    color=colour,
                    linestyle="none",
                    marker=marker,
                    markersize=size,
                    markerfacecolor=colour if filled else "none",
                    markeredgewidth=1.6,
                )
        width = _percent_limits(axes.xaxis, [value for dial in dials for value in dial.head])
        height = _percent_limits(axes.yaxis, [value for dial in dials for value in dial.tail])
        labels: list[tuple[float, float]] = []
        for dial in dials:
            whole = [place for place, strength in enumerate(dial.strengths) if strength % 1 == 0]
            named = [dial.best, dial.start, *whole] if len(dials) == 1 else [dial.best] * (dial.best != dial.start)
            for place in dict.fromkeys(named):
                x, y = (100 * (values[place] or 0) for values in (dial.head, dial.tail))
                if all(abs(x - left) > width / 11 or abs(y - low) > height / 12 for left, low in labels):
                    text = f"{dial.strengths[place]:g}".replace("-", "\N{MINUS SIGN}")
                    axes.annotate(text, (x, y), (9, 7), textcoords="offset points", fontsize=10)
                    labels.append((x, y))
        axes.set_xlabel(f"{head}-shot accuracy (%)")
        axes.set_ylabel(f"{tail}-shot accuracy (%)")
        axes.grid()
        figure.legend(loc="outside upper center", ncols=columns)
        return svg(figure, f"Accuracy of {tail}-shot against {head}-shot classes")


def _curves(
    history: Sequence[Epoch], curves: Mapping[str, Array], label: str, shares: Mapping[str, Array] | None = None
) -> str | None:
    """Draw curves over the epochs, each with its own dash and marker, and percentages ``shares`` on an axis at the
    right."""
    from matplotlib.ticker import MaxNLocator

    left, right = (
        {name: values for name, values in some.items() if np.isfinite(values).any()} for some in (curves, shares or {})
    )
    if not left:
        return None
    epochs = np.array([epoch["epoch"] for epoch in history])
    with drawing(3.4) as figure:
        axes = figure.subplots()
        _lines(axes, epochs, left)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=min(0, *(float(np.nanmin(values)) for values in left.values())))
        axes.grid(axis="y")
        if right:
            beside = axes.twinx()
            _lines(beside, epochs, right, first=len(left))
            beside.spines["right"].set_visible(True)
            beside.set_ylim(0, 104)
            beside.set_yticks(range(0, 101, 25))
            beside.set_ylabel(f"training {', '.join(right)} (%)")
        figure.legend(loc="outside upper center", ncols=3 if all(len(name) <= 15 for name in left) else 2)
        return svg(figure, f"{label[:1].upper()}{label[1:]} over the epochs")


def by_strength(
    strengths: Sequence[float], curves: Mapping[str, Sequence[float | None]], best: float, grain: Grain
) -> str:
    """Draw accuracies of one run over the strengths, with a line at the best and at 0."""
    shares = {grain.curves.get(key, key): 100 * numbers(values) for key, values in curves.items()}
    with drawing(3.7) as figure:
        axes = figure.subplots()
        for place, line in ((0.0, "-"), (best, ":")):
            axes.axvline(place, color="#6b7480", linewidth=1.2, linestyle=line)
        _lines(
            axes, np.array(strengths), {name: values for name, values in shares.items() if np.isfinite(values).any()}
        )
        axes.set_xlabel("strength")
        percent_axis(axes, "accuracy (%)", top=104)
        figure.legend(loc="outside upper center", ncols=3)
        return svg(figure, "Accuracy over the strengths")


def _lines(axes: "Axes", places: Array | NDArray[np.int64], curves: Mapping[str, Array], first: int = 0) -> None:
    """Draw curves, each with its own dash and marker, of which ``first`` are taken."""
    for index, (name, values) in enumerate(curves.items(), start=first):
        axes.plot(
            places,
            values,
            label=legend(name),
            color=COLOURS[index % len(COLOURS)],
            linestyle=DASHES[index % len(DASHES)],
            marker=MARKERS[index % len(MARKERS)],
            markersize=4,
            markevery=max(1, len(places) // 8),
        )


def _percent_limits(axis: Any, fractions: Sequence[float | None]) -> float:
    """Fit an axis of percentages around the values, never far beyond 0 and 100, and return its length."""
    from matplotlib.ticker import MaxNLocator

    values = 100 * numbers(fractions)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = max(0.12 * (high - low), (10 - (high - low)) / 2, 1)
    low, high = max(low - room, -3), min(high + room, 103)
    axis.set_ticks([tick for tick in MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high) if 0 <= tick <= 100])
    (axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim)(low, high)
    return high - low
