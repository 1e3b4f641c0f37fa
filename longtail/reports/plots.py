"""Drawings of a run as SVG text, readable in greyscale and by colour-blind eyes.

Text stays text: the reader's own fonts draw it, so that class names in any script come out right. Matplotlib is
imported when the first figure is drawn.
"""

import html
import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from longtail.reports.grains import CLASSIFICATION, Grain
from longtail.reports.results import GROUPS, Epoch, Group, Thresholds, group_of, group_sizes
from longtail.reports.wording import NOTHING, inside, plural, shorten, with_prefix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Dark to light, so that the groups stay apart in print.
GROUP_COLOURS: dict[Group, str] = {"many": "#153e5c", "medium": "#3f8fc5", "few": "#efa92a"}
# Okabe and Ito's colours for colour-blind eyes; hatches, dashes and markers tell the same without colour.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#4d4d4d")
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++", "---")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
WIDTH = 5.0  # inches; narrow, so that text can still be read on a telephone
NAMED_CLASSES = 40  # more names than this do not fit under a drawing

Array = NDArray[np.float64]

_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "longtail",
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.parse_math": False,
    "text.usetex": False,
    "axes.formatter.use_mathtext": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e3e6ea",
    "hatch.color": "white",
    "hatch.linewidth": 1.0,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "legend.handlelength": 2.4,
}


@dataclass(frozen=True)
class Bars:
    """The bars of one run: a fraction per group and, where several seeds ran, its standard deviation."""

    label: str
    values: Mapping[str, float | None]
    deviations: Mapping[str, float | None]


@dataclass(frozen=True)
class Dial:
    """The curve of one run: accuracies at each strength; ``start`` and ``best`` are places in these lists."""

    label: str
    strengths: Sequence[float]
    head: Sequence[float | None]
    tail: Sequence[float | None]
    start: int
    best: int


def class_counts(
    classes: Sequence[str],
    counts: Sequence[int],
    thresholds: Thresholds,
    figures: Sequence[float | None] | None = None,
    grain: Grain = CLASSIFICATION,
) -> str:
    """Draw the training count of every class, most frequent first, and the figure of each class below."""
    order = sorted(range(len(counts)), key=lambda index: -counts[index])
    panels = 1 if figures is None else 2
    with _drawing(1.2 + 1.8 * panels) as figure:
        upper, *lower = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        heights = _numbers([counts[index] for index in order])
        colours = [GROUP_COLOURS[group_of(counts[index], thresholds)] for index in order]
        _bars(upper, heights, colours)
        _count_axis(upper.yaxis, max(counts, default=1))
        upper.set_ylim(bottom=0)
        upper.set_ylabel(f"training {grain.nouns}")
        _group_legend(upper, counts, thresholds)
        for axes in lower:
            values = 100 * _numbers([figures[index] for index in order]) if figures else heights
            _class_figures(axes, values, colours, grain)
        last = lower[-1] if lower else upper
        if len(order) <= NAMED_CLASSES:
            names = [shorten(classes[index], 16) for index in order]
            long = sum(map(len, names)) > 56
            last.set_xticks(range(len(order)), names, rotation=90 if long else 0)
        else:
            last.set_xlabel(f"{len(order):,} classes, most training {grain.nouns} first")
        last.set_xlim(-0.6, len(order) - 0.4)
        return _svg(figure, f"Training {grain.nouns} and {inside(grain.label)} of every class")


def group_bars(
    series: Sequence[Bars], counts: Sequence[int], thresholds: Thresholds, grain: Grain = CLASSIFICATION
) -> str:
    """Draw the figures of the many-, medium- and few-shot classes and of all, one bar per run."""
    sizes = group_sizes(counts, thresholds)
    names = [f"{group}\n({grain.lvis[group]})" if grain.lvis else group for group in GROUPS]
    labels = [f"{name}\n{plural(sizes[each], 'class', 'classes')}" for name, each in zip(names, GROUPS, strict=True)]
    labels.append(f"{grain.overall_name}\nall classes")
    width = 0.8 / len(series)
    with _drawing(3.2 + 0.2 * math.ceil(len(series) / 2)) as figure:
        axes = figure.subplots()
        for index, bars in enumerate(series):
            places = np.arange(len(grain.bars)) + (index - (len(series) - 1) / 2) * width
            heights = 100 * _numbers([bars.values.get(key) for key in grain.bars])
            deviations = 100 * _numbers([bars.deviations.get(key) for key in grain.bars])
            axes.bar(
                places,
                np.nan_to_num(heights),
                width * 0.92,
                color=[*GROUP_COLOURS.values(), "#6b7480"] if len(series) == 1 else COLOURS[index % len(COLOURS)],
                hatch=None if len(series) == 1 else HATCHES[index % len(HATCHES)],
                label=_legend(bars.label),
            )
            known = np.isfinite(heights) & np.isfinite(deviations)
            axes.errorbar(places[known], heights[known], deviations[known], fmt="none", ecolor="#1d232a", capsize=3)
            if len(series) <= 2:
                for place, height, deviation in zip(places, heights, np.nan_to_num(deviations), strict=True):
                    text = f"{height:.1f}" if np.isfinite(height) else NOTHING
                    top = np.nan_to_num(height) + deviation + 1.5
                    axes.text(place, top, text, ha="center", va="bottom", fontsize=10)
        axes.set_xticks(range(len(grain.bars)), labels)
        _percent_axis(axes, f"{inside(grain.label)} (%)", top=108)
        if len(series) > 1:
            figure.legend(loc="outside upper center", ncols=2)
        return _svg(figure, f"{grain.label} by group of classes")


