"""What can be wrong with a file: its values replaced, or its bytes damaged."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

ODD: list[Any] = [
    *(None, True, -1, 0, 3, 2**31, 2**63, 10**30, -0.5, 1e308, 5e-324, float("inf"), float("nan"), ""),
    *("x", "0", "\ud800", "a\nb\0", "{}", "null", [], {}, [None], [[]], {"": None}, {"class_path": "x"}, [0, "a"]),
    *([-1] * 10, [1.5] * 10, [None] * 10, [10**30] * 10, ["a"] * 10, "{images} {nope} {0} {", "os.system", [1] * 3),
]
TOKENS = [
    *(
        b"\xff",
        b"\0",
        b"\xed\xa0\x80",
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\n",
        b"\r",
        b" ",
        b"-",
        b"&a ",
        b"*a",
    ),
    *(b"!!python/object:os.system ", b"1e999", b"9" * 5000, b"[" * 3000, b"NaN", b"\\ud800", b"<<: *a", b"*a", b"\t"),
    *(b"!!timestamp x", b"2020-13-45", b"!!int x", b"? ", b"---\n", b"%", b"\xef\xbb\xbf", b"0x", b"1" * 25),
]


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys that lead to every value in a tree but itself."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


@st.composite
def trees(draw: st.DrawFn, tree: Any) -> Any:
    """A tree like JSON in which one to three values are others, gone or there twice."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        options = list(places(tree))
        if not options:
            break
        # not all places alike: there are many epochs and one seed
        by_depth = sorted({len(option) for option in options})
        depth = draw(st.sampled_from(by_depth))
        *way, last = draw(st.sampled_from([option for option in options if len(option) == depth]))
        inner = tree
        for key in way:
            inner = inner[key]
        kind = draw(st.integers(0, 5))
        if kind == 0:
            del inner[last]
        elif kind == 1 and isinstance(inner, list):
            inner.insert(last, copy.deepcopy(inner[last]))
        else:
            inner[last] = copy.deepcopy(draw(st.sampled_from(ODD)))
    return tree


@st.composite
def contents(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes of which one to three parts are others, gone or there twice."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        stop = min(len(content), start + draw(st.sampled_from([0, 1, 1, 4, 50, len(content)])))
        part = draw(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=4), st.just(content[start:stop] * 2)))
        content = content[:start] + part + content[stop:]
    return content
