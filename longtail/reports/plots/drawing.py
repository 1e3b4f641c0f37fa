"""Drawings of a run as SVG text, readable in greyscale and by colour-blind eyes.

Text stays text: the reader's own fonts draw it, so that class names in any script come out right. Matplotlib is
imported when the first figure is drawn.
"""

import html
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from longtail.reports.groups import Group
from longtail.reports.wording import shorten

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


def percent_axis(axes: "Axes", label: str, top: float) -> None:
    """Give an axis of percentages the same range and ticks everywhere."""
    axes.set_ylim(0, top)
    axes.set_yticks(range(0, 101, 25))
    axes.set_ylabel(label)
    axes.grid(axis="y")


def legend(text: str) -> str:
    """Return a text for the legend, which leaves out what begins with an underscore."""
    return shorten(text if not text.startswith("_") else f"\N{ZERO WIDTH SPACE}{text}", 28)


def numbers(values: Sequence[float | None]) -> Array:
    """Return the values as an array with NaN for None."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


@contextmanager
def drawing(height: float) -> "Iterator[Figure]":
    """Give a figure of that height in inches, under settings that do not depend on the user's own."""
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(["default", _SETTINGS]), warnings.catch_warnings():
        # What the measuring font lacks, or Matplotlib before 3.11 cannot shape: the reader's fonts draw the text.
        warnings.filterwarnings("ignore", message=".*([Gg]lyph|does not support .* natively)")
        yield Figure(figsize=(WIDTH, height), layout="constrained")


def svg(figure: "Figure", label: str) -> str:
    """Return a figure as one svg element without the names of its parts, which would repeat within a page."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing, transparent=True)
    text = buffer.getvalue()
    text = re.sub(r'<g id="[^"]*">', "<g>", text[text.index("<svg") :])
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(label)}"', 1).strip()
