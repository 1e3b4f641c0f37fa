"""Who imports whom inside the package, and who may import Lightning."""

import ast
from pathlib import Path

import pytest

import longtail

ROOT = Path(longtail.__file__).parent

# Every room (a folder or a module right under longtail) and the rooms that it imports from. Each row names only rooms
# of the rows above it, so imports run one way.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "counts": set(),
    "difficulty": set(),
    "distributed": set(),
    "checks": set(),
    "checkpoint": {"errors"},
    "writing": {"errors"},
    "recipes": {"errors"},
    "reports": {"errors", "writing"},
    "samplers": {"difficulty", "distributed"},
    "losses": {"checks", "counts", "difficulty", "distributed"},
    "models": {"checks", "counts", "errors"},
    "augment": {"errors"},
    "metrics": {"checks", "counts", "errors"},
    "methods": {"checkpoint", "counts", "distributed", "errors", "losses", "models"},
    "data": {"augment", "counts", "difficulty", "errors", "metrics", "samplers", "writing"},
    "tasks": {"checkpoint", "difficulty", "distributed", "errors", "writing"}
    | {"losses", "models", "metrics", "methods", "data", "reports"},
    "inference": {"augment", "checkpoint", "counts", "errors", "writing", "metrics", "methods", "data", "reports"},
    "export": {"errors", "methods", "inference"},
    "cli": {"errors", "recipes", "reports", "tasks", "inference", "export"},
    "__main__": {"cli"},
}
LIGHTNING = {"data", "tasks", "cli"}

FILES = sorted(ROOT.rglob("*.py"))
every_file = pytest.mark.parametrize("file", FILES, ids=[file.relative_to(ROOT).as_posix() for file in FILES])


def room(file: Path) -> str:
    """Name of the folder or module right under longtail; empty for longtail/__init__.py."""
    first = file.relative_to(ROOT).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imports(file: Path) -> list[tuple[str, str]]:
    """Every import of a file, wherever it stands, as (module, name); the name is empty for ``import module``."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: imports are absolute"
            found += [(str(node.module), alias.name) for alias in node.names]
    return found


def rooms_of(file: Path) -> set[str]:
    """The other rooms that a file imports from."""
    taken = set()
    for module, name in imports(file):
        first, *rest = module.split(".")
        if first == "longtail" and (rest or name != "__version__"):
            taken.add(rest[0] if rest else name)
    return taken - {room(file)}


def is_module(dotted: str) -> bool:
    path = ROOT.parent.joinpath(*dotted.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def test_the_table_names_every_room_and_runs_one_way() -> None:
    assert {room(file) for file in FILES} - {""} == ROOMS.keys(), "a new room gets a row in ROOMS"
    above: set[str] = set()
    for name, allowed in ROOMS.items():
        assert allowed <= above, name
        above.add(name)


@every_file
def test_imports_run_one_way(file: Path) -> None:
    beyond = rooms_of(file) - ROOMS.get(room(file), set())
    assert not beyond, f"{room(file)} must not import from {', '.join(sorted(beyond))}"


@pytest.mark.parametrize("name", ROOMS)
def test_no_room_may_import_what_it_does_not_use(name: str) -> None:
    used = set().union(*(rooms_of(file) for file in FILES if room(file) == name))
    assert used == ROOMS[name], "what a row allows is what is taken"


@every_file
def test_lightning_stays_where_it_belongs(file: Path) -> None:
    packages = {module.split(".")[0] for module, _ in imports(file)}
    if room(file) not in LIGHTNING:
        assert not packages & {"lightning", "pytorch_lightning", "lightning_fabric"}
    if room(file) == "reports":
        assert not packages & {"torch", "torchmetrics", "timm"}


@every_file
def test_names_come_from_the_module_that_defines_them(file: Path) -> None:
    """Nobody inside the package takes a name from an ``__init__`` that only passes it on."""
    for module, name in imports(file):
        init = ROOT.parent.joinpath(*module.split("."), "__init__.py")
        if module.split(".")[0] != "longtail" or not init.is_file() or is_module(f"{module}.{name}"):
            continue
        passed_on = {each for _, each in imports(init)}
        assert name not in passed_on, f"import {name} from where it is defined, not from {module}"