def loss_curves(history: Sequence[Epoch]) -> str | None:
    """Draw the training loss and its parts over the epochs, or return None where there is nothing to draw."""
    keys = list(dict.fromkeys(key for epoch in history for key in epoch["train"]))
    curves = {key: _numbers([epoch["train"].get(key) for epoch in history]) for key in keys}
    return _curves(history, curves, "training loss")


def validation_curves(history: Sequence[Epoch], grain: Grain = CLASSIFICATION) -> str | None:
    """Draw the validation metrics over the epochs, or return None where there is nothing to draw."""
    measured = [epoch for epoch in history if epoch["val"] is not None]
    curves = {
        label: 100 * _numbers([(epoch["val"] or {}).get(key) for epoch in measured])
        for key, label in grain.curves.items()
    }
    return _curves(measured, curves, f"validation {grain.scale} (%)")


def change_by_count(
    counts: Sequence[int], changes: Sequence[float | None], thresholds: Thresholds, grain: Grain = CLASSIFICATION
) -> str:
    """Draw how much the figure of each class changed against its training count."""
    heights = 100 * _numbers(changes)
    with _drawing(3.4) as figure:
        axes = figure.subplots()
        axes.axhline(0, color="#1d232a", linewidth=1)
        _by_count(axes, counts, heights, thresholds)
        axes.set_xlabel(f"training {grain.nouns} of the class")
        axes.set_ylabel("change (percentage points)")
        axes.grid(axis="y")
        if np.isfinite(heights).any():
            figure.legend(loc="outside upper center", ncols=3)
        return _svg(figure, f"Change of each class against its number of training {grain.nouns}")


def difficulty_by_count(
    counts: Sequence[int],
    difficulties: Mapping[str, Sequence[float | None]],
    thresholds: Thresholds,
    grain: Grain = CLASSIFICATION,
) -> str:
    """Draw the difficulty of each class against its training count, in one panel under each title."""
    with _drawing(1.1 + 1.7 * len(difficulties)) as figure:
        panels = figure.subplots(len(difficulties), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (title, values) in zip(panels, difficulties.items(), strict=True):
            _by_count(axes, counts, 100 * _numbers(values), thresholds)
            _percent_axis(axes, "difficulty (%)", top=104)
            axes.set_ylim(bottom=-4)
            axes.set_title(title, fontsize=11, loc="left")
        panels[-1].set_xlabel(f"training {grain.nouns} of the class")
        handles = {text: each for axes in panels for each, text in zip(*axes.get_legend_handles_labels(), strict=True)}
        order = [group for group in GROUPS if group in handles]
        figure.legend([handles[group] for group in order], order, loc="outside upper center", ncols=3)
        return _svg(figure, f"Difficulty of each class against its number of training {grain.nouns}")


def tradeoff(dials: Sequence[Dial], head: Group, tail: Group) -> str:
    """Draw the accuracy of the rare classes against that of the frequent ones, one curve per run."""
    columns = 1 if any(len(dial.label) > 18 for dial in dials) else 2
    with _drawing(3.7 + 0.2 * math.ceil(len(dials) / columns)) as figure:
        axes = figure.subplots()
        for index, dial in enumerate(dials):
            heads, tails = 100 * _numbers(dial.head), 100 * _numbers(dial.tail)
            colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
            line = DASHES[index % len(DASHES)]
            axes.plot([], [], color=colour, linestyle=line, marker=marker, label=_legend(dial.label))
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
        written: list[tuple[float, float]] = []
        for dial in dials:
            whole = [place for place, strength in enumerate(dial.strengths) if strength % 1 == 0]
            named = [dial.best, dial.start, *whole] if len(dials) == 1 else [dial.best] * (dial.best != dial.start)
            for place in dict.fromkeys(named):
                x, y = (100 * (values[place] or 0) for values in (dial.head, dial.tail))
                if all(abs(x - left) > width / 11 or abs(y - low) > height / 12 for left, low in written):
                    text = f"{dial.strengths[place]:g}".replace("-", "\N{MINUS SIGN}")
                    axes.annotate(text, (x, y), (9, 7), textcoords="offset points", fontsize=10)
                    written.append((x, y))
        axes.set_xlabel(f"{head}-shot accuracy (%)")
        axes.set_ylabel(f"{tail}-shot accuracy (%)")
        axes.grid()
        figure.legend(loc="outside upper center", ncols=columns)
        return _svg(figure, f"Accuracy of {tail}-shot against {head}-shot classes")


def _curves(history: Sequence[Epoch], curves: Mapping[str, Array], label: str) -> str | None:
    """Draw curves over the epochs, each with its own dash and marker."""
    from matplotlib.ticker import MaxNLocator

    drawn = {name: values for name, values in curves.items() if np.isfinite(values).any()}
    if not drawn:
        return None
    epochs = np.array([epoch["epoch"] for epoch in history])
    with _drawing(3.4) as figure:
        axes = figure.subplots()
        _lines(axes, epochs, drawn)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=min(0, *(float(np.nanmin(values)) for values in drawn.values())))
        axes.grid(axis="y")
        figure.legend(loc="outside upper center", ncols=3 if all(len(name) <= 15 for name in drawn) else 2)
        return _svg(figure, f"{label[:1].upper()}{label[1:]} over the epochs")


