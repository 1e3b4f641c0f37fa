"""What a run writes down about itself."""

import json
from pathlib import Path

import pytest
from command import FIT_DIGITS

from longtail.cli.main import main


def test_an_epoch_that_is_not_validated_has_no_figures(tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--epochs", "3", "--trainer.check_val_every_n_epoch", "2"]
    assert main([*FIT_DIGITS, "--run", str(run), *options]) == 0
    history = json.loads((run / "results.json").read_text())["history"]
    assert [entry["val"] is not None for entry in history] == [False, True, False]
    assert [entry["class_accuracy"] is not None for entry in history] == [False, True, False]


def test_the_best_epoch_of_averaged_weights_is_measured_by_its_own(tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--epochs", "2", "--ema", "0.9", "--monitor", "worst_class", "--precision", "32-true"]
    assert main([*FIT_DIGITS, "--run", str(run), *options]) == 0
    results = json.loads((run / "results.json").read_text())
    assert results["best_epoch"] == 1
    for evaluation in results["evaluations"]:
        if evaluation["split"] == "val":
            figures = results["history"][evaluation["epoch"] - 1]["val"]
            for name, value in evaluation["metrics"].items():
                assert figures[name] == pytest.approx(value, abs=1e-5, nan_ok=True), name
