"""The documentation: its Python blocks run, its links lead somewhere, its commands exist."""

import re
import runpy
import shlex
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from reports.sample import make_results

import longtail
from longtail import losses
from longtail.cli.fit import FIT_HELP
from longtail.cli.look import DATA_HELP
from longtail.cli.main import COMMANDS, main
from longtail.cli.pack import PACK_HELP
from longtail.recipes import recipe_names
from longtail.reports.results import save_results

ROOT = Path(longtail.__file__).parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")],
    key=lambda page: page.relative_to(ROOT).as_posix(),
)
FENCE = re.compile(
    r"(?P<test><!-- test(: (?P<needs>[\w ]+))? -->\n)?^```(?P<language>\w*)\n(?P<content>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def blocks() -> Iterator[Any]:
    """Every Python block that is marked as a test, with the page and the line it starts at.

    ``<!-- test: a b -->`` is skipped where one of the packages is not installed.
    """
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for fence in FENCE.finditer(text):
            if fence["test"]:
                assert fence["language"] == "python", f"{page}: a test that is not Python"
                line = text.count("\n", 0, fence.start("content"))
                missing = [package for package in (fence["needs"] or "").split() if find_spec(package) is None]
                skip = pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")
                name = f"{page.relative_to(ROOT).as_posix()}:{line + 1}"
                yield pytest.param(page, line, fence["content"], id=name, marks=skip)


def commands() -> Iterator[Any]:
    """Every ``longtail`` command of the shell blocks."""
    for page in PAGES:
        for fence in FENCE.finditer(page.read_text(encoding="utf-8")):
            if fence["language"] == "sh":
                for line in fence["content"].replace("\\\n", " ").splitlines():
                    words = shlex.split(line, comments=True)
                    while words and re.fullmatch(r"\w+=.*", words[0]):  # a variable of the environment
                        del words[0]
                    if words and words[0] == "longtail":
                        yield pytest.param(words[1:], id=" ".join(words))


# Lightning's use of torch's trees; nothing that an example could change.
@pytest.mark.filterwarnings(r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning")
@pytest.mark.parametrize(("page", "line", "code"), list(blocks()))
def test_python_blocks_run(page: Path, line: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile("\n" * line + code, str(page), "exec"), {"__name__": "__main__"})
    assert not list(tmp_path.iterdir()), "an example leaves files behind"


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])
def test_links_lead_to_files(page: Path) -> None:
    links = LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    for link in links:
        target = link.split("#")[0]
        if target and not target.startswith(("https://", "http://", "mailto:")):
            assert (page.parent / target).exists(), f"{page} links to {link}"


@pytest.mark.parametrize("words", list(commands()))
def test_commands_exist(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    name, *rest = words
    assert name in COMMANDS
    if name in ("fit", "data", "pack"):
        text = {"fit": FIT_HELP, "data": DATA_HELP, "pack": PACK_HELP}[name]
    else:
        with pytest.raises(SystemExit):
            main([name, "--help"])
        text = capsys.readouterr().out
    for i, word in enumerate(rest):
        if word.startswith("--") and "." not in word:
            assert re.search(rf"{re.escape(word)}(?![\w-])", text), f"{name} has no option {word}"
        if word == "--recipe" and not rest[i + 1].endswith(".yaml"):
            assert rest[i + 1] in recipe_names()


def test_the_page_of_methods_names_every_recipe_for_own_images_and_every_benchmark() -> None:
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    mentions = {f"`{name}`" if "/" not in name else f"`{name.split('/')[0]}/" for name in recipe_names()}
    assert [name for name in sorted(mentions) if name not in page] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_the_api_reference_has_every_public_name() -> None:
    """A page of a room shows what the room exports, by ``make docs``; a name without a docstring would be left out."""
    pages = {page.stem: page for page in (ROOT / "docs" / "api").glob("*.rst") if page.stem != "index"}
    names = [module.name for module in iter_modules(longtail.__path__) if not module.name.startswith("_")]
    rooms = {name: import_module(f"longtail.{name}") for name in names}
    exporting = {name for name, room in rooms.items() if hasattr(room, "__all__")}
    assert exporting | {"counts", "difficulty", "distributed"} <= set(pages)
    for name, page in pages.items():
        assert f".. room:: longtail.{name}\n" in page.read_text(encoding="utf-8")
        for public in getattr(rooms[name], "__all__", ()):
            assert getattr(rooms[name], public).__doc__, f"longtail.{name}.{public} has no docstring"


def test_every_page_is_in_the_navigation() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"}
    assert [page for page in sorted(pages) if f"\n{page}\n" not in index] == []


def test_the_pictures_of_losses_are_drawn_and_shown(tmp_path: Path) -> None:
    script = runpy.run_path(str(ROOT / "docs" / "draw_losses.py"))
    script["main"]([str(tmp_path)])
    assert script["DRAWINGS"].keys() <= set(losses.__all__)
    names = {f"{name}.svg" for name in script["DRAWINGS"]}
    assert {picture.name for picture in tmp_path.iterdir()} == names
    assert max(picture.stat().st_size for picture in tmp_path.iterdir()) < 40_000

    pictures = re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", (ROOT / "docs" / "losses.md").read_text(encoding="utf-8"))
    assert set(pictures) == {f"losses/{name}" for name in names}
    assert [picture for picture in pictures if not (ROOT / "docs" / picture).is_file()] == []


def test_the_picture_of_the_readme_is_drawn_from_runs(tmp_path: Path) -> None:
    for method in ("ce", "bcl"):
        for seed in range(2):
            folder = tmp_path / "runs" / f"{method}-seed{seed}"
            folder.mkdir(parents=True)
            save_results(folder, make_results(seed=seed))
    main = runpy.run_path(str(ROOT / "docs" / "draw_demo.py"))["main"]
    main([str(tmp_path / "runs"), str(tmp_path / "demo.svg")])
    picture = (tmp_path / "demo.svg").read_text(encoding="utf-8")
    assert "cross-entropy" in picture
    assert ">500<" in picture  # training images of the largest class
    assert "docs/demo.svg" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_there_are_examples_and_commands() -> None:
    assert len(list(blocks())) >= 4
    assert len(list(commands())) >= 20
