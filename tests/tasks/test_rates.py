"""What is said of a learning rate."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from command import FIT_DIGITS, fails

from longtail.cli.main import main
from longtail.errors import InputError
from longtail.tasks.rates import about_rate, check_optimizer

SGD, ADAMW = torch.optim.SGD, torch.optim.AdamW


@pytest.mark.parametrize(
    ("optimizer", "rate", "choice", "message"),
    [
        (ADAMW, 0.05, False, "that is a rate for SGD; give --lr 0.001 or less"),
        (torch.optim.NAdam, 0.1, True, "NAdam at a rate of 0.1 .*: that is a rate for SGD"),
        (ADAMW, 2e-4, True, "^AdamW at a rate of 0.0002 changes each weight by about 0.0002 a step"),
        (SGD, 2e-4, False, "SGD at a rate of 0.0002 .*that is a rate for AdamW"),
        (ADAMW, 2e-4, False, None),
        (SGD, 0.1, True, None),
        (SGD, 1e-3, False, None),
        (torch.optim.RMSprop, 1e-4, True, None),
    ],
)
def test_a_rate_is_told_where_it_is_chosen_or_that_of_another(
    optimizer: Any, rate: float, choice: bool, message: str | None
) -> None:
    random = torch.get_rng_state()
    line = about_rate(partial(optimizer, lr=rate), choice)
    assert torch.equal(torch.get_rng_state(), random)
    if message is None:
        assert line is None
    else:
        assert line is not None
        assert re.search(message, line)


def test_a_step_of_adamw_is_of_the_size_of_its_rate() -> None:
    """What the line claims, by torch's own optimizer: gradients of any size, the same step."""
    for gradient in (1e-4, 1.0, 1e4):
        weight = torch.nn.Parameter(torch.zeros(1))
        optimizer = ADAMW([weight], lr=0.01, weight_decay=0.0)
        weight.grad = torch.full((1,), gradient)
        optimizer.step()
        assert weight.item() == pytest.approx(-0.01, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--lr", "-1"], "Invalid learning rate: -1.0"),
        (["--model.optimizer.momentum", "-0.5"], "Invalid momentum value: -0.5"),
        (["--model.optimizer", "torch.optim.SparseAdam"], "SparseAdam does not support dense gradients"),
        (["--model.optimizer", "torch.optim.LBFGS"], "view size is not compatible"),  # with weights in channels_last
        (["--model.optimizer", "torch.optim.Adam", "--model.optimizer.betas", "[1.5, 2]"], "Invalid beta"),
    ],
)
def test_an_optimizer_that_cannot_be_used_is_refused(
    options: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = fails(capsys, *FIT_DIGITS, *options, "--run", str(tmp_path / "run"))
    assert f"the optimizer cannot be used here: {reason}" in line
    assert line.rstrip().endswith("another one by --model.optimizer")
    assert not (tmp_path / "run").exists()


def test_an_optimizer_for_matrices_alone_is_refused_where_there_are_others() -> None:
    class Matrices(torch.optim.SGD):
        def __init__(self, parameters: Any) -> None:
            super().__init__(parameters)
            if any(parameter.ndim != 2 for group in self.param_groups for parameter in group["params"]):
                raise ValueError("only matrices")

    check_optimizer(Matrices, torch.nn.Linear(4, 2, bias=False))
    with pytest.raises(InputError, match="cannot be used here: only matrices"):
        check_optimizer(Matrices, torch.nn.Linear(4, 2))
    layer = torch.nn.Linear(4, 2)
    layer.bias.requires_grad_(False)
    check_optimizer(Matrices, layer)
    check_optimizer(Matrices, torch.nn.Identity())


def test_a_recipe_for_sgd_with_adamw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--model.optimizer", "torch.optim.AdamW", "--lr", "0.1", "--trainer.limit_train_batches", "1"]
    options += ["--epochs", "1", "--trainer.limit_val_batches", "0", "--trainer.limit_test_batches", "0"]
    assert main([*FIT_DIGITS, "--run", str(tmp_path / "r"), *options]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("AdamW")]
    assert len(lines) == 1
    assert lines[0].endswith("that is a rate for SGD; give --lr 0.001 or less")


def test_a_batch_of_one_image_is_no_statistic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "r"
    line = fails(capsys, "fit", "--recipe", "digits_lt/ce", "--run", str(run), "--batch-size", "1")
    assert line.endswith("this network normalises over the images of a step: give --batch-size 2 or more")
    line = fails(capsys, "fit", "--recipe", "digits_lt/ce", "--run", str(run), "--batch-size", "1000")
    assert "batch_size 1000 is larger than the training set of 294 images: give --batch-size 147 or less" in line
    assert not run.exists()
