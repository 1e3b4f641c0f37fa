"""The page about one run."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from longtail.errors import InputError
from longtail.reports import html
from longtail.reports.report import headline, report_page, write_report
from longtail.reports.results import Results
from longtail.writing import locked

from .sample import make_results, write_run


class Reader(HTMLParser):
    """Collects the elements, the addresses and the table rows of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.addresses += [value or "" for key, value in attrs if key in ("src", "href", "xlink:href")]
        self.handlers += [key for key, _ in attrs if key.startswith("on")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"th", "td"} & set(self.open):
            self.rows[-1][-1] += data


def section(text: str, title: str) -> str:
    """Return the section of a page under a title."""
    return text.split(f"<h2>{title}</h2>")[1].split("</section>")[0]


def fixed() -> Results:
    """Return results with numbers to look for."""
    results = make_results()
    last = results["evaluations"][1]
    last["metrics"] |= {"top1": 0.5149, "balanced_accuracy": 0.5, "few": 0.2, "many": 0.7, "medium": None}
    last["per_class"]["accuracy"] = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.05, 0.25, None]
    return results


def test_headline_in_plain_words() -> None:
    assert headline(fixed()) == (
        "Of 1,000 test images, 51.5% are recognised; with every class counting the same it is 50.0%, and on the 3 rare "
        "classes (fewer than 20 training images) it is 20.0%."
    )
    results = fixed()
    results["train_counts"] = [50] * 10
    assert headline(results).endswith("and no class has fewer than 20 training images.")


def test_metrics_show_last_beside_best() -> None:
    rows = Reader(section(report_page(fixed()), "Metrics")).rows
    assert rows[0] == ["", "test, last (epoch 40)", "test, best (epoch 37)"]
    table = {row[0].split("\n")[0]: row[1:] for row in rows}
    accuracy = next(values for name, values in table.items() if name.startswith("Accuracy"))
    assert accuracy[0] == "51.5%"
    assert next(values for name, values in table.items() if name.startswith("Medium-shot"))[0] == "–"  # noqa: RUF001
    assert next(values for name, values in table.items() if name.startswith("made_up_score")) == ["12.35", "12.35"]


def test_every_section_is_there() -> None:
    text = report_page(fixed())
    assert re.findall(r"<h2>(.*?)</h2>", text) == [
        "Metrics",
        "Training images and accuracy",
        "Training",
        "Difficulty and frequency",
        "Most confused pairs",
        "Classes that need help most",
        "Every class",
        "About the run",
    ]
    assert text.count("<svg") == 5


def test_weakest_class_comes_first_with_its_mistakes() -> None:
    text = section(report_page(fixed()), "Classes that need help most")
    cards = text.split("<article")[1:]
    assert "<h3>class 7</h3>" in cards[0]
    assert "5.0% of 100 images recognised; 14 training images (few)." in cards[0]
    assert "Most often taken for class 8 (33)." in cards[0]
    assert cards[0].count('<img src="data:image/png;base64,') == 4
    assert "class 3, 90.0% sure" in cards[0]
    assert "<h3>class 8</h3>" in cards[1]
    assert "<h3>class 0</h3>" not in text  # nothing to help


def test_confused_pairs_and_classes() -> None:
    text = report_page(fixed())
    assert Reader(section(text, "Most confused pairs")).rows[1] == ["class 0", "class 1", "40", "40.0%"]
    rows = Reader(section(text, "Every class")).rows
    assert rows[0] == ["Class", "Group", "Training images", "Test images", "Accuracy", "Precision"]
    assert rows[1] == ["class 0", "many", "500", "100", "100.0%", "–"]  # noqa: RUF001
    assert rows[10] == ["class 9", "few", "5", "0", "–", "50.0%"]  # noqa: RUF001


def test_difficulty_in_words() -> None:
    text = section(report_page(fixed()), "Difficulty and frequency")
    assert (
        "At epoch 40 the rarer a class, the harder it is, almost without exception (rank correlation of difficulty "
        "with rarity +1.00); it was +1.00 at epoch 2 and +1.00 at epoch 20."
    ) in text
    assert "No few-shot class is easier than the average many-shot class." in text
    assert "No many-shot class is harder than the average few-shot class." in text


