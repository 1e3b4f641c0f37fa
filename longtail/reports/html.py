"""How a page is made: templates of this package, filled with text, tables and drawings. All text is escaped.

The templates are beside this module, in ``templates/``: a frame with its style and script, the elements, and one for
each page.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from longtail.figures import METRICS, Metric
from longtail.reports.groups import GROUPS, Group
from longtail.reports.wording import NOTHING, clean, fill, inside, metric, percent, printable

TEMPLATES = Path(__file__).parent / "templates"

_IMAGE = re.compile(r"data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True)
class Cell:
    """An entry of a table: its text, and under it in small what that means; ``order`` is what a sorted column goes by,
    None goes last."""

    text: str
    order: float | str | None = None
    tone: Literal["", "good", "bad"] = ""
    meaning: str = ""


@dataclass(frozen=True)
class Head:
    """The head of a column; columns of numbers are set flush right."""

    text: str
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """A table; a sortable one is sorted by a click on the head of a column."""

    heads: Sequence[Head]
    rows: Sequence[Sequence[Cell | str]]
    sortable: bool = False

    def cells(self) -> Iterator[list[tuple[Head, Cell]]]:
        """Return row by row every entry with the head of its column."""
        for row in self.rows:
            entries = [entry if isinstance(entry, Cell) else Cell(entry) for entry in row]
            yield list(zip(self.heads, entries, strict=True))


def metric_name(key: str, figure: str, words: Mapping[str, Metric] = METRICS) -> Cell:
    """Return an entry that names a metric and says what it means; ``figure`` is what that of a class is called."""
    named = metric(key, words)
    return Cell(named.label, meaning=fill(named.meaning, {"figure": inside(figure)}))


def name(text: str) -> Cell:
    """Return an entry that is sorted by its name."""
    return Cell(text, clean(text))


def count(value: float | None) -> Cell:
    """Return an entry that is sorted by its number."""
    return Cell(NOTHING if value is None else f"{value:,}", value)


def fraction(value: float | None) -> Cell:
    """Return an entry that shows a fraction as a percentage and is sorted by it."""
    return Cell(percent(value), value)


def group(value: Group) -> Cell:
    """Return an entry that is sorted from many to few."""
    return Cell(value, GROUPS.index(value))


def page(template: str, **values: object) -> str:
    """Return a whole page, which needs nothing beside itself, from its template and what stands in it."""
    return _environment().get_template(template).render(values)


def image(source: str, caption: str) -> str:
    """Return a picture with its caption; only pictures inside the page are shown, nothing is ever fetched."""
    return str(_environment().get_template("elements.html").module.image(source, caption))  # type: ignore[attr-defined]


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else clean(str(value)),  # one line, then escaped
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"source": _source, "classes": _classes}
    environment.filters |= {"one_line": _one_line, "as_it_is": _as_it_is}
    environment.tests["picture"] = lambda source: _IMAGE.fullmatch(source) is not None
    return environment


def _source(file: str) -> Markup:
    """A file of this package as it is."""
    return Markup((TEMPLATES / file).read_text(encoding="utf-8").strip())


@functools.cache
def _classes(*names: str | None) -> Markup:
    """The attribute with those of the names that are not empty, or nothing."""
    known = [name for name in names if name]
    return Markup(' class="{}"').format(" ".join(known)) if known else Markup()


def _one_line(text: Markup) -> Markup:
    return Markup(" ".join(text.split()))


def _as_it_is(text: str) -> Markup:
    """A text line by line, escaped."""
    return Markup("\n").join(printable(line.expandtabs()) for line in text.splitlines())
