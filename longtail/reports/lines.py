"""A table of figures by group, said once for the terminal and for a page."""

from dataclasses import dataclass

from rich import table as terminal

from longtail.reports.html import Cell, Head, Table
from longtail.reports.terminal import metrics_table


@dataclass(frozen=True)
class Lines:
    """Heads of the columns, and of each row its label, what that means, and an entry for each column."""

    heads: list[str]
    rows: list[tuple[str, str, list[str]]]

    def text(self, title: str) -> terminal.Table:
        """The table for the terminal."""
        return metrics_table(title, self.heads, [(label, entries) for label, _, entries in self.rows])

    def table(self) -> Table:
        """The table for a page."""
        cells = [[Cell(label, meaning=meaning), *map(Cell, entries)] for label, meaning, entries in self.rows]
        return Table([Head("", numeric=False), *map(Head, self.heads)], cells)
