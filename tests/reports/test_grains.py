"""The pages of runs that are not image classification."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from longtail.errors import InputError
from longtail.reports.compare import comparison_text, write_columns
from longtail.reports.grains import BOXES, IMAGES, MASKS, PIXELS, Grain, grain_of
from longtail.reports.report import headline, report_page, write_report
from longtail.reports.results import Results, ordered_evaluations
from longtail.reports.seeds import load_columns
from longtail.reports.terminal import evaluation_table
from longtail.reports.wording import METRICS, group_ranges, inside, with_prefix

from .plots.test_plots import texts
from .sample import make_detection, make_results, make_segmentation, without_figures, write_run
from .test_compare import render
from .test_report import Reader, section

boxes = partial(make_detection, masks=False)
every_task = pytest.mark.parametrize("make", [make_results, make_detection, boxes, make_segmentation])
other_tasks = pytest.mark.parametrize("make", [make_detection, boxes, make_segmentation])

Maker = Callable[..., Results]


def words(text: str) -> set[str]:
    """Return what is written in the drawings of a page or a part of it."""
    return {word for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL) for word in texts(svg)}


@pytest.mark.parametrize("grain", [IMAGES, BOXES, MASKS, PIXELS])
def test_every_metric_of_a_grain_has_words(grain: Grain) -> None:
    assert {*grain.bars, *grain.curves} <= METRICS.keys()
    assert grain.key in grain.columns


def test_masks_count_where_all_runs_have_them() -> None:
    assert grain_of(make_results()) == IMAGES
    assert grain_of(make_detection(), make_detection()) == MASKS
    assert grain_of(boxes()) == BOXES
    assert grain_of(make_detection(), boxes()) == BOXES
    assert grain_of({**make_detection(), "evaluations": []}) == MASKS
    assert grain_of({**boxes(), "evaluations": []}) == BOXES
    assert grain_of({**make_detection(), "evaluations": [], "history": []}) == MASKS


@pytest.mark.parametrize("change", [{"nonsense": "x"}, {"groups": {"many": "many"}}])
def test_a_grain_that_cannot_be_read_is_one_line(change: dict[str, object]) -> None:
    results = make_results()
    results["grain"] |= change
    with pytest.raises(InputError, match="the results of bcl do not say how classes are measured"):
        grain_of(results)


def test_headlines() -> None:
    results = make_detection()
    results["evaluations"][1]["metrics"] |= {"mask_ap": 0.243, "mask_ap_few": 0.121, "box_ap": 0.9}
    assert headline(results) == (
        "On 1,000 test images the mask AP is 24.3%, with every class counting the same, and on the 2 rare classes "
        "(fewer than 11 training images) it is 12.1%."
    )
    assert headline(boxes()).startswith("On 1,000 test images the box AP is ")
    results = make_segmentation()
    results["evaluations"][1]["metrics"] |= {"pixel_accuracy": 0.8, "miou": 0.4, "iou_few": 0.1}
    assert headline(results) == (
        "On 1,000 test images 80.0% of the pixels are recognised; with every class counting the same the IoU is 40.0%, "
        "and on the 3 rare classes (fewer than 2,000,000 training pixels) it is 10.0%."
    )
    results["train_counts"] = [5_000_000] * 10
    assert headline(results).endswith("and no class has fewer than 2,000,000 training pixels.")


@pytest.mark.parametrize("masks", [True, False])
def test_report_of_a_detection_run(masks: bool) -> None:
    text = report_page(make_detection(masks=masks))
    figure, lower = ("Mask AP", "mask AP") if masks else ("Box AP", "box AP")
    assert re.findall(r"<h2>(.*?)</h2>", text) == [
        "Metrics",
        f"Training images and {lower}",
        "Training",
        "Difficulty and frequency",
        "Classes that need help most",
        "Every class",
        "About the run",
    ]
    metrics = section(text, "Metrics")
    names = [row[0].split("\n")[0] for row in Reader(metrics).rows]
    assert any(name.startswith(f"Few-shot {lower}") for name in names)
    assert ("Mask AP" in metrics) == masks
    assert (
        f"Mean {lower} of the classes in each group (many (LVIS: frequent): more than 100, medium (LVIS: common): 11 "
        "to 100, few (LVIS: rare): fewer than 11 training images), and of all classes."
    ) in metrics
    assert {"many", "(frequent)", "(common)", "(rare)", "mean", f"{lower} (%)"} <= words(metrics)
    assert {"training images", f"{lower} (%)"} <= words(section(text, f"Training images and {lower}"))
    curves = words(section(text, "Training"))
    assert {"loss", "loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"} <= curves
    assert {lower, f"{lower}, many", f"{lower}, few", "validation AP (%)"} <= curves
    assert ("loss_mask" in curves) == masks
    assert "AP over the validation images." in text
    assert (
        "1 \N{MINUS SIGN} the accuracy of the box classifier on matched proposals, against its number of training "
        "images"
    ) in section(text, "Difficulty and frequency")
    rows = Reader(section(text, "Every class")).rows
    shared = ["Class", "Group", "Training images", "Training instances", "Test images", "Test instances"]
    figures = ["Mask AP", "Mask AP50", "Box AP", "Box AP50"] if masks else ["Box AP", "Box AP50"]
    assert rows[0] == [*shared, *figures, "Box classifier accuracy"]
    assert rows[1][:6] == ["class 0", "many", "500", "1,500", "100", "200"]
    assert rows[10][-1] == rows[10][-2] == "\N{EN DASH}"
    assert "Training instances" in section(text, "About the run")
    assert f"{figure} " in section(text, "Classes that need help most")
    assert "accuracy (%)" not in words(text)


def test_weak_classes_of_a_detection_run_show_truth_beside_prediction() -> None:
    results = make_detection()
    evaluation = results["evaluations"][1]
    evaluation["per_class"]["mask_ap"] = [*[1.0] * 7, 0.051, 0.2, None]
    evaluation["examples"][3 * 7]["predicted"] = "https://example.org/x.png"
    text = section(report_page(results), "Classes that need help most")
    cards = text.split("<article")[1:]
    assert [re.findall(r"<h3>(.*?)</h3>", card) for card in cards] == [["class 7"], ["class 8"]]
    assert "Mask AP 5.1% on 100 images; 14 training images (medium)." in cards[0]
    assert re.findall(r"<figcaption>(.*?)</figcaption>", cards[0]) == [
        "Truth: 000000.jpg",
        "Predicted",
        "Truth: 000001.jpg",
        "Predicted",
    ]
    assert [card.count('<img src="data:image/jpeg;base64,') for card in cards] == [3, 4]
    assert cards[0].count("no picture") == 1
    assert "recognised" not in text


def test_report_of_a_segmentation_run() -> None:
    text = report_page(make_segmentation())
    assert re.findall(r"<h2>(.*?)</h2>", text) == [
        "Metrics",
        "Training pixels and IoU",
        "Training",
        "Difficulty and frequency",
        "Most confused pairs",
        "Classes that need help most",
        "Every class",
        "About the run",
    ]
    assert (
        "many: more than 10,000,000, medium: 2,000,000 to 10,000,000, few: fewer than 2,000,000 training pixels" in text
    )
    metrics = section(text, "Metrics")
    assert "the lowest IoU of any class" in metrics
    assert next(row[0] for row in Reader(metrics).rows[1:]).startswith("Mean IoU")
    assert {"training pixels", "IoU (%)", "1M", "many (> 10M)", "few (< 2M)"} <= words(
        section(text, "Training pixels and IoU")
    )
    assert {"mean", "many", "few", "validation IoU (%)"} <= words(section(text, "Training"))
    assert {"training pixels of the class", "10M"} <= words(section(text, "Difficulty and frequency"))
    rows = Reader(section(text, "Most confused pairs")).rows
    assert rows[0] == ["Class", "Taken for", "Pixels", "Share of the class"]
    assert rows[1] == ["class 0", "class 1", "40,000", "40.0%"]
    rows = Reader(section(text, "Every class")).rows
    assert rows[0] == ["Class", "Group", "Training pixels", "Test images", "Test pixels", "IoU", "Accuracy"]
    assert rows[1][:5] == ["class 0", "many", "50,001,500", "100", "100,000"]
    weak = section(text, "Classes that need help most")
    assert re.search(r"IoU [\d.]+% on 100 images; [\d,]+ training pixels \(\w+\)\.", weak)
    assert "Most often taken for class 8 (33,000)." in weak
    assert "5 to 500" not in text


@every_task
@pytest.mark.parametrize("classes", [1, 10])
def test_figures_that_are_all_undefined(tmp_path: Path, make: Maker, classes: int) -> None:
    folders = [write_run(tmp_path / name, without_figures(make(classes, name=name))) for name in ("a", "b")]
    assert Reader(write_report(folders[0]).read_text("utf-8")).open == []
    assert Reader(write_columns(load_columns(folders), tmp_path / "page.html").read_text("utf-8")).open == []
    results = without_figures(make(classes))
    assert render(evaluation_table(results, ordered_evaluations(results))).count("\N{EN DASH}") >= 10


@other_tasks
def test_runs_that_are_still_going(make: Maker) -> None:
    results = make()
    results |= {"evaluations": [], "status": "running", "history": results["history"][:3], "best_epoch": None}
    assert report_page(results).count("<svg") == 4
    results["history"] = []
    assert report_page(results).count("<svg") == 1


@other_tasks
def test_nothing_from_outside_becomes_markup(tmp_path: Path, make: Maker) -> None:
    attack = '"><script>alert(2)</script>{figure}'
    folders = []
    for name in (attack, "b"):
        results = make(50, hostile=True, name=name)
        results["accuracy_of"] = results["status"] = attack
        results["evaluations"][1]["metrics"][attack] = 0.5
        results["evaluations"][1]["split"] = attack
        for example in results["evaluations"][1]["examples"]:
            example |= {"name": attack, "truth": attack, "predicted": attack}
        folders.append(write_run(tmp_path / str(len(name)), results))
    for page in (write_report(folders[0]), write_columns(load_columns(folders), tmp_path / "page.html")):
        reader = Reader(page.read_text(encoding="utf-8"))
        assert reader.open == []
        assert reader.tags.count("script") == 1
        assert not reader.handlers
        assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in reader.addresses)


@pytest.mark.parametrize(
    ("make", "figure", "noun"),
    [(make_detection, "mask AP", "images"), (boxes, "box AP", "images"), (make_segmentation, "IoU", "pixels")],
)
def test_comparison_of_one_task(tmp_path: Path, make: Maker, figure: str, noun: str) -> None:
    first, second = make(name="a"), make(name="b", gain=0.1)
    second["recipe"] = "x"
    folders = [write_run(tmp_path / "a", first), write_run(tmp_path / "b", second)]
    text = write_columns(load_columns(folders), tmp_path / "page.html").read_text(encoding="utf-8")
    overall = "mean IoU" if figure == "IoU" else figure
    assert re.search(
        rf"b compared with a: {overall} [\d.]+% against [\d.]+% \(\+[\d.]+ points\); few-shot {figure} [\d.]+% against",
        text,
    )
    assert f"Mean {figure} of the classes in each group" in text
    changes = section(text, "b against a, class by class")
    assert f"Change in {figure} of each class against its number of training {noun};" in changes
    assert f"training {noun} of the class" in words(changes)
    assert Reader(section(text, "Every class")).rows[0] == [
        "Class",
        "Group",
        f"Training {noun}",
        "Images",
        "a",
        "b",
        "Change",
    ]
    label = next(metric.label for metric in METRICS.values() if inside(metric.label) == overall)
    assert label in render(comparison_text(folders))


def test_boxes_are_compared_where_a_run_has_no_masks(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / "a", make_detection(name="a")), write_run(tmp_path / "b", boxes(name="b"))]
    text = write_columns(load_columns(folders), tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Mean box AP of the classes in each group" in text
    rows = [row for row in Reader(section(text, "Metrics")).rows if row[0].startswith("Mask AP")]
    assert all(row[-2:] == ["\N{EN DASH}"] * 2 for row in rows)


@other_tasks
def test_runs_of_different_tasks_are_not_compared(tmp_path: Path, make: Maker) -> None:
    folders = [write_run(tmp_path / "a", make_results()), write_run(tmp_path / "b", make())]
    with pytest.raises(InputError) as error:
        write_columns(load_columns(folders), tmp_path / "page.html")
    assert str(error.value) == (
        f"{tmp_path}/a is a run of classification, {tmp_path}/b one of {make()['task']}; compare runs of one task"
    )


def test_terminal_shows_the_metrics_of_the_task() -> None:
    results = make_detection()
    lines = render(evaluation_table(results, ordered_evaluations(results))).splitlines()
    names = [line.split("│")[1].strip() for line in lines if line.startswith("│")]
    assert names == [
        *("Mask AP", "Mask AP50", "Mask AP75", "Many-shot mask AP", "Medium-shot mask AP", "Few-shot mask AP"),
        *("Mask AP of small objects", "Mask AP of mid-sized objects", "Mask AP of large objects"),
        *("Box AP", "Box AP50", "Box AP75", "Many-shot box AP", "Medium-shot box AP", "Few-shot box AP"),
        *("Box AP of small objects", "Box AP of mid-sized objects", "Box AP of large objects"),
        *("Box classifier accuracy", "made_up_score"),
    ]


@pytest.mark.parametrize(
    ("label", "phrase"),
    [("Mask AP", "mask AP"), ("IoU", "IoU"), ("Mean IoU", "mean IoU"), ("AP50", "AP50"), ("Accuracy", "accuracy")],
)
def test_labels_inside_a_sentence(label: str, phrase: str) -> None:
    assert inside(label) == phrase


def test_large_numbers_are_shown_briefly() -> None:
    assert [with_prefix(number) for number in (0, 1, 100, 1e3, 1e5, 1e6, 1e9)] == [
        "0",
        "1",
        "100",
        "1k",
        "100k",
        "1M",
        "1G",
    ]


def test_group_ranges_of_a_task() -> None:
    thresholds = make_results()["thresholds"]
    assert group_ranges(thresholds) == "many: more than 100, medium: 20 to 100, few: fewer than 20 training images"
    assert group_ranges(thresholds, PIXELS).endswith("fewer than 20 training pixels")
