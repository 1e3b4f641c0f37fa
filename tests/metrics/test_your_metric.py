"""A metric from outside the package, as docs/your_metric.md shows it."""

import shutil
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from command import FIT_DIGITS, fails, results
from jsonargparse import ArgumentError, ArgumentParser
from pages import write_files
from torch import Tensor

import longtail
from longtail.cli.main import main
from longtail.errors import InputError
from longtail.figures import METRICS, Metric
from longtail.metrics import detection, long_tail, multi_label, segmentation
from longtail.metrics.class_metric import ClassMetric, by_name, measure
from longtail.metrics.long_tail import LongTailMetrics
from longtail.metrics.segmentation import PixelConfusion
from longtail.tasks.refusals import explain

FIT = [*FIT_DIGITS, "--epochs", "2"]


def test_it_is_measured_monitored_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert write_files("your_metric.md", tmp_path) == ["my_metrics.py"]
    metrics = ["--model.metrics", "[my_metrics.RarestClasses]"]
    assert main([*FIT, *metrics, "--monitor", "rarest", "--run", "run"]) == 0
    out = capsys.readouterr()
    assert "rarest" in out.out + out.err, "in the line of an epoch"

    content = results(Path("run"))
    assert content["words"]["rarest"]["label"] == "Rarest classes"
    for evaluation in content["evaluations"]:
        accuracy = evaluation["per_class"]["accuracy"]
        rarest = sorted(range(10), key=content["train_counts"].__getitem__)[:3]
        assert evaluation["metrics"]["rarest"] == pytest.approx(sum(accuracy[c] for c in rarest) / 3, abs=1e-6)
    scores = [epoch["val"]["rarest"] for epoch in content["history"]]
    assert content["best_epoch"] == 1 + scores.index(max(scores))

    shutil.copytree("run", "other")
    for command in (["report", "run", "--output", "page.html"], ["compare", "run", "other", "--output", "page.html"]):
        assert main(command) == 0
        page = Path("page.html").read_text()
        assert "Rarest classes" in page
        assert "mean accuracy of the classes with fewest training images" in page
        assert "As recorded" not in page
    assert "Rarest classes" in capsys.readouterr().out

    path = tmp_path / "other_metrics.py"
    text = Path("my_metrics.py").read_text()
    path.write_text(text.replace('short="rarest"', "better=0"))
    unknown = fails(
        capsys, *FIT, "--model.metrics", "[other_metrics.RarestClasses]", "--monitor", "rarest", "--run", "no"
    )
    assert 'which way is better is not known of "rarest": choose from balanced_accuracy, top1' in unknown
    (tmp_path / "taken.py").write_text(text.replace('name = "rarest"', 'name = "top1"'))
    line = fails(capsys, *FIT, "--model.metrics", "[taken.RarestClasses]", "--run", "no")
    assert "there is a metric top1 already" in line
    assert not Path("no").exists()


def test_a_metric_of_the_package_is_two_files() -> None:
    """What computes it names it, as the page has it, and nobody else does."""
    logits, labels = torch.tensor([[2.0, 1], [0, 1], [1, 0]]), torch.tensor([0, 1, 1])
    images, pixels, counts = LongTailMetrics([5, 1]), PixelConfusion([5, 1], 3, 2), [5, 1]
    images.update(logits, labels)
    pixels.update(labels[None], labels[None])
    of_labels = multi_label.label_figures(logits, torch.eye(2)[labels], torch.zeros(2))
    assert {*images.compute()[0]} == {*long_tail.SCALARS}
    assert {*pixels.compute()[0]} == {*segmentation.SCALARS}
    assert {*multi_label.label_scalars(of_labels, counts)} == {*multi_label.SCALARS}
    assert {*detection.FIGURES.values()} < {field.name for field in fields(detection.AveragePrecision)}
    shapes = {f"{shape}_{name}" for shape in ("box", "mask") for name in detection.FIGURES}
    assert {*long_tail.SCALARS, *segmentation.SCALARS, *multi_label.SCALARS, *shapes} <= METRICS.keys()
    package = Path(longtail.__file__).parent
    texts = {file.relative_to(package).as_posix(): file.read_text() for file in package.rglob("*.py")}
    for name, file in (("frequency_weighted_iou", "segmentation"), ("mean_ap_few", "multi_label")):
        assert {file for file, text in texts.items() if f'"{name}"' in text} == {f"metrics/{file}.py", "figures.py"}


class Best(ClassMetric):
    name = "best"
    words = Metric("Best class")

    def __call__(self, per_class: Mapping[str, Tensor]) -> Tensor:
        return per_class["accuracy"].amax()


class Wordless(Best):
    words = "best"  # type: ignore[assignment]


class Nameless(ClassMetric):
    words = Metric("Nameless")

    def __call__(self, per_class: Mapping[str, Tensor]) -> Tensor:
        return per_class["accuracy"]


def test_metrics_that_cannot_be_shown_are_one_line() -> None:
    for metric in (Wordless(), Nameless()):
        with pytest.raises(InputError, match=f"{type(metric).__name__} does not say what it is called"):
            by_name([metric], ())
    with pytest.raises(InputError, match="there is a metric best already"):
        by_name([Best(), Best()], ())
    figures = {"accuracy": torch.tensor([0.5, 1.0])}
    assert measure(by_name([Best()], ("top1",)), figures) == {"best": 1}
    with pytest.raises(InputError, match=r"the metric wide gives numbers of shape \(2,\): let it give one"):
        measure({"wide": Nameless()}, figures)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("[mine.Nope]", 'there is no class "mine.Nope"; choose from Best'),
        ("[mine.Other]", "mine.Other is no ClassMetric; choose from Best"),
        ("[Nope]", 'there is no class "Nope"; derive a class from longtail.metrics.ClassMetric'),
        ("[nowhere.Best]", "the configuration needs nowhere, which is not there"),
        ("mine.Best", r'--metrics is a list: give "\[mine.Best\]"'),
    ],
)
def test_a_path_that_names_no_metric_is_one_line(path: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("mine")
    vars(module).update(Best=Best, Other=dict, ClassMetric=ClassMetric)
    monkeypatch.setitem(sys.modules, "mine", module)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--metrics", type=Sequence[ClassMetric] | None)
    with pytest.raises(ArgumentError) as error:
        parser.parse_args(["--metrics", path])
    with pytest.raises(InputError, match=message):
        raise InputError(explain(str(error.value)))
