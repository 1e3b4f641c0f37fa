"""What benchmarks/mutants.py changes in a module."""

import ast

from benchmarks.mutants import changes, mutant

SOURCE = '''
"""1 is not a number here."""
LIMIT: tuple[int, "3"] = (2, 0.5)

def f(a: int | None = -1, *, b=True) -> float | None:
    if not a and b < 1:
        a += 7 // a
    return a ** b
'''
LINES = [
    "LIMIT: tuple[int, '3'] = (2, 0.5) -> LIMIT: tuple[int, '3'] = (3, 0.5)",
    "LIMIT: tuple[int, '3'] = (2, 0.5) -> LIMIT: tuple[int, '3'] = (2, 1.1)",
    "def f(a: int | None=-1, *, b=True) -> float | None: -> def f(a: int | None=+1, *, b=True) -> float | None:",
    "def f(a: int | None=-1, *, b=True) -> float | None: -> def f(a: int | None=-2, *, b=True) -> float | None:",
    "def f(a: int | None=-1, *, b=True) -> float | None: -> def f(a: int | None=-1, *, b=False) -> float | None:",
    "if not a and b < 1: -> if not a or b < 1:",
    "if not a and b < 1: -> if not not a and b < 1:",
    "if not a and b < 1: -> if not a and b <= 1:",
    "if not a and b < 1: -> if not a and b < 2:",
    "a += 7 // a -> a -= 7 // a",
    "a += 7 // a -> a += 7 * a",
    "a += 7 // a -> a += 8 // a",
    "return a ** b -> return a * b",
]


def test_each_mutant_has_one_change_and_types_are_left_alone() -> None:
    mutants = [mutant(SOURCE, number) for number in range(len(changes(ast.parse(SOURCE))))]
    assert sorted(words.split("  ", 1)[1] for _, words in mutants) == sorted(LINES)
    assert len({source for source, _ in mutants}) == len(LINES)
    for source, _ in mutants:
        compile(source, "mutant", "exec")
