"""What the tests of the command share."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import two_processes

from longtail.cli.main import main
from longtail.tasks.base import Task


def results(run: Path) -> dict[str, Any]:
    """The results of a run."""
    content: dict[str, Any] = json.loads((run / "results.json").read_text())
    return content


def fails(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """Run a command that has to fail with exit code 2 and one line; return the line."""
    assert main(list(args)) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("longtail: error: ")]
    assert len(lines) == 1
    return lines[0]


FIT_DIGITS = ["fit", "--recipe", "digits_lt/ce", "--backbone", "resnet8_cifar"]  # a run of seconds, on images at hand
TWO_PROCESSES = ["--trainer.devices=2", "--trainer.accelerator=cpu", "--trainer.strategy=ddp"]


def in_its_own_process(*args: str, **environment: str) -> int:
    """The exit code of a command in a process of its own, with these variables."""
    command = [sys.executable, "-m", "longtail", *args]
    return subprocess.run(command, env={**os.environ, **environment}, timeout=600).returncode


def in_two_processes(folder: Path, *args: str, then: Sequence[str] = (), **environment: str) -> None:
    """Run a command as two processes of Lightning, forked and not started anew; they meet in the folder. Then another
    one as the same processes, which Lightning has no part in."""
    assert two_processes(partial(_one_of_two, args, then, environment), folder) == [0, 0]


def _one_of_two(args: Sequence[str], then: Sequence[str], environment: dict[str, str], rank: int) -> int:
    os.environ.update(environment, LOCAL_RANK=str(rank))  # by which Lightning tells a process which one it is
    return main([*args, *TWO_PROCESSES]) or (main([*then]) if then else 0)


@contextmanager
def stopping(task: type[Task], epoch: int, batch: int) -> Iterator[None]:
    """Training is interrupted by a signal in a step, as by Ctrl-C."""
    step = task.training_step

    def interrupted(self: Any, values: dict[str, Any], batch_idx: int) -> Any:
        if (self.trainer.current_epoch, batch_idx) == (epoch, batch):
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, values, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "training_step", interrupted)
        yield


def assert_same_weights(first: Path, second: Path, name: str = "last") -> None:
    """Two runs have the same state to the bit; nan, where nothing was known, equals nan."""
    weights, expected = (
        torch.load(run / f"{name}.ckpt", map_location="cpu", weights_only=True)["state_dict"] for run in (first, second)
    )
    for key, value in expected.items():
        torch.testing.assert_close(weights[key], value, rtol=0, atol=0, equal_nan=True, msg=key)


def assert_same_epochs(first: Path, second: Path) -> None:
    """Two runs have logged the same in every epoch, but for the time that it took."""
    epochs, expected = (
        [{key: value for key, value in entry.items() if "second" not in key} for entry in results(run)["history"]]
        for run in (first, second)
    )
    assert epochs == expected
