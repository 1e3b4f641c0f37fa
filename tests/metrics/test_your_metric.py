"""A metric from outside the package, as docs/your_metric.md shows it."""

import shutil
import sys
from pathlib import Path

import pytest
from command import fails, results
from pages import write_files

from longtail.cli.main import main

FIT = ["fit", "--recipe", "digits_lt/ce", "--epochs", "2"]


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

    found = results(Path("run"))
    assert found["words"]["rarest"]["label"] == "Rarest classes"
    for evaluation in found["evaluations"]:
        accuracy = evaluation["per_class"]["accuracy"]
        rarest = sorted(range(10), key=found["train_counts"].__getitem__)[:3]
        assert evaluation["metrics"]["rarest"] == pytest.approx(sum(accuracy[c] for c in rarest) / 3, abs=1e-6)
    scores = [epoch["val"]["rarest"] for epoch in found["history"]]
    assert found["best_epoch"] == 1 + scores.index(max(scores))

    shutil.copytree("run", "other")
    for command in (["report", "run", "--output", "page.html"], ["compare", "run", "other", "--output", "page.html"]):
        assert main(command) == 0
        page = Path("page.html").read_text()
        assert "Rarest classes" in page
        assert "mean accuracy of the classes with fewest training images" in page
        assert "As recorded" not in page
    assert "Rarest classes" in capsys.readouterr().out

    mine = tmp_path / "other_metrics.py"
    text = Path("my_metrics.py").read_text()
    mine.write_text(text.replace('short="rarest"', "better=0"))
    unknown = fails(
        capsys, *FIT, "--model.metrics", "[other_metrics.RarestClasses]", "--monitor", "rarest", "--run", "no"
    )
    assert 'which way is better is not known of "rarest": choose from balanced_accuracy, top1' in unknown
    (tmp_path / "taken.py").write_text(text.replace('name = "rarest"', 'name = "top1"'))
    taken = fails(capsys, *FIT, "--model.metrics", "[taken.RarestClasses]", "--run", "no")
    assert "there is a metric top1 already" in taken
    assert not Path("no").exists()