def by_strength(strengths: Sequence[float], curves: Mapping[str, Sequence[float | None]], best: float) -> str:
    """Draw accuracies of one run over the strengths, with a line at the best and at 0."""
    drawn = {CLASSIFICATION.curves[key]: 100 * _numbers(values) for key, values in curves.items()}
    with _drawing(3.7) as figure:
        axes = figure.subplots()
        for place, line in ((0.0, "-"), (best, ":")):
            axes.axvline(place, color="#6b7480", linewidth=1.2, linestyle=line)
        _lines(axes, np.array(strengths), {name: each for name, each in drawn.items() if np.isfinite(each).any()})
        axes.set_xlabel("strength")
        _percent_axis(axes, "accuracy (%)", top=104)
        figure.legend(loc="outside upper center", ncols=3)
        return _svg(figure, "Accuracy over the strengths")


def _by_count(axes: "Axes", counts: Sequence[int], heights: Array, thresholds: Thresholds) -> None:
    """Draw a value of each class against its training count, and the mean of each group as a stroke."""
    places = _numbers(counts)
    groups = [group_of(count, thresholds) for count in counts]
    for group, marker in zip(GROUPS, MARKERS, strict=False):
        chosen = np.array([each == group for each in groups], dtype=bool) & np.isfinite(heights)
        if not chosen.any():
            continue
        colour = GROUP_COLOURS[group]
        axes.scatter(
            places[chosen],
            heights[chosen],
            s=40 if len(counts) <= 200 else 12,
            marker=marker,
            color=colour,
            alpha=0.65,
            linewidths=0,
            label=group,
        )
        axes.hlines(
            heights[chosen].mean(),
            places[chosen].min() * 0.9,
            places[chosen].max() * 1.1,
            color=colour,
            linewidth=3,
            zorder=0.9,  # below the points
        )
    _count_axis(axes.xaxis, max(counts, default=1))
    axes.set_xlim(min(counts, default=1) * 0.8 - 0.1, max(counts, default=1) * 1.25)


def _class_figures(axes: "Axes", values: Array, colours: Sequence[str], grain: Grain) -> None:
    """Draw the figure of each class; of many classes as dots, with the mean of their neighbours."""
    if len(values) <= NAMED_CLASSES:
        _bars(axes, values, colours)
        for place in np.flatnonzero(~np.isfinite(values)):
            axes.text(float(place), 2, NOTHING, ha="center", va="bottom")
    else:
        places = np.arange(len(values))
        axes.scatter(places, values, s=8 if len(values) > 300 else 16, c=list(colours), linewidths=0)
        axes.plot(places, _running_mean(values), color="#1d232a", linewidth=1.6, label="mean of the neighbours")
        axes.legend(loc="upper right", bbox_to_anchor=(1, 1.16), borderpad=0)
    _percent_axis(axes, f"{inside(grain.label)} (%)", top=104)


