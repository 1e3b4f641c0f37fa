"""What is said when one of several processes is gone, and who ends then."""

import subprocess
import sys
from pathlib import Path

SLEEPING = [sys.executable, "-c", "import time; time.sleep(100)"]
FIRST = f"""
import os, subprocess, time
from pathlib import Path
from longtail.tasks.processes import Processes

class Launcher:
    num_processes = 3
    procs = [subprocess.Popen({SLEEPING}) for _ in range(2)]

other, killed = Launcher.procs
print(other.pid, killed.pid, flush=True)
Processes(Path("runs/a"))._take_over(Launcher)
killed.kill()
time.sleep(100)
"""
WAITING = "from longtail.tasks.processes import *; Processes(Path('runs/a'))._wait_for_first(int(sys.argv[1]))"
OTHER = f"""
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", {WAITING!r}, str(os.getpid())])
"""


def execute(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, cwd=folder)


def is_there(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_killed_process_is_named_and_ends_the_others(tmp_path: Path) -> None:
    (tmp_path / "runs/a").mkdir(parents=True)
    (tmp_path / "runs/a/config.yaml").touch()
    process = execute(FIRST, tmp_path)
    survivor, victim = map(int, process.stdout.split())
    (line,) = process.stderr.splitlines()
    assert f"process 2 of the run (pid {victim}, counted from 0) was killed by SIGKILL" in line
    assert line.endswith("go on by: longtail fit --resume runs/a")
    assert process.returncode == 1
    assert not is_there(survivor)


def test_the_others_say_that_the_first_is_gone(tmp_path: Path) -> None:
    (line,) = execute(OTHER, tmp_path).stderr.splitlines()
    assert "process 0 of the run" in line
    assert line.endswith("give the command again")  # there is no folder of the run yet
