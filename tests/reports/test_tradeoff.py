"""The page, the table and the record of the trade-off."""

import json
from pathlib import Path
from typing import Any

import pytest

from longtail.errors import InputError
from longtail.reports.results import Metrics
from longtail.reports.tradeoff import (
    Curve,
    Point,
    check_output,
    check_runs,
    labels,
    tradeoff_page,
    tradeoff_record,
    tradeoff_text,
    write_tradeoff,
)

from .sample import make_results
from .test_compare import render
from .test_report import Reader, section

CONFIG = """\
# lightning.pytorch==2.6
seed_everything: {seed}
model:
  init_args:
    trade_off: {value}
    steps:
    - 0.8
run: runs/{name}
"""


def metrics(**values: float | None) -> Metrics:
    return {"many": 0.7, "medium": 0.5, "few": 0.2, "balanced_accuracy": 0.5, "top1": 0.6, **values}


POINTS = (
    Point(-1.0, metrics(many=0.8, few=0.1, balanced_accuracy=0.45)),
    Point(0.0, metrics()),
    Point(1.25, metrics(many=0.6, few=0.4, balanced_accuracy=0.55)),
    Point(3.0, metrics(many=0.1, few=0.5, balanced_accuracy=0.3)),
)


def curve(name: str = "bcl", points: tuple[Point, ...] = POINTS, **changes: Any) -> Curve:
    results = make_results(name=name)
    results |= changes  # type: ignore[typeddict-item]
    return Curve(Path("runs") / name, results, "best", 37, {"many": 40, "medium": 30, "few": 9}, points)


def set_to(name: str, value: float, seed: int = 0) -> Curve:
    return curve(name, config=CONFIG.format(seed=seed, value=value, name=name), seed=seed)


def test_the_best_point_has_the_best_balanced_accuracy_and_is_nearest_to_0_among_equals() -> None:
    assert curve().best is POINTS[2]
    assert curve().start is POINTS[1]
    flat = tuple(Point(strength, metrics()) for strength in (-1.0, -0.25, 0.0, 0.25))
    assert curve(points=flat).best.strength == 0
    points = tuple(Point(strength, metrics(balanced_accuracy=None)) for strength in (-1.0, 0.0, 1.0))
    assert curve(points=points).best.strength == 0


def test_the_command_that_takes_the_point() -> None:
    assert curve().export == "longtail export runs/bcl --strength 1.25"
    last = Curve(Path("my run"), make_results(), "last", 40, {}, POINTS)
    assert last.export == "longtail export 'my run' --strength 1.25 --checkpoint last"
    assert curve(points=POINTS[:2]).export == "longtail export runs/bcl"


def test_runs_that_differ_in_one_setting_go_by_it() -> None:
    assert labels([set_to("a", 0.5), set_to("b", 2.0, seed=1)]) == ["trade_off 0.5", "trade_off 2.0"]
    assert labels([set_to("a", 0.5)]) == ["a"]


def test_other_runs_go_by_their_names() -> None:
    assert labels([curve("a"), curve("b"), curve("a")]) == ["a", "b", "a #2"]
    assert labels([set_to("a", 0.5), set_to("b", 2.0), set_to("c", 2.0, seed=1)]) == ["a", "b", "c"]
    longer = curve("b", config=CONFIG.format(seed=0, value=1, name="b") + "ema: 0.9\n")
    assert labels([set_to("a", 0.5), longer]) == ["a", "b"]
    in_a_list = curve("b", config=CONFIG.format(seed=0, value=0.5, name="b").replace("- 0.8", "- 0.9"))
    assert labels([set_to("a", 0.5), in_a_list]) == ["a", "b"]
    second = curve("b", config=CONFIG.format(seed=0, value=1, name="b").replace("0.8", "0.9"))
    assert labels([set_to("a", 0.5), second]) == ["a", "b"]


def test_terminal_shows_every_point_of_one_run() -> None:
    text = render(tradeoff_text([curve("[b]x[/b]")]))
    assert "[b]x[/b]: validation, best (epoch 37)" in text
    lines = {line.split("│")[1].strip(): line for line in text.splitlines() if line.startswith("│")}
    assert list(lines) == ["-1", "0 (as trained)", "1.25 (best)", "3"]
    assert [cell.strip() for cell in lines["1.25 (best)"].split("│")[2:-1]] == [
        "60.0%",
        "50.0%",
        "40.0%",
        "55.0%",
        "60.0%",
    ]


def test_terminal_shows_two_points_of_several_runs() -> None:
    text = render(tradeoff_text([curve("a"), curve("b", POINTS[:2])]))
    names = [line.split("│")[1].strip() for line in text.splitlines() if line.startswith("│")]
    assert names == ["a: 0 (as trained)", "a: 1.25 (best)", "b: 0 (as trained, best)"]


