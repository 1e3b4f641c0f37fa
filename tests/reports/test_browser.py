"""The pages in a browser: nothing runs over the edge, nothing is fetched, tables sort."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from longtail.reports.compare import write_columns
from longtail.reports.dataset_page import dataset_page
from longtail.reports.report import write_report
from longtail.reports.results import Results
from longtail.reports.seeds import load_columns
from longtail.reports.tradeoff import write_tradeoff

from .sample import HOSTILE, make_detection, make_results, make_segmentation, write_run
from .test_dataset import make_dataset
from .test_tradeoff import curve

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")

OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-file-access-from-files",  # the wrapper looks into the frame
]

OUTSIDE = re.compile(r"(?:src|href)\s*=\s*[\"']?\s*(?:https?:)?//|url\(\s*[\"']?(?:https?:)?//|@import")

# Loads the page at each width in a frame, and writes down what it finds.
WRAPPER = """<!DOCTYPE html><title>-</title><body><script>
const found = {};
const widths = [1280, 390];
for (const width of widths) {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 900px; border: 0`;
  frame.onload = () => {
    const page = frame.contentDocument, root = page.documentElement;
    const right = (each) => each.getBoundingClientRect().right;
    const boxed = (each) => each.closest(".box, pre") !== null && !each.matches(".box, pre");
    const wide = [...page.body.querySelectorAll("*")].filter((each) => !boxed(each) && right(each) > width + 0.5);
    const heads = [...page.querySelectorAll("table.sortable th")];
    const rows = () => [...page.querySelectorAll("table.sortable tbody tr")];
    const column = (index) => rows().map((row) => row.cells[index].innerText);
    const accuracy = heads.findIndex((each) => /^(Accuracy|Mask AP|Box AP|IoU)$|seeds/.test(each.innerText));
    const sorted = {};
    if (accuracy >= 0) {
      const button = heads[accuracy].querySelector("button");
      button.click();
      const up = column(accuracy), ariaUp = heads[accuracy].ariaSort;
      button.click();
      Object.assign(sorted, {up, down: column(accuracy), aria: [ariaUp, heads[accuracy].ariaSort]});
    }
    found[width] = {
      ...sorted,
      scroll: root.scrollWidth, client: root.clientWidth, wide: wide.map((each) => each.outerHTML.slice(0, 80)),
      scripts: page.scripts.length,
      images: [...page.images].filter((each) => each.complete && !each.naturalWidth).length,
      fetched: frame.contentWindow.performance.getEntriesByType("resource").map((each) => each.name),
    };
    const output = document.createElement("pre");
    output.textContent = JSON.stringify(found);
    if (Object.keys(found).length === widths.length) document.body.append(output);
  };
  frame.src = "PAGE";
  document.body.append(frame);
}
</script></body>"""


def inspect(tmp_path: Path, page: Path) -> dict[str, Any]:
    """Open a page in the browser at both widths and return what was measured."""
    assert CHROMIUM is not None
    wrapper = page.with_name("wrapper.html")
    wrapper.write_text(WRAPPER.replace("PAGE", page.name), encoding="utf-8")
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", wrapper.as_uri()]
    process = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60, check=True)
    match = re.search(r"<pre>(\{.*?\})</pre>", process.stdout, re.DOTALL)
    assert match, process.stdout[-1000:] + process.stderr[-1000:]
    return json.loads(html.unescape(match[1]))  # type: ignore[no-any-return]


def number(text: str) -> float:
    """Return the number a cell begins with."""
    return float(text.split("%")[0].split(" ")[0])


def check(tmp_path: Path, page: Path, sortable: bool = True) -> None:
    """Check everything that only a browser knows."""
    assert not OUTSIDE.findall(page.read_text("utf-8"))
    for width, state in inspect(tmp_path, page).items():
        assert state["scroll"] <= state["client"] <= int(width)
        assert state["wide"] == []
        assert all(address.startswith("data:") for address in state["fetched"])
        assert state["scripts"] == 1
        assert state["images"] == 0
        if not sortable:
            continue
        assert state["aria"] == ["ascending", "descending"]
        up, down = ([number(text) for text in state[order][:-1]] for order in ("up", "down"))
        assert up == sorted(up)
        assert down == sorted(up, reverse=True)
        assert state["up"][-1] == state["down"][-1] == "\N{EN DASH}"


@pytest.mark.parametrize("classes", [10, 1000])
def test_report(tmp_path: Path, classes: int) -> None:
    results = make_results(classes, hostile=True, name="a" * 200)
    check(tmp_path, write_report(write_run(tmp_path / "run", results)))


@pytest.mark.parametrize("make", [make_detection, partial(make_detection, masks=False), make_segmentation])
def test_report_of_other_tasks(tmp_path: Path, make: Callable[..., Results]) -> None:
    names = ("a-0", "a-1", "b" * 200)
    folders = [write_run(tmp_path / name, make(seed=seed, name=name, hostile=True)) for seed, name in enumerate(names)]
    check(tmp_path, write_report(folders[-1]))
    check(tmp_path, write_columns(load_columns(folders), tmp_path / "page.html"))


@pytest.mark.parametrize("classes", [10, 1000])
def test_comparison(tmp_path: Path, classes: int) -> None:
    folders = [
        write_run(tmp_path / f"a-{seed}", make_results(classes, seed=seed, name=f"a-{seed}", hostile=True))
        for seed in (0, 1)
    ]
    for name in ("b" * 200, "c", "d", "e"):
        results = make_results(classes, seed=2, gain=0.05, name=name, hostile=True)
        results["recipe"] = name
        folders.append(write_run(tmp_path / name[0], results))
    check(tmp_path, write_columns(load_columns(folders), tmp_path / "page.html"))


@pytest.mark.parametrize("runs", [1, 9])
def test_tradeoff(tmp_path: Path, runs: int) -> None:
    curves = [curve(name * 200, config=name) for name in "abcdefghi"[:runs]]
    page, _ = write_tradeoff(curves, tmp_path / "page.html")
    check(tmp_path, page, sortable=False)


@pytest.mark.parametrize("classes", [len(HOSTILE), 1000])
def test_dataset(tmp_path: Path, classes: int) -> None:
    dataset = make_dataset(classes, hostile=True)
    assert dataset.overlaps is not None
    pictures = list(dataset.overlaps[0].copies[0].pictures or ())
    page = tmp_path / "page.html"
    page.write_text(dataset_page(dataset, [pictures] * classes), encoding="utf-8")
    check(tmp_path, page, sortable=False)
