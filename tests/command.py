"""What the tests of the command share."""

import json
from pathlib import Path
from typing import Any

import pytest

from longtail.cli import main


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