def test_page_of_one_run() -> None:
    text = tradeoff_page([curve()])
    assert (
        "bcl: on 79 validation images strength 1.25 is best, against the run as trained: balanced accuracy 55.0% "
        "against 50.0%; few-shot accuracy 40.0% against 20.0%; medium-shot accuracy 50.0% against 50.0%; many-shot "
        "accuracy 60.0% against 70.0%."
    ) in text
    assert "Validation images of bcl: many 40, medium 30, few 9." in text
    assert "<pre>longtail export runs/bcl --strength 1.25</pre>" in text
    rows = Reader(section(text, "Every point of bcl")).rows
    assert rows[0] == [
        "Strength",
        "Many-shot accuracy",
        "Medium-shot accuracy",
        "Few-shot accuracy",
        "Balanced accuracy",
        "Accuracy",
        "",
    ]
    assert [row[0] for row in rows[1:]] == ["-1", "0", "1.25", "3"]
    assert [row[-1] for row in rows[1:]] == ["", "as trained", "best", ""]
    assert text.count("<svg") == 2
    assert "At the end of the strengths" not in text
    assert Reader(text).open == []


def test_page_of_several_runs() -> None:
    text = tradeoff_page([set_to("a", 0.5), set_to("b", 2.0)])
    assert text.count("<svg") == 1
    for part in ("Every point of trade_off 0.5", "Every point of trade_off 2.0", "longtail export runs/b --strength 1"):
        assert part in text
    assert "do not rank them" not in text
    assert "do not rank them" in tradeoff_page([curve("a"), curve("b", train_counts=[7] * 10)])
    assert Reader(section(text, "The runs")).rows[1][:2] == ["trade_off 0.5", "a"]


def test_page_says_what_it_cannot_show() -> None:
    points = tuple(Point(point.strength, point.metrics | {"many": None, "medium": None}) for point in POINTS[1:3])
    text = tradeoff_page([curve(points=points, status="interrupted")])
    assert text.count("<svg") == 1, "the accuracies over the strengths"
    assert "many-shot accuracy" not in text.split("<ul")[0]
    assert "There is no picture" in text
    assert "At the end of the strengths that were tried, a stronger one may be better: bcl." in text
    assert "Not finished, and measured as they are: bcl." in text
    assert tradeoff_page([curve("a", points), curve("b")]).count("<svg") == 0


def test_groups_that_are_not_there_are_replaced_by_the_next() -> None:
    points = tuple(Point(point.strength, point.metrics | {"many": None}) for point in POINTS)
    assert "medium-shot accuracy (%)" in tradeoff_page([curve(points=points)])


def test_nothing_better_than_the_run_as_trained() -> None:
    text = tradeoff_page([curve(points=POINTS[:2])])
    assert "bcl: on 79 validation images no strength makes the balanced accuracy better than it is, 50.0%." in text


def test_record_beside_the_page(tmp_path: Path) -> None:
    points = tuple(Point(strength, metrics(many=None)) for strength in (0.0, 1.0))
    paths = write_tradeoff([curve(points=points)], tmp_path / "page.html")
    assert paths == [tmp_path / "page.html", tmp_path / "page.json"]
    assert write_tradeoff([curve(points=points)], str(tmp_path / "page.html")) == paths
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    record = json.loads((tmp_path / "page.json").read_text())
    assert record == tradeoff_record([curve(points=points)])
    assert (record["format"], record["split"]) == (1, "val")
    [run] = record["runs"]
    assert run["points"] == [{"strength": strength, **metrics(many=None)} for strength in (0, 1)]
    assert (run["name"], run["folder"], run["checkpoint"], run["epoch"]) == ("bcl", "runs/bcl", "best", 37)
    assert run["best_strength"] == 0
    assert run["images"] == {"many": 40, "medium": 30, "few": 9}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("page.txt", "ends in .html"),
        ("page", "ends in .html"),
        ("results.html", "the record of a run"),
        ("gone/page.html", "gone: no such folder"),
    ],
)
def test_places_that_are_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_output(tmp_path / name)


def test_runs_of_other_classes_are_refused() -> None:
    check_runs([make_results(), make_results(seed=1)])
    with pytest.raises(InputError, match="bcl and ce have different class lists"):
        check_runs([make_results(), make_results(11, name="ce")])


def test_nothing_from_outside_becomes_markup() -> None:
    attack = '"><script>alert(2)</script>'
    hostile = [curve(attack), set_to(attack, 1), curve("b", recipe=attack, config=CONFIG + attack)]
    reader = Reader(tradeoff_page(hostile))
    assert reader.open == []
    assert reader.tags.count("script") == 1
    assert not reader.handlers
    value = attack.replace("alert", "prompt")
    text = tradeoff_page([set_to("a", 1), curve("b", config=CONFIG.format(seed=0, value=value, name="b"))])
    assert Reader(text).tags.count("script") == 1
