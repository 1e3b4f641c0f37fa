"""What a run writes down about itself."""

import json
from pathlib import Path

from longtail.cli.main import main


def test_an_epoch_that_is_not_validated_has_no_figures(tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--epochs", "3", "--trainer.check_val_every_n_epoch", "2"]
    assert main(["fit", "--recipe", "digits_lt/ce", "--backbone", "resnet8_cifar", "--run", str(run), *options]) == 0
    history = json.loads((run / "results.json").read_text())["history"]
    assert [entry["val"] is not None for entry in history] == [False, True, False]
    assert [entry["class_accuracy"] is not None for entry in history] == [False, True, False]
