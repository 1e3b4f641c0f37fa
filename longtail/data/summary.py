"""What is said of a set before a training: its size, its splits, its largest and smallest class, what was left out."""

from typing import TYPE_CHECKING

from longtail.messages import escape, plural

if TYPE_CHECKING:
    from longtail.data.base import LongTailData

Line = tuple[str, str]  # what it is about, and what is said


def summary_of(data: "LongTailData") -> list[Line]:
    """The lines about a set, which is read for it."""
    sizes = {name: data.size(name) for name in data.split_names}
    absent = "".join(f", no {name}" for name in ("val", "test") if name not in sizes)
    counts = data.group_counts
    largest, smallest = (f"{_name(data, c)} with {data.class_size(c)}" for c in map(counts.index, _range(counts)))
    left_out = ", ".join(f"{plural(count, noun)} {reason}" for (noun, reason), count in data.left_out.items())
    return [
        ("data", f"{data.source}: {plural(sum(sizes.values()), data.noun)} of {len(counts):,} classes"),
        ("splits", ", ".join(f"{size:,} {name}" for name, size in sizes.items()) + absent),
        ("classes", f"largest {largest}; smallest {smallest}"),
        ("left out", left_out or "nothing"),
    ]


def _range(counts: list[int]) -> tuple[int, int]:
    return max(counts), min(counts)


def _name(data: "LongTailData", label: int) -> str:
    name = escape(data.classes[label])
    return name if len(name) <= 40 else f"{name[:39]}…"
