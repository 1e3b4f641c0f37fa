"""A loss from outside the package is one file: that of docs/your_loss.md, as it stands there."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import longtail
from longtail.cli.main import main
from longtail.losses.base import Loss
from longtail.methods.plain import Plain
from longtail.models.backbones import Backbone
from longtail.reports.results import load_results

PAGE = Path(longtail.__file__).parent.parent / "docs" / "your_loss.md"
COUNTS = [50, 10, 2]


@pytest.fixture
def loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forget: Callable[[str], None]) -> type[Loss]:
    """The class, in a folder that commands are started in."""
    block = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    (tmp_path / "my_losses.py").write_text(block[1].split("\n# Use it")[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    forget("my_losses")
    import my_losses  # type: ignore[import-not-found]

    kind: type[Loss] = my_losses.InverseFrequencyLoss
    return kind


FORMS: dict[str, Callable[[Any], Any]] = {
    "class": lambda loss: loss,
    "class with options": lambda loss: functools.partial(loss, power=1.0),
    "function": lambda loss: lambda class_counts: loss(class_counts),
    "object": lambda loss: loss(COUNTS),
}


@pytest.mark.parametrize("form", FORMS)
def test_plain_takes_it_in_every_form(loss: type[Loss], form: str) -> None:
    method = Plain(COUNTS, Backbone("resnet20_cifar"), loss=FORMS[form](loss))
    assert isinstance(method.loss, loss)
    torch.testing.assert_close(method.loss.class_weights, loss.from_counts(COUNTS).class_weights)


@pytest.mark.parametrize("choice", ["my_losses.InverseFrequencyLoss", {"power": 0.5}], ids=["class", "options"])
def test_a_recipe_trains_with_it(
    loss: type[Loss], choice: str | dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LONGTAIL_RUN", raising=False)
    of_recipe = (
        choice if isinstance(choice, str) else {"class_path": "my_losses.InverseFrequencyLoss", "init_args": choice}
    )
    recipe = {"about": "mine", "base": "digits_lt/ce"}
    model = {"init_args": {"method": {"init_args": {"loss": of_recipe}}}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**recipe, "model": model}), encoding="utf-8")
    assert main(["fit", "--recipe", "mine.yaml", "--epochs", "1", "--run", "run"]) == 0
    results = load_results(tmp_path / "run")
    assert results["status"] == "finished"
    assert "my_losses.InverseFrequencyLoss" in results["config"]
    assert results["history"][0]["train"]["loss"] is not None
