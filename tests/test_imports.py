"""Who imports whom inside the package, and who may import Lightning."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import longtail

ROOT = Path(longtail.__file__).parent
# Every room (a folder or a module right under longtail) and the rooms it imports from. Each row names only rooms of the
# rows above it, so imports run one way.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "refusal": {"errors"},
    "signals": set(),
    "own_modules": set(),
    "plain": set(),
    "configuration": {"errors", "plain"},
    "figures": set(),
    "checks": {"errors"},
    "counts": {"checks"},
    "difficulty": {"checks"},
    "launch": set(),
    "option_names": set(),
    "roll_call": set(),
    "distributed": {"errors", "launch", "roll_call"},
    "messages": set(),
    "checkpoint": {"errors"},
    "writing": {"errors", "messages", "plain"},
    "trust": {"errors", "own_modules", "writing"},
    "recipes": {"errors", "plain", "configuration"},
    "samplers": {"checks", "difficulty", "distributed"},
    "losses": {"checks", "counts", "difficulty", "distributed"},
    "augment": {"errors", "plain"},
    "models": {"errors", "plain", "checks", "counts", "messages", "checkpoint", "augment"},
    "metrics": {"errors", "plain", "checks", "counts", "figures"},
    "posthoc": {"checks", "counts"},
    "reports": {"errors", "plain", "figures", "messages", "configuration", "writing"},
    "files": {"errors", "plain", "launch", "messages", "writing", "augment"},
    "generated": {"errors", "plain", "counts", "writing"},
    "methods": {
        *("errors", "plain", "checks", "counts", "distributed", "messages", "checkpoint", "losses", "augment"),
        "models",
    },
    "data": {
        *("errors", "signals", "own_modules", "counts", "difficulty", "messages", "samplers", "augment", "files"),
        *("writing", "reports", "plain"),
    },
    "export": {"errors", "plain", "checks", "writing", "augment", "models", "methods"},
    "inference": {
        *("errors", "checks", "configuration", "counts", "distributed", "messages", "checkpoint", "writing", "trust"),
        *("augment", "reports", "files", "methods", "export", "posthoc", "plain", "refusal"),
    },
    "tasks": {
        *("augment", "errors", "signals", "configuration", "difficulty", "distributed", "messages", "checkpoint"),
        *("writing", "plain", "own_modules"),
        *("trust", "losses", "models", "metrics", "reports", "figures", "files", "methods", "data", "inference"),
        *("checks", "counts", "launch", "option_names", "posthoc", "refusal", "roll_call"),
    },
    "cli": {
        *("launch", "plain", "option_names", "roll_call"),
        *("errors", "signals", "own_modules", "configuration", "distributed", "messages", "checkpoint", "writing"),
        *("trust", "recipes", "models", "methods", "reports", "files", "data", "inference", "tasks"),
    },
    "__main__": {"cli"},
}
# Rooms whose folders stand on the modules beside them, and the folders in them that import from another.
INNER: dict[str, dict[str, set[str]]] = {
    "files": {
        "images": set(),
        "tables": {"images"},
        "video": {"images"},
        "coco": {"tables"},
        "pixels": {"images", "tables"},
        "shards": {"images", "tables"},
        "formats": {"images", "tables", "shards"},
        "boxes": {"images", "tables", "formats", "coco"},
    },
    "data": {"images": set(), "boxes": set(), "pixels": set(), "clips": {"images"}},
}
LIGHTNING = {"data", "tasks"}

FILES = sorted(ROOT.rglob("*.py"))
every_file = pytest.mark.parametrize("file", FILES, ids=[file.relative_to(ROOT).as_posix() for file in FILES])


def room(file: Path) -> str:
    """Name of the folder or module right under longtail; empty for longtail/__init__.py."""
    first = file.relative_to(ROOT).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imports(file: Path) -> list[tuple[str, str]]:
    """Every import of a file, wherever it stands, as (module, name); the name is empty for ``import module``."""
    result = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            result += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: imports are absolute"
            result += [(str(node.module), alias.name) for alias in node.names]
    return result


def is_module(dotted: str) -> bool:
    path = ROOT.parent.joinpath(*dotted.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def test_the_table_names_every_room_and_runs_one_way() -> None:
    assert {room(file) for file in FILES} - {""} == ROOMS.keys(), "a new room gets a row in ROOMS"
    above: set[str] = set()
    for name, allowed in ROOMS.items():
        assert allowed <= above, name
        above.add(name)


def test_the_page_of_the_architecture_has_the_rooms_in_their_order() -> None:
    page = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page[page.index("| `errors.py` |") : page.index("| `cli/` |")] + "| `cli/` |"
    rooms = [line.split("`")[1].removesuffix("/").removesuffix(".py") for line in table.splitlines()]
    assert {*rooms, "__main__"} == ROOMS.keys()
    for place, name in enumerate(rooms):
        assert ROOMS[name] <= set(rooms[:place]), name


def rooms_imported(file: Path) -> set[str]:
    """The other rooms that a file imports from."""
    paths = [
        [*module.split(".")[1:], name][0]
        for module, name in imports(file)
        if module.split(".")[0] == "longtail" and (module, name) != ("longtail", "__version__")
    ]
    return set(paths) - {room(file)}


def test_every_room_imports_from_the_rooms_of_its_row_and_from_no_other() -> None:
    table: dict[str, set[str]] = {name: set() for name in ROOMS}
    for file in FILES:
        if room(file):
            table[room(file)] |= rooms_imported(file)
    assert table == ROOMS


@pytest.mark.parametrize("name", INNER)
def test_folders_of_a_room_stand_on_its_modules_and_hardly_on_one_another(name: str) -> None:
    table: dict[str, set[str]] = {folder: set() for folder in INNER[name]}
    for file in (ROOT / name).rglob("*.py"):
        *folder, _ = file.relative_to(ROOT / name).parts
        modules = [module.split(".")[2:] for module, _ in imports(file) if module.startswith(f"longtail.{name}.")]
        folders = {path[0] for path in modules if (ROOT / name / path[0]).is_dir()} - set(folder)
        if folder:
            table[folder[0]] |= folders
        elif file.stem != "__init__":
            assert not folders, f"{file.stem} must not import from {folders}"
    assert table == INNER[name]


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
        passed_on = {name for file in (init, init.with_suffix(".pyi")) if file.is_file() for _, name in imports(file)}
        assert name not in passed_on, f"import {name} from where it is defined, not from {module}"


def test_no_module_is_long() -> None:
    """Above 300 lines it is two."""
    assert [path for path in ROOT.rglob("*.py") if len(path.read_text(encoding="utf-8").splitlines()) > 300] == []


def test_naming_the_data_sets_loads_nothing_heavy() -> None:
    script = (
        "import sys, longtail.data as data; "
        "sys.exit('COCO' not in data.__all__ or any(m in sys.modules for m in ('torch', 'lightning', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