def test_difficulty_names_the_exceptions() -> None:
    results = fixed()
    results["classes"][7] = "<b>"
    results["history"][-1]["class_accuracy"] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.99, None, 0.5]
    text = section(report_page(results), "Difficulty and frequency")
    assert "At epoch 40 the rare classes are rather the easy ones (rank correlation of difficulty with rarity" in text
    assert (
        "Few-shot, but easier than the average many-shot class: &lt;b&gt; (14 training images, difficulty 1.0%), "
        "class 9 (5 training images, difficulty 50.0%). "
        "Many-shot, but harder than the average few-shot class: class 0 (500 training images, difficulty 90.0%), "
        "class 1 (300 training images, difficulty 80.0%), class 2 (180 training images, difficulty 70.0%)."
    ) in text


@pytest.mark.parametrize("of_epoch", [None, [None] * 10, "absent"])
def test_without_validation_there_is_no_difficulty(of_epoch: list[None] | str | None) -> None:
    results = fixed()
    for epoch in results["history"]:
        epoch["class_accuracy"] = of_epoch  # type: ignore[typeddict-item]
        if of_epoch == "absent":
            del epoch["class_accuracy"]  # type: ignore[misc]
    text = report_page(results)
    assert "Difficulty and frequency" not in text
    assert text.count("<svg") == 4


def test_facts_and_configuration() -> None:
    text = section(report_page(fixed()), "About the run")
    for fact in ("13 min 32 s", "512.0 images per second", "464,154", "torch 2.6", "2 threads", "Some CPU", "32-true"):
        assert fact in text
    assert "<pre>seed: 0\nmodel:\n  name: resnet32\nrun: runs/bcl\nnote: a   &lt; b &amp; c</pre>" in text


@pytest.mark.parametrize("classes", [10, 1000])
def test_nothing_from_outside_becomes_markup(tmp_path: Path, classes: int) -> None:
    results = make_results(classes, hostile=True, name="<img src=x onerror=alert(1)>")
    attack = '"><script>alert(2)</script>'
    results["config"] = results["status"] = results["started"] = results["data"]["source"] = attack
    results["hardware"]["name"] = results["versions"][attack] = attack
    results["evaluations"][1]["metrics"][attack] = 0.5
    results["evaluations"][1]["checkpoint"] = attack
    results["history"][0]["train"][attack] = 1.0
    text = write_report(write_run(tmp_path, results)).read_text(encoding="utf-8")
    reader = Reader(text)
    assert reader.open == []
    assert reader.tags.count("script") == 1
    assert not reader.handlers
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in reader.addresses)
    assert "\x1b" not in text


def test_only_pictures_inside_the_page_are_shown() -> None:
    for source in ("https://example.org/x.png", "data:image/svg+xml;base64,AAAA", 'data:image/png;base64,A" onload="x'):
        assert "<img" not in html.image(source, "caption")
    assert '<img src="data:image/png;base64,AAAA"' in html.image("data:image/png;base64,AAAA", "caption")


def test_run_that_is_still_going(tmp_path: Path) -> None:
    results = make_results()
    results |= {"evaluations": [], "status": "running", "history": results["history"][:3], "best_epoch": None}
    run = write_run(tmp_path, results)
    with locked(run):
        text = write_report(run).read_text(encoding="utf-8")
    assert "This run has not been evaluated yet: it is running, 3 of 40 epochs done." in text
    assert "yet: it is interrupted, 3 of 40 epochs done." in write_report(run).read_text(encoding="utf-8")
    assert "<h2>Metrics</h2>" not in text
    assert text.count("<svg") == 4


def test_run_that_has_not_started() -> None:
    results = make_results()
    results |= {"evaluations": [], "status": "running", "history": [], "seconds": None, "images_per_second": None}
    results["hardware"] = {}  # type: ignore[typeddict-item]
    assert report_page(results).count("<svg") == 1


def test_validation_numbers_are_not_passed_off_as_test_numbers() -> None:
    results = fixed()
    for evaluation in results["evaluations"]:
        evaluation["split"] = "val"
    text = report_page(results)
    assert "Of 1,000 validation images" in text
    assert "Nothing was measured on test images" in text
    assert "its validation numbers flatter it" in text


def test_output_and_errors(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", fixed())
    assert write_report(run) == run / "report.html"
    assert write_report(run, tmp_path / "page.html").is_file()
    with pytest.raises(InputError, match=r"gone/page\.html: cannot be written"):
        write_report(run, tmp_path / "gone" / "page.html")


def test_folder_and_page_may_be_given_as_text(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", make_results())
    text = write_report(folder).read_text(encoding="utf-8")
    assert write_report(str(folder)) == folder / "report.html"
    assert write_report(str(folder), str(tmp_path / "page.html")) == tmp_path / "page.html"
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == text
