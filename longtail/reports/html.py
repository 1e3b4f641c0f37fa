"""The parts every page is put together from: safe text, tables, figures and the frame around them."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from longtail.figures import METRICS, Metric
from longtail.reports.results import GROUPS, Group
from longtail.reports.style import SCRIPT, STYLE
from longtail.reports.wording import NOTHING, clean, fill, inside, metric, percent, printable

_IMAGE = re.compile(r"data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+={0,2}")


class Html(str):
    """Text that is markup already; every other text is escaped on its way into a page."""

    __slots__ = ()


@dataclass(frozen=True)
class Cell:
    """An entry of a table; ``order`` is what a sorted column goes by, None goes last."""

    text: str
    order: float | str | None = None
    tone: Literal["", "good", "bad"] = ""


@dataclass(frozen=True)
class Head:
    """The head of a column; columns of numbers are set flush right."""

    text: str
    numeric: bool = True


def metric_name(key: str, figure: str, words: Mapping[str, Metric] = METRICS) -> Cell:
    """Return an entry that names a metric and says what it means; ``figure`` is what that of a class is called."""
    shown = metric(key, words)
    meaning = fill(shown.meaning, {"figure": inside(figure)})
    return Cell(Html(f"{escape(shown.label)}<br>{element('small', meaning, 'soft')}"))


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


def escape(text: object) -> Html:
    """Return ``text`` as markup: unchanged where it is markup, otherwise escaped and on one line."""
    return text if isinstance(text, Html) else Html(html.escape(clean(str(text))))


def join(parts: Iterable[Html | str]) -> Html:
    """Put pieces of a page one after another."""
    return Html("\n".join(escape(part) for part in parts if part))


def element(name: str, content: object, class_: str = "") -> Html:
    """Return one element around ``content``."""
    attribute = f' class="{class_}"' if class_ else ""
    return Html(f"<{name}{attribute}>{escape(content)}</{name}>")


def paragraph(text: object, class_: str = "") -> Html:
    """Return a paragraph."""
    return element("p", text, class_)


def pair(*parts: Html) -> Html:
    """Put parts side by side where the page is wide enough, or return nothing where there is none."""
    return element("div", join(element("div", part) for part in parts if part), "pair") if any(parts) else Html()


def notes(texts: Sequence[str]) -> Html:
    """Return a list of remarks, or nothing where there is none."""
    return element("ul", join(element("li", text) for text in texts), "notes") if texts else Html()


def section(title: str, *content: Html | str) -> Html:
    """Return a section of a page, or nothing where it has no content."""
    body = join(content)
    return element("section", join([element("h2", title), body])) if body else Html()


def table(heads: Sequence[Head], rows: Iterable[Sequence[Cell | str]], *, sortable: bool = False) -> Html:
    """Return a table in a box of its own, which scrolls where the table is wider (or, if sortable, very long)."""
    head = "".join(f'<th scope="col"{_numeric(each)}>{escape(each.text)}</th>' for each in heads)
    body = "\n".join("<tr>" + "".join(map(_entry, heads, row)) + "</tr>" for row in rows)
    kind = ' class="sortable"' if sortable else ""
    return Html(
        f'<div class="{"box long" if sortable else "box"}" tabindex="0">'
        f"<table{kind}><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )


def facts(entries: Iterable[tuple[str, object]]) -> Html:
    """Return a list of names and what they stand for."""
    return element("dl", join(element("div", join([element("dt", k), element("dd", v)])) for k, v in entries), "facts")


def figure(drawing: str | None, caption: str) -> Html:
    """Return a drawing (SVG made by this package) with its caption, or nothing where there is no drawing."""
    if drawing is None:
        return Html()
    scroll = element("div", Html(drawing), "drawing")
    return element("figure", join([scroll, element("figcaption", caption)]))


def image(source: str, caption: str) -> Html:
    """Return a picture with its caption; only pictures inside the page are shown, nothing is ever fetched."""
    picture = (
        Html(f'<img src="{source}" alt="" loading="lazy">')
        if _IMAGE.fullmatch(source)
        else element("span", "no picture", "missing")
    )
    return element("figure", join([picture, element("figcaption", caption)]), "picture")


def folded(title: str, text: str) -> Html:
    """Return a text as it is, line by line, folded away under its title."""
    lines = "\n".join(html.escape(printable(line.expandtabs())) for line in text.splitlines())
    return Html(f"<details><summary>{escape(title)}</summary><pre>{lines}</pre></details>")


def page(title: str, *content: Html | str) -> str:
    """Return a whole page that needs nothing beside itself."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{escape(title)}</h1>\n{join(content)}\n</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _entry(head: Head, entry: Cell | str) -> str:
    cell = entry if isinstance(entry, Cell) else Cell(entry)
    order = "" if cell.order is None else f' data-order="{escape(cell.order)}"'
    return f"<td{_numeric(head, cell.tone)}{order}>{escape(cell.text)}</td>"


def _numeric(head: Head, tone: str = "") -> str:
    classes = " ".join(each for each in ("number" if head.numeric else "", tone) if each)
    return f' class="{classes}"' if classes else ""
