"""What pyproject.toml declares is what is imported, and the other way round."""

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest

import longtail

tomllib = pytest.importorskip("tomllib")  # Python 3.11

PACKAGE = Path(longtail.__file__).parent
ROOT = PACKAGE.parent
FILES = sorted(PACKAGE.rglob("*.py"))
# Imported under a name that is not the distribution's.
NAMES = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml", "open_clip": "open_clip_torch"}
# Declared and not imported: Lightning's logger of that name needs it.
BY_OTHERS = {"tensorboard"}
# Imported where it is installed and in no extra: it needs libraries of FFmpeg that no package brings.
UNDECLARED = {"torchcodec"}
# Extras of tools that work on the package, which imports nothing of them.
TOOLS = {"dev", "docs"}


def declarations() -> dict[str, set[str]]:
    """The distributions of every extra; those that are always installed as ""."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tables = {"": project["dependencies"], **project["optional-dependencies"]}
    return {extra: {re.split(r"[^\w-]", entry.lower())[0] for entry in entries} for extra, entries in tables.items()}


DECLARED = declarations()
EXTRA = {name: extra for extra in DECLARED.keys() - {"", *TOOLS} for name in DECLARED[extra]}


def modules(node: ast.AST) -> set[str]:
    """What an import statement may load, dotted; nothing for other statements."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return set()


def distributions(node: ast.AST, names: set[str]) -> set[str]:
    """The distributions of others that an import statement needs."""
    tops = {module.split(".")[0] for module in modules(node)} - names - sys.stdlib_module_names
    return {NAMES.get(top, top.replace("_", "-")) for top in tops}


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def dotted(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def imports(file: Path, names: set[str]) -> set[str]:
    return set().union(*(distributions(node, names) for node in ast.walk(tree(file))))


@cache
def loaded_by_others() -> set[str]:
    """What the modules of the package import, but for the one that is chosen by name."""
    nodes = (node for file in FILES if not dotted(file).endswith("video.pyav") for node in ast.walk(tree(file)))
    return set().union(*map(modules, nodes))


every_file = pytest.mark.parametrize("file", FILES, ids=[file.relative_to(PACKAGE).as_posix() for file in FILES])


@every_file
def test_imports_are_declared(file: Path) -> None:
    """In the dependencies; else the import is tried, and what is said instead names the extra.

    A module that no other imports is loaded by name, where its package is installed: there the import is the try, for
    what it alone imports as well.
    """
    texts: dict[ast.AST, str] = {}  # for an import that is tried, the code that follows where it fails
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Try):
            handlers = "\n".join(ast.unparse(handler) for handler in node.handlers)
            if "ImportError" in handlers:
                texts |= dict.fromkeys(node.body, handlers)
    for node in ast.walk(tree(file)):
        for name in distributions(node, {"longtail"}) - DECLARED[""]:
            place = f"{file}:{getattr(node, 'lineno', 0)}: {name}"
            if dotted(file) not in loaded_by_others() and node in tree(file).body:
                assert name in EXTRA or name in UNDECLARED, f"{place} is not declared"
                continue
            assert name in EXTRA, f"{place} is not declared"
            assert f"longtail[{EXTRA[name]}]" in texts.get(node, ""), f"{place}: a refusal has to name the extra"


def test_what_is_declared_is_imported() -> None:
    packages = set().union(*(imports(file, {"longtail"}) for file in FILES))
    assert DECLARED[""] | set(EXTRA) == (packages - UNDECLARED) | BY_OTHERS


def test_tests_and_benchmarks_need_nothing_undeclared() -> None:
    files = [file for folder in ("tests", "benchmarks", "docs") for file in sorted((ROOT / folder).rglob("*.py"))]
    names = {"longtail", "tests", "benchmarks"} | {name for file in files for name in (file.stem, file.parent.name)}
    names |= {"my_losses"}  # a user's, written by a test
    tools = set().union(*(DECLARED[extra] for extra in TOOLS))
    undeclared = {
        file.relative_to(ROOT).as_posix(): rest
        for file in files
        if (rest := imports(file, names) - DECLARED[""] - set(EXTRA) - tools)
    }
    assert undeclared == {}


def test_linters_are_pinned() -> None:
    """A newer one never stops a change that has nothing to do with it."""
    entries = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for name in ("ruff", "mypy", "types-PyYAML"):
        assert [entry for entry in entries["dev"] if entry.startswith(f"{name}==")], name


@pytest.mark.parametrize("extra", sorted(DECLARED.keys() - {"", *TOOLS}))
def test_every_extra_is_tried_alone(extra: str) -> None:
    """By tests/wheel.sh, on top of an environment without any."""
    assert re.search(rf"^{extra} \w", (ROOT / "tests" / "wheel.sh").read_text(encoding="utf-8"), re.MULTILINE)
