"""The classes of a set from the most frequent to the rarest, as bars in the terminal."""

import math
import shutil
import sys
from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from longtail.reports.dataset import Dataset
from longtail.reports.groups import GROUPS, Group, group_of
from longtail.reports.wording import clean, shorten, with_prefix

ROWS = 24  # more classes share rows
STYLES: dict[Group, str] = {"many": "cyan", "medium": "blue", "few": "yellow"}
NARROW = 60  # columns, below which the groups are not written out
PIPED = 100  # columns where the output is no terminal


def tail_table(dataset: Dataset) -> Table:
    """Return a row for each class, the most frequent first, or for each run of as many classes as make few rows.

    Bars are logarithmic, from a tenth of the smallest count on, as those of rare classes could not be seen otherwise.
    They are of ``#`` where the output has no blocks.
    """
    encoding = Console().encoding
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPED
    order = sorted(range(len(dataset.group_counts)), key=lambda index: -dataset.group_counts[index])
    runs = [run.tolist() for run in np.array_split(order, min(ROWS, len(order)))]
    rows = [_row(dataset, run) for run in runs]
    names = [_name(dataset, run, encoding, max(16, columns // 3)) for run in runs]
    widths = [max(map(len, part)) for part in (names, [count for count, *_ in rows], [group for _, group, *_ in rows])]
    wide = columns >= NARROW
    room = min(40, max(6, columns - sum(widths[: 3 if wide else 2]) - 2 * (3 if wide else 2) - 1))
    block = "█" if encoding.lower().startswith("utf") else "#"
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    if wide:
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    tenths = [math.log10(mean) for _, _, mean, _ in rows if mean] or [0]
    start, end = min(tenths) - 1, max(tenths)
    for name, (count, group, mean, style) in zip(names, rows, strict=True):
        length = round(room * (math.log10(mean) - start) / (end - start)) if mean else 0
        table.add_row(Text(name), Text(count), *[Text(group)] * wide, Text(block * length, style=style))
    return table


def _row(dataset: Dataset, run: Sequence[int]) -> tuple[str, str, float, str]:
    """The counts of a run of classes, their groups, the mean count and the style of its bar."""
    counts = [dataset.group_counts[index] for index in run]
    groups = [group_of(count, dataset.thresholds) for count in counts]
    brief = [
        with_prefix(float(f"{count:.3g}")) if max(dataset.group_counts) >= 10**7 else f"{count:,}" for count in counts
    ]
    words = [dataset.grain.lvis.get(group, group) for group in GROUPS if group in groups]
    ends = list(dict.fromkeys([brief[0], brief[-1]]))
    return "-".join(ends), ", ".join(words), sum(counts) / len(counts), STYLES[groups[len(groups) // 2]]


def _name(dataset: Dataset, run: Sequence[int], encoding: str, length: int) -> str:
    """What stands before a row, in letters that the output has: the class, or the first one of some and how many more
    there are."""
    more = f" and {len(run) - 1} more" if len(run) > 1 else ""
    name, end = dataset.classes[run[0]], "…"
    if not encoding.lower().startswith("utf"):
        name, end = clean(name).encode(encoding, "backslashreplace").decode(encoding), "~"
    return shorten(name, length - len(more)).replace("…", end) + more
