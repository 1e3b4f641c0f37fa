"""The tables of a run in the terminal, or in the file or the program that the output goes to."""

import shutil
import sys
from collections.abc import Sequence
from textwrap import TextWrapper

from rich.console import Console
from rich.table import Table
from rich.text import Text

from longtail.reports.grains import grain_of
from longtail.reports.results import Evaluation, Results
from longtail.reports.wording import clean, empty_groups, evaluation_title, metric, metric_keys, number, words_of


def evaluation_table(results: Results, evaluations: Sequence[Evaluation]) -> Table:
    """Return the metrics of a run, one column per evaluation."""
    words = words_of(results)
    rows = [
        (
            metric(key, words).label,
            [number(key, evaluation["metrics"].get(key), words=words) for evaluation in evaluations],
        )
        for key in metric_keys(evaluations, words)
    ]
    table = metrics_table(results["name"], [evaluation_title(evaluation) for evaluation in evaluations], rows)
    table.caption_justify = "left"
    table.caption = empty_groups(results["train_counts"], results["thresholds"], grain_of(results))
    return table


def metrics_table(title: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> Table:
    """Return a table of metrics; names from outside are never read as markup."""
    table = Table(title=Text(clean(title)), title_justify="left")
    table.add_column("")
    for head in heads:
        table.add_column(Text(clean(head)), justify="right")
    for label, values in rows:
        table.add_row(Text(clean(label)), *(Text(value) for value in values))
    return table


def said(lines: Sequence[tuple[str, str]], indent: int = 0) -> str:
    """Return what is said about several things, each below the other and ``indent`` columns or more from the left;
    lines are broken at the width of a terminal."""
    indent = max(indent, max(len(name) for name, _ in lines) + 2)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    paragraph = TextWrapper(max(width, 2 * indent), subsequent_indent=indent * " ", break_on_hyphens=False)
    return "".join(f"{paragraph.fill(f'{clean(name):<{indent}}{clean(text)}')}\n" for name, text in lines)


def show(table: Table) -> None:
    """Print a table: as wide as the terminal, and whole where the output is none."""
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)
