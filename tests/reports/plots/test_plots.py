"""The drawings."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import asdict, replace

import matplotlib
import pytest

from longtail.figures import METRICS, Metric
from longtail.reports.grains import IMAGES
from longtail.reports.plots.classes import Bars, change_by_count, class_counts, difficulty_by_count, group_bars
from longtail.reports.plots.curves import Dial, by_strength, head_to_tail, loss_curves, validation_curves
from longtail.reports.plots.drawing import GROUP_COLOURS, NAMED_CLASSES
from longtail.reports.report import report_page
from longtail.reports.results import Thresholds
from longtail.reports.wording import words_of

from ..sample import HOSTILE, make_results

THRESHOLDS: Thresholds = {"many": 100, "few": 20}


def texts(svg: str) -> list[str]:
    """Return the texts in a drawing, which must be well-formed."""
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("classes", [1, 2, 10, 40, 41, 1000])
def test_class_counts_names_few_classes_and_counts_many(classes: int) -> None:
    results = make_results(classes)
    accuracy = [None, *[0.5] * (classes - 1)]
    svg = class_counts(results["classes"], results["train_counts"], THRESHOLDS, accuracy)
    labels = texts(svg)
    assert ("class 0" in labels) == (classes <= NAMED_CLASSES)
    assert (f"{classes:,} classes, most training images first" in labels) == (classes > NAMED_CLASSES)
    assert {"training images", "accuracy (%)"} <= set(labels)
    assert len(svg) < 250_000


def test_classes_are_drawn_most_frequent_first() -> None:
    labels = texts(class_counts(["rare", "common", "none"], [3, 700, 0], THRESHOLDS))
    names = [label for label in labels if label in ("rare", "common", "none")]
    assert names == ["common", "rare", "none"]
    assert "accuracy (%)" not in labels


def test_hostile_names_are_drawn_as_they_are() -> None:
    results = make_results(hostile=True)
    labels = texts(class_counts(results["classes"], results["train_counts"], THRESHOLDS, [0.5] * 10))
    assert {"<script>alert(1…", "$\\frac{1}$ & $", "[bold]markup[/b…"} <= set(labels)
    assert any(label.startswith("猫") for label in labels)


@pytest.mark.parametrize("runs", [1, 2, 3, 9])
def test_group_bars(runs: int) -> None:
    bars = [
        Bars(name, {"many": 0.7, "medium": 0.5, "few": None, "balanced_accuracy": 0.6}, {"many": 0.01})
        for name in [*HOSTILE, "last"][:runs]
    ]
    labels = texts(group_bars(bars, [500, 200, 50], THRESHOLDS))
    assert "2 classes" in labels
    assert "0 classes" in labels
    assert labels.count("70.0") == (runs if runs <= 2 else 0)
    assert ("<script>alert(1)</script>" in labels) == (runs > 1)


def test_training_curves() -> None:
    history = make_results()["history"]
    assert {"loss", "logit_adjusted", "contrastive", "epoch"} <= set(texts(loss_curves(history) or ""))
    labels = texts(validation_curves(history) or "")
    assert {"balanced", "many", "medium", "few"} <= set(labels)
    assert "all images" not in labels  # never measured


def test_validation_curves_are_percentages_where_all_are_fractions() -> None:
    history = make_results()["history"]
    for epoch in history:
        if epoch["val"] is not None:
            epoch["val"]["distance"] = 2.5
    grain = replace(IMAGES, scale="figures", curves={"distance": "distance", "balanced_accuracy": "balanced"})
    words = {**METRICS, "distance": Metric("Distance", fraction=False)}
    assert "validation figures" in (labels := texts(validation_curves(history, grain, words) or ""))
    assert "250" not in labels
    assert "validation accuracy (%)" in texts(validation_curves(history) or "")


def test_names_that_begin_with_an_underscore_are_in_the_legend() -> None:
    history = make_results()["history"]
    history[0]["train"] |= {"_part": 1.0}
    assert any(label.endswith("_part") for label in texts(loss_curves(history) or ""))


def test_curves_without_numbers_are_not_drawn() -> None:
    assert loss_curves([]) is None
    history = make_results(epochs=1)["history"]
    assert validation_curves(history) is None
    assert loss_curves(history) is not None
    history[0]["train"] = {"loss": None}
    assert loss_curves(history) is None


@pytest.mark.parametrize("changes", [[0.1, None, -0.2], [None, None, None], [0.0, 0.0, 0.0]])
def test_change_by_count(changes: Sequence[float | None]) -> None:
    labels = texts(change_by_count([500, 20, 0], changes, THRESHOLDS))
    assert "change (percentage points)" in labels
    assert ("many" in labels) == (changes[0] is not None)


@pytest.mark.parametrize("classes", [1, 10, 1000])
def test_difficulty_by_count(classes: int) -> None:
    results = make_results(classes)
    panels = {
        "epoch 1, rank correlation +0.90": [None] * classes,
        "epoch 9, no correlation: all classes equally difficult": [1.0] * classes,
    }
    svg = difficulty_by_count(results["train_counts"], panels, THRESHOLDS)
    labels = texts(svg)
    assert {*panels, "difficulty (%)", "training images of the class", "many"} <= set(labels)
    assert ("few" in labels) == (classes > 1)
    assert len(svg) < 250_000


@pytest.mark.parametrize(
    "counts", [[1], [15, 15], [101, 103], [130, 280], [1, 2], [20, 60], [5, 500], [0, 0], [10**7, 3 * 10**9]]
)
def test_an_axis_of_counts_has_two_labels_at_least(counts: list[int]) -> None:
    svg = difficulty_by_count(counts, {"epoch 1": [0.5] * len(counts)}, THRESHOLDS)
    percentages = 5  # 0, 25, ..., 100 of the other axis, which come last
    labels = [text for text in texts(svg) if re.fullmatch(r"[0-9.,]+[kMG]?", text)][:-percentages]
    assert len(labels) == len(set(labels)) >= 2
    plain = [float(text.replace(",", "")) for text in labels if text[-1].isdigit()]
    assert plain == sorted(plain)


def test_the_accuracy_of_the_training_has_an_axis_of_its_own() -> None:
    history = make_results()["history"]
    for epoch in history:
        epoch["train"] = {"loss": 40.0, "top1": 0.5}
    labels = texts(str(loss_curves(history)))
    assert {"training loss", "loss", "top-1", "training top-1 (%)", "100"} <= set(labels)
    assert "training top-1 (%)" not in texts(str(loss_curves([{**epoch, "train": {"loss": 1.0}} for epoch in history])))


def test_what_a_run_says_of_its_own_figures_tells_a_share_from_a_loss() -> None:
    results = make_results()
    near, distance = Metric("Near", short="near"), Metric("Distance", better=-1, fraction=False)
    results["words"] = {"near_rate": asdict(near), "distance": asdict(distance)}
    for epoch in results["history"]:
        epoch["train"] = {"loss": 40.0, "near_rate": 0.5, "distance": 2.0}
    labels = texts(str(loss_curves(results["history"], words_of(results))))
    assert {"training loss", "loss", "distance", "near", "training near (%)"} <= set(labels)
    assert "near_rate" not in labels
    assert "training near (%)" in report_page(results)


def dial(label: str, head: Sequence[float | None], best: int = 2) -> Dial:
    return Dial(label, [-1.0, 0.0, 0.5, 1.0], head, [0.1, 0.2, 0.4, 0.5], 1, best)


def test_tradeoff_of_one_run_names_the_best_strength_and_the_whole_ones() -> None:
    labels = texts(head_to_tail([dial("$run$ <b>", [0.9, 0.8, 0.5, 0.2])], "many", "few"))
    assert {"$run$ <b>", "many-shot accuracy (%)", "few-shot accuracy (%)"} <= set(labels)
    assert {"0.5", "0", "1", "−1"} <= set(labels)  # noqa: RUF001


def test_tradeoff_of_several_runs_names_the_best_strength_where_it_is_another() -> None:
    curves = [dial("a", [0.9, 0.8, 0.5, 0.2]), dial("b", [0.9, 0.9, 0.8, 0.7], best=1)]
    labels = texts(head_to_tail(curves, "medium", "few"))
    assert {"a", "b", "0.5", "medium-shot accuracy (%)"} <= set(labels)
    assert "−1" not in labels  # noqa: RUF001


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_tradeoff_axes_stay_between_0_and_100(value: float) -> None:
    flat = Dial("run", [-1.0, 0.0, 1.0], [value] * 3, [value] * 3, 1, 1)
    labels = texts(head_to_tail([flat], "many", "few"))
    ticks = [float(text) for text in labels if text.replace(".", "").isdigit()]
    assert len(ticks) >= 4
    assert all(0 <= tick <= 100 for tick in ticks)


def test_by_strength() -> None:
    labels = texts(
        by_strength([-1.0, 0.0, 1.0], {"few": [0.1, 0.2, 0.3], "many": [None] * 3, "top1": [1.0] * 3}, 1, IMAGES)
    )
    assert {"few", "all images", "strength", "accuracy (%)"} <= set(labels)
    assert "many" not in labels


def test_drawings_do_not_depend_on_the_readers_settings_or_the_time() -> None:
    before = loss_curves(make_results()["history"])
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "svg.fonttype": "path"}):
        assert loss_curves(make_results()["history"]) == before
    assert "2026" not in str(before)


def test_groups_differ_in_lightness() -> None:
    def lightness(colour: str) -> float:
        red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    dark, middle, light = (lightness(colour) for colour in GROUP_COLOURS.values())
    assert middle - dark > 40
    assert light - middle > 40
