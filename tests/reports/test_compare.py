"""Several runs side by side."""

import io
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from longtail.errors import InputError
from longtail.reports.compare import comparison_text, write_columns
from longtail.reports.results import Results, ordered_evaluations
from longtail.reports.seeds import Value, load_columns
from longtail.reports.terminal import evaluation_table

from .sample import make_results, write_run
from .test_report import Reader, section


def run(tmp_path: Path, name: str, seed: int, top1: float = 0.5, **changes: Any) -> Path:
    """Write a run with every metric and class accuracy at ``top1`` and return its folder."""
    results = make_results(seed=seed, name=name)
    for evaluation in results["evaluations"]:
        evaluation["metrics"] = {"top1": top1, "balanced_accuracy": top1, "few": top1, "calibration_error": top1}
        evaluation["per_class"]["accuracy"] = [top1] * 9 + [None]
    results |= changes  # type: ignore[typeddict-item]
    return write_run(tmp_path / name, results)


def render(table: Table, width: int = 140) -> str:
    """Return a table as the terminal shows it."""
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_seeds_are_merged_into_mean_and_sample_deviation(tmp_path: Path) -> None:
    folders = [run(tmp_path, f"ce-seed{seed}", seed, top1) for seed, top1 in ((10, 0.4), (11, 0.5), (12, 0.9))]
    (column,) = load_columns(folders)
    assert column.title == "ce (3 seeds)"
    value = column.metric("top1")
    assert value is not None
    assert value.mean == pytest.approx(0.6)
    assert value.deviation == pytest.approx(math.sqrt((0.04 + 0.01 + 0.09) / 2))
    accuracies = column.figures("accuracy")
    assert accuracies[0] == pytest.approx(Value(0.6, math.sqrt(0.07)))
    assert accuracies[9] is None


