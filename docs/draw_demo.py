"""Draws the picture of README.md from the runs of ``make demo``: ``python docs/draw_demo.py [RUNS] [FILE]``, by default
from runs/demo into docs/demo.svg.

Every dot is the mean over the seeds of what ``results.json`` says about a class; the bar goes from the least to the
largest.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure

from longtail.reports.results import class_figures, final_evaluation, load_results

INK = "#1d232a"
SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "longtail",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
}
LOOKS = {  # apart in grey as well: by shade, dash and marker
    "ce": {"label": "cross-entropy", "color": "#c4560a", "linestyle": "--", "marker": "s"},
    "bcl": {"label": "balanced contrastive learning", "color": "#0b3c5d", "linestyle": "-", "marker": "o"},
}


def accuracies(runs: Path) -> tuple[list[int], dict[str, np.ndarray]]:
    """Training images of each class (C,), and by method the test accuracy of each class in percent (seeds, C)."""
    counts: list[int] = []
    rows: dict[str, list[list[float | None]]] = defaultdict(list)
    for folder in sorted(runs.glob("*-seed*")):
        results = load_results(folder)
        evaluation = final_evaluation(results)
        assert evaluation is not None, f"{folder} has not been evaluated"
        counts = results["train_counts"]
        rows[folder.name.split("-")[0]].append(class_figures(evaluation, "accuracy"))
    return counts, {name: 100 * np.array(rows[name], dtype=float) for name in LOOKS}


def draw(counts: Sequence[int], of_methods: dict[str, np.ndarray]) -> Figure:
    with style.context(["default", SETTINGS]):
        figure = Figure(figsize=(6.4, 4), layout="constrained", facecolor="white")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2.4))
        places = np.arange(len(counts))
        upper.bar(places, counts, 0.6, color="#8fa3b3")
        for place, count in zip(places, counts, strict=True):
            upper.annotate(str(count), (place, count), (0, 2), textcoords="offset points", ha="center", color=INK)
        upper.set_ylabel("training\nimages")
        upper.set_yticks([])
        upper.spines["left"].set_visible(False)
        for shift, (name, seeds) in zip((-0.06, 0.06), of_methods.items(), strict=True):
            mean = seeds.mean(0)
            reach = np.stack([mean - seeds.min(0), seeds.max(0) - mean])
            lower.errorbar(places + shift, mean, reach, linewidth=2, elinewidth=1, markersize=6, **LOOKS[name])
        lower.set_ylim(-3, 103)
        lower.set_yticks(range(0, 101, 25))
        lower.grid(axis="y", color="#e3e6ea")
        lower.set_ylabel("test accuracy (%)")
        lower.set_xticks(places)
        lower.set_xlabel("digit")
        lower.legend(loc="lower left")
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="?", default=Path("runs/demo"))
    parser.add_argument("file", type=Path, nargs="?", default=Path(__file__).parent / "demo.svg")
    options = parser.parse_args(arguments)
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with style.context(["default", SETTINGS]):
        draw(*accuracies(options.runs)).savefig(options.file, format="svg", metadata=nothing)


if __name__ == "__main__":
    main()
