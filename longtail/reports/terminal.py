"""The tables of a run in the terminal."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from longtail.reports.results import Evaluation, Results
from longtail.reports.wording import clean, evaluation_title, metric, metric_keys, number, words_of


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
    return metrics_table(results["name"], [evaluation_title(evaluation) for evaluation in evaluations], rows)


def metrics_table(title: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> Table:
    """Return a table of metrics; names from outside are never read as markup."""
    table = Table(title=Text(clean(title)), title_justify="left")
    table.add_column("")
    for head in heads:
        table.add_column(Text(clean(head)), justify="right")
    for label, values in rows:
        table.add_row(Text(clean(label)), *(Text(value) for value in values))
    return table