def test_one_seed_has_no_deviation(tmp_path: Path) -> None:
    first, second = load_columns([run(tmp_path, "ce", 0), run(tmp_path, "bcl", 0, 0.6, recipe="other")])
    assert first.metric("top1") == (0.5, None)
    assert first.metric("unknown") is None
    assert second.title == "bcl"


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": "other"},
        {"config": "seed: 1\nmodel:\n  name: resnet50\nrun: runs/b\nnote: a   < b & c\n"},
        {"config": "seed: 1\n"},
        {"train_counts": [1] * 10},
        {"data": {"name": "Folder", "source": "elsewhere/", "images": {}, "input": {}}},
    ],
)
def test_runs_that_differ_by_more_are_not_merged(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert len(load_columns([run(tmp_path, "a", 0), run(tmp_path, "b", 1)])) == 1
    assert len(load_columns([run(tmp_path, "a", 0), run(tmp_path, "b", 1, 0.5, **changes)])) == 2


def test_folders_in_the_configuration_do_not_keep_seeds_apart(tmp_path: Path) -> None:
    text = "seed_everything: {0}\ntrainer:\n  seed: {0}\n  root: /x{0}/{1}/checkpoints\n  logger: 'runs/{1}'\n"
    folders = [run(tmp_path, name, seed, config=text.format(seed, name)) for seed, name in enumerate(("bcl", "bcl-1"))]
    assert [column.title for column in load_columns(folders)] == ["bcl (2 seeds)"]


@pytest.mark.parametrize(
    ("config", "columns"),
    [
        ("# written later\nrun: runs/b\nmodel: {name: 'resnet32'}\nnote: 'a   < b & c'\nseed: 1\n", 1),
        ("seed: 1\nmodel:\n  name: resnet32\n  seed: 5\nrun: runs/b\nnote: a   < b & c\n", 1),
        ("seed: 1\nmodel:\n  name: [resnet32]\nrun: runs/b\nnote: a   < b & c\n", 2),
        ("seed: 1\nmodel: name\nrun: runs/b\nnote: a   < b & c\n", 2),
        ("[", 2),
    ],
    ids=["other lines", "another seed", "a list", "a value for a mapping", "no YAML"],
)
def test_configurations_are_compared_by_their_values(tmp_path: Path, config: str, columns: int) -> None:
    assert len(load_columns([run(tmp_path, "a", 0), run(tmp_path, "b", 1, config=config)])) == columns


def test_the_same_seed_twice_is_no_second_seed(tmp_path: Path) -> None:
    first, second = load_columns([run(tmp_path, "a", 0), run(tmp_path, "b", 0)])
    assert (len(first.runs), len(second.runs)) == (1, 1)
    columns = load_columns([tmp_path / "a", tmp_path / "a"])
    assert [column.title for column in columns] == ["a", "a #2"]


def test_terminal_shows_the_change_against_the_first(tmp_path: Path) -> None:
    folders = [run(tmp_path, "ce-0", 0, 0.4), run(tmp_path, "ce-1", 1, 0.5), run(tmp_path, "[b]x", 0, 0.57, recipe="x")]
    text = render(comparison_text(folders))
    assert "ce (2 seeds)" in text
    assert "[b]x" in text
    assert "45.0 ± 7.1%" in text
    assert "57.0% (+12.0)" in text


def test_page_shows_changes_and_says_what_they_are_worth(tmp_path: Path) -> None:
    folders = [run(tmp_path, "ce", 0, 0.5), run(tmp_path, "bcl", 0, 0.45, recipe="x")]
    text = write_columns(load_columns(folders), tmp_path / "page.html").read_text(encoding="utf-8")
    assert (
        "bcl compared with ce: balanced accuracy 45.0% against 50.0% (−5.0 points); "  # noqa: RUF001
        "few-shot accuracy 45.0% against 50.0% (−5.0 points)."  # noqa: RUF001
    ) in text
    assert "One seed only: ce; bcl." in text
    metrics = section(text, "Metrics")
    assert '<td class="number bad" data-order="-0.04' in metrics
    assert metrics.count('class="number good"') == 1  # the calibration error fell
    changes = section(text, "bcl against ce, class by class")
    assert "0 classes better, 9 worse, 0 the same." in changes
    assert "No class gained." in changes
    assert Reader(changes).rows[1][1:] == ["−5.0", "45.0%", "50.0%", "500", "100"]  # noqa: RUF001
    assert Reader(section(text, "Every class")).rows[10][-3:] == ["–", "–", "–"]  # noqa: RUF001
    assert Reader(text).open == []


def test_largest_gain_comes_first(tmp_path: Path) -> None:
    results = make_results(name="b")
    results["evaluations"][1]["per_class"]["accuracy"] = [0.5, 0.6, 0.9, 0.4, 0.1, *[0.5] * 4, None]
    results["recipe"] = "x"
    folders = [run(tmp_path, "a", 0), write_run(tmp_path / "b", results)]
    text = write_columns(load_columns(folders), tmp_path / "page.html").read_text(encoding="utf-8")
    rows = Reader(section(text, "b against a, class by class")).rows
    names = [(row[0], row[1]) for row in rows if row[0] != "Class"]
    assert names == [("class 2", "+40.0"), ("class 1", "+10.0"), ("class 4", "−40.0"), ("class 3", "−10.0")]  # noqa: RUF001


def test_changes_within_the_spread_of_the_seeds_are_called_that(tmp_path: Path) -> None:
    values = (("ce", 0.4), ("ce", 0.5), ("bcl", 0.42), ("bcl", 0.52), ("ncl", 0.90), ("ncl", 0.91))
    folders = [run(tmp_path, f"{name}-{index}", index, top1, recipe=name) for index, (name, top1) in enumerate(values)]
    text = write_columns(load_columns(folders), tmp_path / "page.html").read_text(encoding="utf-8")
    assert "(+2.0 points, within the spread of the seeds)" in text
    assert "(+45.5 points)" in text
    assert "One seed only" not in text
    assert "Whiskers: standard deviation over the seeds." in text


def test_unlike_runs_come_with_a_warning(tmp_path: Path) -> None:
    results = make_results(name="b")
    results |= {"status": "interrupted", "train_counts": [7] * 10}
    results["evaluations"] = [{**results["evaluations"][1], "split": "val"}]
    folders = [run(tmp_path, "a", 0), write_run(tmp_path / "b", results)]
    text = write_columns(load_columns(folders), tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Not finished, and measured as they are: b." in text
    assert "The runs were not measured on the same images" in text
    assert "The runs were not trained on the same data" in text


def test_errors(tmp_path: Path) -> None:
    first = run(tmp_path, "a", 0)
    with pytest.raises(InputError, match="at least two runs, got 1"):
        load_columns([first])
    second = run(tmp_path, "b", 0, classes=["x"] * 10)
    with pytest.raises(InputError, match=r"/a and \S+/b have different class lists"):
        load_columns([first, second])
    unfinished = run(tmp_path, "c", 0, evaluations=[], status="running")
    with pytest.raises(InputError, match=r"c/results\.json: the run is interrupted and has no evaluation"):
        load_columns([first, unfinished])


@pytest.mark.parametrize("classes", [10, 1000])
def test_hostile_names(tmp_path: Path, classes: int) -> None:
    attack = "<script>alert(3)</script>"
    first, second = (
        make_results(classes, hostile=True, name=attack),
        make_results(classes, hostile=True, seed=1, name="b"),
    )
    second["recipe"] = attack
    folders = [write_run(tmp_path / "a", first), write_run(tmp_path / "b", second)]
    reader = Reader(write_columns(load_columns(folders), tmp_path / "page.html").read_text(encoding="utf-8"))
    assert reader.tags.count("script") == 1
    assert not reader.handlers
    assert all(address.startswith("#") for address in reader.addresses)


def test_final_table_in_the_terminal() -> None:
    results: Results = make_results(name="[red]bcl[/red]")
    results["evaluations"][1]["metrics"]["geometric_mean"] = float("nan")  # not saved yet, hence not None
    text = render(evaluation_table(results, ordered_evaluations(results)), 100)
    lines = text.splitlines()
    assert lines[0].strip() == "[red]bcl[/red]"
    assert "test, last (epoch 40)" in lines[2]
    assert lines[2].index("test, last") < lines[2].index("test, best")
    assert any("Top-5 accuracy" in line and line.count("90.0%") == 2 for line in lines)
    assert any("Geometric mean" in line and line.count("–") == 2 for line in lines)  # noqa: RUF001


def test_folders_and_page_may_be_given_as_text(tmp_path: Path) -> None:
    folders = [run(tmp_path, "ce", 0, 0.5), run(tmp_path, "bcl", 0, 0.45, recipe="x")]
    texts = [str(folder) for folder in folders]
    page = write_columns(load_columns(folders), tmp_path / "page.html")
    again = write_columns(load_columns(texts), str(tmp_path / "again.html"))
    assert again == tmp_path / "again.html"
    assert again.read_bytes() == page.read_bytes()
    assert load_columns(texts) == load_columns(folders)
