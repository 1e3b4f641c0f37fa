"""Figures class by class and group by group, against the training counts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from longtail.messages import plural
from longtail.reports.grains import IMAGES, Grain
from longtail.reports.groups import GROUPS, group_of, group_sizes
from longtail.reports.plots.drawing import (
    COLOURS,
    GROUP_COLOURS,
    HATCHES,
    MARKERS,
    NAMED_CLASSES,
    Array,
    drawing,
    legend,
    numbers,
    percent_axis,
    svg,
)
from longtail.reports.results import Thresholds
from longtail.reports.wording import NOTHING, inside, shorten, with_prefix

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Bars:
    """The bars of one run: a fraction per group and, where several seeds ran, its standard deviation."""

    label: str
    values: Mapping[str, float | None]
    deviations: Mapping[str, float | None]


def class_counts(
    classes: Sequence[str],
    train_counts: Sequence[int],
    thresholds: Thresholds,
    figures: Sequence[float | None] | None = None,
    grain: Grain = IMAGES,
) -> str:
    """Draw the training count of every class, most frequent first, and the figure of each class below."""
    order = sorted(range(len(train_counts)), key=lambda index: -train_counts[index])
    panels = 1 if figures is None else 2
    with drawing(1.2 + 1.8 * panels) as figure:
        upper, *lower = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        heights = numbers([train_counts[index] for index in order])
        colours = [GROUP_COLOURS[group_of(train_counts[index], thresholds)] for index in order]
        _bars(upper, heights, colours)
        _count_axis(upper.yaxis, 0, max(train_counts, default=1) * 1.1)
        upper.set_ylabel(f"training {grain.nouns}")
        _group_legend(upper, train_counts, thresholds)
        for axes in lower:
            values = 100 * numbers([figures[index] for index in order]) if figures else heights
            _class_figures(axes, values, colours, grain)
        last = lower[-1] if lower else upper
        if len(order) <= NAMED_CLASSES:
            names = [shorten(classes[index], 16) for index in order]
            long = sum(map(len, names)) > 56
            last.set_xticks(range(len(order)), names, rotation=90 if long else 0)
        else:
            last.set_xlabel(f"{plural(len(order), 'class', 'classes')}, most training {grain.nouns} first")
        last.set_xlim(-0.6, len(order) - 0.4)
        return svg(figure, f"Training {grain.nouns} and {inside(grain.label)} of every class")


def group_bars(
    series: Sequence[Bars], train_counts: Sequence[int], thresholds: Thresholds, grain: Grain = IMAGES
) -> str:
    """Draw the figures of the many-, medium- and few-shot classes and of all, one bar per run."""
    sizes = group_sizes(train_counts, thresholds)
    names = [f"{group}\n({grain.lvis[group]})" if grain.lvis else group for group in GROUPS]
    labels = [f"{name}\n{plural(sizes[group], 'class', 'classes')}" for name, group in zip(names, GROUPS, strict=True)]
    labels.append(f"{grain.overall_name}\nall classes")
    width = 0.8 / len(series)
    with drawing(3.2 + 0.2 * math.ceil(len(series) / 2)) as figure:
        axes = figure.subplots()
        for index, bars in enumerate(series):
            places = np.arange(len(grain.bars)) + (index - (len(series) - 1) / 2) * width
            heights = 100 * numbers([bars.values.get(key) for key in grain.bars])
            deviations = 100 * numbers([bars.deviations.get(key) for key in grain.bars])
            axes.bar(
                places,
                np.nan_to_num(heights),
                width * 0.92,
                color=[*GROUP_COLOURS.values(), "#6b7480"] if len(series) == 1 else COLOURS[index % len(COLOURS)],
                hatch=None if len(series) == 1 else HATCHES[index % len(HATCHES)],
                label=legend(bars.label),
            )
            known = np.isfinite(heights) & np.isfinite(deviations)
            axes.errorbar(places[known], heights[known], deviations[known], fmt="none", ecolor="#1d232a", capsize=3)
            if len(series) <= 2:
                for place, height, deviation in zip(places, heights, np.nan_to_num(deviations), strict=True):
                    text = f"{height:.1f}" if np.isfinite(height) else NOTHING
                    top = np.nan_to_num(height) + deviation + 1.5
                    axes.text(place, top, text, ha="center", va="bottom", fontsize=10)
        axes.set_xticks(range(len(grain.bars)), labels)
        percent_axis(axes, f"{inside(grain.label)} (%)", top=108)
        if len(series) > 1:
            figure.legend(loc="outside upper center", ncols=2)
        return svg(figure, f"{grain.label} by group of classes")


def change_by_count(
    train_counts: Sequence[int], changes: Sequence[float | None], thresholds: Thresholds, grain: Grain = IMAGES
) -> str:
    """Draw how much the figure of each class changed against its training count."""
    heights = 100 * numbers(changes)
    with drawing(3.4) as figure:
        axes = figure.subplots()
        axes.axhline(0, color="#1d232a", linewidth=1)
        _by_count(axes, train_counts, heights, thresholds)
        axes.set_xlabel(f"training {grain.nouns} of the class")
        axes.set_ylabel("change (percentage points)")
        axes.grid(axis="y")
        if np.isfinite(heights).any():
            figure.legend(loc="outside upper center", ncols=3)
        return svg(figure, f"Change of each class against its number of training {grain.nouns}")


def difficulty_by_count(
    train_counts: Sequence[int],
    difficulties: Mapping[str, Sequence[float | None]],
    thresholds: Thresholds,
    grain: Grain = IMAGES,
) -> str:
    """Draw the difficulty of each class against its training count, in one panel under each title."""
    with drawing(1.1 + 1.7 * len(difficulties)) as figure:
        panels = figure.subplots(len(difficulties), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (title, values) in zip(panels, difficulties.items(), strict=True):
            _by_count(axes, train_counts, 100 * numbers(values), thresholds)
            percent_axis(axes, "difficulty (%)", top=104)
            axes.set_ylim(bottom=-4)
            axes.set_title(title, fontsize=11, loc="left")
        panels[-1].set_xlabel(f"training {grain.nouns} of the class")
        handles = {
            text: handle for axes in panels for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        order = [group for group in GROUPS if group in handles]
        figure.legend([handles[group] for group in order], order, loc="outside upper center", ncols=3)
        return svg(figure, f"Difficulty of each class against its number of training {grain.nouns}")


def _by_count(axes: "Axes", train_counts: Sequence[int], heights: Array, thresholds: Thresholds) -> None:
    """Draw a value of each class against its training count, and the mean of each group as a stroke."""
    places = numbers(train_counts)
    groups = [group_of(count, thresholds) for count in train_counts]
    for group, marker in zip(GROUPS, MARKERS, strict=False):
        chosen = np.array([other == group for other in groups], dtype=bool) & np.isfinite(heights)
        if not chosen.any():
            continue
        colour = GROUP_COLOURS[group]
        axes.scatter(
            places[chosen],
            heights[chosen],
            s=40 if len(train_counts) <= 200 else 12,
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
    _count_axis(axes.xaxis, min(train_counts, default=1) * 0.8 - 0.1, max(train_counts, default=1) * 1.25)


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
    percent_axis(axes, f"{inside(grain.label)} (%)", top=104)


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
        chosen = np.flatnonzero([other == colour for other in colours])
        edges = np.arange(chosen[0], chosen[-1] + 2) - 0.5
        axes.stairs(heights[chosen[0] : chosen[-1] + 1], edges, fill=True, color=colour)


def _group_legend(axes: "Axes", train_counts: Sequence[int], thresholds: Thresholds) -> None:
    """Explain the colours of the groups that occur."""
    from matplotlib.patches import Patch

    sizes = group_sizes(train_counts, thresholds)
    many, few = (
        f"{count:,}" if count < 10**6 else with_prefix(count) for count in (thresholds["many"], thresholds["few"])
    )
    ranges = {"many": f"many (> {many})", "medium": "medium", "few": f"few (< {few})"}
    handles = [Patch(color=GROUP_COLOURS[group], label=ranges[group]) for group in GROUPS if sizes[group]]
    axes.figure.legend(handles=handles, loc="outside upper center", ncols=3, handlelength=1.2, columnspacing=1.4)


def _count_axis(axis: Any, low: float, high: float) -> None:
    """Make an axis of counts logarithmic with room for zero, and label it with plain numbers, two at least."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    scale = axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale
    scale("symlog", linthresh=1, linscale=0.4)
    ticks = count_ticks(low, max(high, 1.0))
    brief = high >= 10**7  # pixels
    if len(ticks) > 8 and axis.axis_name == "y":
        ticks = [0, *ticks[3::2]]
    axis.set_major_locator(FixedLocator([float(tick) for tick in ticks]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: with_prefix(value) if brief else f"{value:,.0f}"))
    (axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim)(min(low, ticks[0]), max(high, ticks[-1]))


def count_ticks(low: float, high: float) -> list[int]:
    """Return the whole numbers that label a logarithmic axis: 0 and powers of ten where that gives three in the range,
    else finer ones, two at least."""
    powers = [10**power for power in range(len(str(int(high))))]
    for factors, least in (((1,), 3), ((1, 3), 3), ((1, 2, 5), 3), (range(1, 10), 2)):
        ticks = [0, *sorted({factor * power for factor in factors for power in powers})]
        inside_range = [tick for tick in ticks if low <= tick <= high]
        if len(inside_range) >= least:
            return inside_range
    whole = range(max(0, math.floor(low)), math.ceil(high) + 1)
    return [whole[0], whole[-1]]
