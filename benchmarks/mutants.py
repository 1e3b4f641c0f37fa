"""What the tests would not notice: one change at a time to a module of the package, and whether a test fails.

    python -m benchmarks.mutants 10 longtail/losses:tests/losses,tests/test_published.py longtail/tasks/means.py:tests

Of a folder of tests those are run that name the module or what it defines, or find classes by themselves, and all of
them where none does; a file that is given is always run.
"""

import argparse
import ast
import importlib
import os
import random
import re
import shutil
import signal
import sys
import tempfile
from itertools import takewhile
from multiprocessing import get_context
from pathlib import Path

import pytest

SWAPPED: dict[type, type] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.Mod: ast.Mult},
    **{ast.FloorDiv: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.USub: ast.UAdd},
}

HEAVY = ("torch", "torchvision", "torchmetrics", "lightning", "timm", "scipy.stats", "sklearn.cluster", "hypothesis")


def change(node: ast.AST) -> tuple[str, object] | None:
    """What is put into which field of a node: another number or flag, the neighbour of an operator or comparison, the
    condition without its negation; None where nothing is."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return "value", not node.value
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return "value", node.value + 1 if isinstance(node.value, int) else 2 * node.value + 0.1
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPPED:
        return "ops", [SWAPPED[type(node.ops[0])](), *node.ops[1:]]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return "operand", ast.UnaryOp(ast.Not(), node.operand)
    if isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign, ast.UnaryOp)) and type(node.op) in SWAPPED:
        return "op", SWAPPED[type(node.op)]()
    return None


def changes(tree: ast.Module) -> list[tuple[ast.AST, str, object]]:
    """Every node of a module that can be changed, which field, and what to; types are left alone."""
    notes = [getattr(node, name, None) for node in ast.walk(tree) for name in ("annotation", "returns")]
    types = {part for note in notes if note is not None for part in ast.walk(note)}
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.expr, ast.AugAssign)) and node not in types]
    return [(node, *new) for node in nodes if (new := change(node))]


def mutant(source: str, number: int) -> tuple[str, str]:
    """The source with a change, and in words the line that it changes."""
    tree = ast.parse(source)
    before = ast.unparse(tree).splitlines()
    node, field, new = changes(tree)[number]
    setattr(node, field, new)
    after = ast.unparse(tree)
    lines = next(pair for pair in zip(before, after.splitlines(), strict=True) if pair[0] != pair[1])
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*lines, strict=False)))
    snippets = [line[max(0, same - 50) : same + 40].strip() for line in lines]
    return after, f"{getattr(node, 'lineno', 0)}  {' -> '.join(snippets)}"


def tests_of(module: Path, paths: list[Path]) -> list[str]:
    """The files to run for a module, that of its name first."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    names = [node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    names += ["discovery", re.escape(".".join(module.with_suffix("").parts))]  # the former finds classes by itself
    named = re.compile(rf"\b({'|'.join(names)})\b")
    inside = [file for path in paths if path.is_dir() for file in sorted(path.rglob("test_*.py"))]
    files = [file for file in inside if named.search(file.read_text(encoding="utf-8"))]
    first = sorted(files or inside, key=lambda file: file.stem != f"test_{module.stem}")
    return [str(file) for file in [*first, *(path for path in paths if path.is_file())]]


def run(files: list[str], tree: Path, limit: float) -> int | None:
    """The exit code of pytest in a process of its own, None where it took too long."""
    process = get_context("fork").Process(target=_run, args=(files, tree))
    process.start()
    process.join(limit)
    if process.exitcode is None and process.pid is not None:
        os.killpg(process.pid, signal.SIGKILL)  # with what the tests have started
        process.join()
        return None
    return process.exitcode


def _run(files: list[str], tree: Path) -> None:
    os.setsid()
    output = os.open(tree.with_suffix(".txt"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    os.environ |= {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    options = ["-x", "-q", "-n", "0", "-o", "addopts=", "-p", "no:cacheprovider"]
    imported = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # plugins of pytest, by what is heavy
    sys.exit(int(pytest.main([*options, *imported, *files])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", type=int, help="mutants to draw of each folder or file")
    parser.add_argument("rooms", nargs="+", metavar="MODULES:TESTS,...", help="a folder or file, and its tests")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=300, help="seconds for the tests of a mutant")
    args = parser.parse_args()
    random_of, mutants = random.Random(args.seed), []
    for room in args.rooms:
        modules, _, places = room.partition(":")
        files = sorted(Path(modules).rglob("*.py")) if Path(modules).is_dir() else [Path(modules)]
        sites = [(file, number) for file in files for number in range(len(changes(ast.parse(file.read_text()))))]
        tests = [Path(path) for path in places.split(",")]
        mutants += [(*site, tests_of(site[0], tests)) for site in random_of.sample(sites, min(args.number, len(sites)))]
    for name in HEAVY:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(Path(), tree, ignore=shutil.ignore_patterns(".*", "__pycache__", "runs", "build", "dist"))
        if run(sorted({test for _, _, tests in mutants for test in tests}), tree, limit=3600) != 0:
            sys.exit(f"{tree.with_suffix('.txt').read_text()[-5000:]}\nthe tests do not pass as they are")
        fates = []
        for file, number, tests in mutants:
            place, time = tree / file, (tree / file).stat().st_mtime_ns
            original = place.read_text(encoding="utf-8")
            source, words = mutant(original, number)
            place.write_text(source, encoding="utf-8")
            os.utime(
                place, ns=(time, time - (len(fates) + 1) * 10**9)
            )  # else bytecode may pass for that of this source
            fates.append({0: "LIVED", None: "too long"}.get(run(tests, tree, args.limit), "caught"))
            place.write_text(original, encoding="utf-8")
            os.utime(place, ns=(time, time))
            print(f"{fates[-1]:8} {file}:{words}", flush=True)
    print(f"{fates.count('caught')} of {len(fates)} were caught")


if __name__ == "__main__":
    main()