def _running_mean(values: Array) -> Array:
    """Average every value with its neighbours, a twentieth of all; what is not known does not count."""
    window = np.ones(max(3, len(values) // 20))
    known = np.isfinite(values)
    total = np.convolve(np.where(known, values, 0), window, mode="same")
    count = np.convolve(known, window, mode="same")
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _bars(axes: "Axes", heights: Array, colours: Sequence[str]) -> None:
    """Draw one bar per class; neighbours of one colour become a single shape where there are many classes."""
    if len(heights) <= NAMED_CLASSES:
        axes.bar(np.arange(len(heights)), np.nan_to_num(heights), 0.8, color=list(colours))
        return
    for colour in dict.fromkeys(colours):
        chosen = np.flatnonzero([each == colour for each in colours])
        edges = np.arange(chosen[0], chosen[-1] + 2) - 0.5
        axes.stairs(heights[chosen[0] : chosen[-1] + 1], edges, fill=True, color=colour)


def _group_legend(axes: "Axes", counts: Sequence[int], thresholds: Thresholds) -> None:
    """Explain the colours of the groups that occur."""
    from matplotlib.patches import Patch

    sizes = group_sizes(counts, thresholds)
    many, few = (f"{each:,}" if each < 10**6 else with_prefix(each) for each in (thresholds["many"], thresholds["few"]))
    ranges = {"many": f"many (> {many})", "medium": "medium", "few": f"few (< {few})"}
    handles = [Patch(color=GROUP_COLOURS[group], label=ranges[group]) for group in GROUPS if sizes[group]]
    axes.figure.legend(handles=handles, loc="outside upper center", ncols=3, handlelength=1.2, columnspacing=1.4)


def _count_axis(axis: Any, largest: int) -> None:
    """Make an axis logarithmic with room for zero, and label it with plain numbers."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    scale = axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale
    scale("symlog", linthresh=1, linscale=0.4)
    ticks = [0.0, *(10.0**power for power in range(len(str(largest))))]
    many = len(ticks) > 8  # pixels
    if len(ticks) < 4:
        ticks = sorted({*ticks, *(3 * tick for tick in ticks if 3 * tick <= largest)})
    if many and axis.axis_name == "y":
        ticks = [0.0, *ticks[3::2]]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: with_prefix(value) if many else f"{value:,.0f}"))


def _lines(axes: "Axes", places: Array | NDArray[np.int64], curves: Mapping[str, Array]) -> None:
    """Draw curves, each with its own dash and marker."""
    for index, (name, values) in enumerate(curves.items()):
        axes.plot(
            places,
            values,
            label=_legend(name),
            color=COLOURS[index % len(COLOURS)],
            linestyle=DASHES[index % len(DASHES)],
            marker=MARKERS[index % len(MARKERS)],
            markersize=4,
            markevery=max(1, len(places) // 8),
        )


def _percent_limits(axis: Any, fractions: Sequence[float | None]) -> float:
    """Fit an axis of percentages around the values, never far beyond 0 and 100, and return its length."""
    from matplotlib.ticker import MaxNLocator

    values = 100 * _numbers(fractions)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = max(0.12 * (high - low), (10 - (high - low)) / 2, 1)
    low, high = max(low - room, -3), min(high + room, 103)
    axis.set_ticks([tick for tick in MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high) if 0 <= tick <= 100])
    (axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim)(low, high)
    return high - low


def _percent_axis(axes: "Axes", label: str, top: float) -> None:
    """Give an axis of percentages the same range and ticks everywhere."""
    axes.set_ylim(0, top)
    axes.set_yticks(range(0, 101, 25))
    axes.set_ylabel(label)
    axes.grid(axis="y")


def _legend(text: str) -> str:
    """Return a text for the legend, which leaves out what begins with an underscore."""
    return shorten(text if not text.startswith("_") else f"\N{ZERO WIDTH SPACE}{text}", 28)


def _numbers(values: Sequence[float | None]) -> Array:
    """Return the values as an array with NaN for None."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


@contextmanager
def _drawing(height: float) -> "Iterator[Figure]":
    """Give a figure of that height in inches, under settings that do not depend on the user's own."""
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(["default", _SETTINGS]), warnings.catch_warnings():
        # What the measuring font lacks, or Matplotlib before 3.11 cannot shape: the reader's fonts draw the text.
        warnings.filterwarnings("ignore", message=".*([Gg]lyph|does not support .* natively)")
        yield Figure(figsize=(WIDTH, height), layout="constrained")


def _svg(figure: "Figure", label: str) -> str:
    """Return a figure as one svg element without the names of its parts, which would repeat within a page."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing, transparent=True)
    text = buffer.getvalue()
    text = re.sub(r'<g id="[^"]*">', "<g>", text[text.index("<svg") :])
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(label)}"', 1).strip()
