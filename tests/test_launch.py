"""What launchers say in the environment, and what their processes agree on."""

import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from command import assert_same_weights, in_two_processes, results
from processes import two_processes

from longtail import launch
from longtail.cli import agreement, run_folder
from longtail.cli.agreement import agreed, trainer_options
from longtail.cli.main import main
from longtail.cli.run_folder import agreed_folder
from longtail.errors import InputError
from longtail.launch import Launch
from longtail.tasks import meeting

TORCHRUN = {
    **{"TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_RESTART_COUNT": "2", "RANK": "5", "LOCAL_RANK": "1"},
    **{"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "GROUP_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "1"},
}
SLURM = {
    **{"SLURM_PROCID": "3", "SLURM_NTASKS": "6", "SLURM_JOB_NUM_NODES": "2", "SLURM_LOCALID": "0"},
    **{"SLURM_JOB_NAME": "train", "SLURM_JOB_ID": "1"},
}


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, Launch("", 0)),
        (TORCHRUN, Launch("torchrun", 5, 8, 4, 2)),
        (SLURM, Launch("slurm", 3, 6, 3)),
        ({**SLURM, "SLURM_JOB_NAME": "bash"}, Launch("", 0)),
        ({**SLURM, "SLURM_NTASKS": "1"}, Launch("", 0)),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2"}, Launch("lightning", 1)),
        ({"LOCAL_RANK": "0", "NODE_RANK": "0"}, Launch("lightning", 0)),
        ({"NODE_RANK": "1"}, Launch("", 1)),
    ],
    ids=["alone", "torchrun", "srun", "typed in a job", "one task", "by Lightning", "its first", "another machine"],
)
def test_a_process_knows_its_place(environment: dict[str, str], place: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launch.launch() == place
    assert launch.is_first() == (place.rank == 0)


def test_a_process_that_trains_alone_knows_of_no_other() -> None:
    assert launch.alone({**TORCHRUN, **SLURM, "NODE_RANK": "1", "HOME": "/", "RANKING": "x"}) == {
        "HOME": "/",
        "RANKING": "x",
    }


def test_what_was_started_is_told_to_the_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trainer_options([]) == []
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert trainer_options([]) == ["--trainer.devices=4", "--trainer.num_nodes=2"]
    assert trainer_options(["--trainer.devices=1"]) == ["--trainer.num_nodes=2"]


class Store:
    """That of a launcher, in one process."""

    def __init__(self) -> None:
        self.content: dict[str, str] = {}
        self.changed = threading.Condition()

    def set(self, key: str, value: str) -> None:
        with self.changed:
            self.content[key] = value
            self.changed.notify_all()

    def get(self, key: str) -> str:
        return self.content[key]

    def check(self, keys: list[str]) -> bool:
        return all(key in self.content for key in keys)

    def wait(self, keys: list[str], patience: object) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.check(keys), timeout=30)


@pytest.fixture
def as_rank(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], Any]], Any]:
    """Calls ``agreed`` in the place of a process."""
    store, place = Store(), threading.local()
    monkeypatch.setattr(meeting, "meet", lambda here, patience: store)
    monkeypatch.setattr(agreement, "launch", lambda: Launch("torchrun", place.rank, 2, 2))

    def call(rank: int, decide: Callable[[], Any]) -> Any:
        place.rank = rank
        return agreed("run", decide)

    return call


def test_the_first_process_decides_for_all(as_rank: Callable[[int, Callable[[], Any]], Any]) -> None:
    def never() -> Any:
        raise AssertionError("only the first decides")

    told: list[Any] = []
    other = threading.Thread(target=lambda: told.append(as_rank(1, never)))
    other.start()
    assert as_rank(0, lambda: ["runs/a", False]) == ["runs/a", False]
    other.join()
    assert told == [["runs/a", False]]


def test_where_the_first_fails_the_others_do(as_rank: Callable[[int, Callable[[], Any]], Any]) -> None:
    def fails() -> Any:
        raise InputError("the folder is used")

    with pytest.raises(InputError, match="the folder is used"):
        as_rank(0, fails)
    with pytest.raises(SystemExit) as left:
        as_rank(1, fails)
    assert left.value.code == 2


def test_processes_that_were_started_again_go_on_in_the_folder_of_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    restarted = Launch("torchrun", 0, 1, 1, restarts=1)
    assert agreed_folder(None, "digits_lt/ce", None) == (Path("runs/digits_lt-ce"), False)
    Path("runs/digits_lt-ce").mkdir(parents=True)
    assert agreed_folder(None, "digits_lt/ce", None) == (Path("runs/digits_lt-ce-2"), False)
    monkeypatch.setattr(run_folder, "launch", lambda: restarted)
    assert agreed_folder(None, "digits_lt/ce", None) == (Path("runs/digits_lt-ce-2"), False), "nothing was begun"
    Path("runs/digits_lt-ce/config.yaml").touch()
    assert agreed_folder(None, "digits_lt/ce", None) == (Path("runs/digits_lt-ce"), True)
    assert agreed_folder("runs/digits_lt-ce", None, None) == (Path("runs/digits_lt-ce"), True)


def torchrun(rank: int, port: int) -> dict[str, str]:
    """The environment of a process of torchrun, without an agent that serves the store."""
    place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    meeting_place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return {**place, **meeting_place, "TORCHELASTIC_RUN_ID": "one", "TORCHELASTIC_RESTART_COUNT": "0"}


def srun(rank: int, port: int) -> dict[str, str]:
    """The environment of a task of srun."""
    nodes = {"SLURM_JOB_NUM_NODES": "1", "SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_JOB_NODELIST": "127.0.0.1"}
    tasks = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}
    job = {"SLURM_JOB_NAME": "train", "SLURM_JOB_ID": str(port)}
    return {**nodes, **tasks, **job, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


FIT = ["fit", "--recipe", "digits_lt/ce", "--epochs", "1", "--precision", "32-true", "--trainer.accelerator", "cpu"]


def _fit(launcher: Callable[[int, int], dict[str, str]], port: int, folder: Path, rank: int) -> int:
    os.environ.update(launcher(rank, port))
    os.chdir(folder)
    return main([*FIT, "--trainer.strategy", "ddp"])


@pytest.mark.parametrize("launcher", [torchrun, srun])
def test_a_launcher_s_run_is_that_of_lightning(launcher: Callable[[int, int], dict[str, str]], tmp_path: Path) -> None:
    """Both processes name the folder, one decides and writes."""
    expected = tmp_path / "expected"
    in_two_processes(tmp_path, *FIT, LONGTAIL_RUN=str(expected))
    place = tmp_path / "place"
    place.mkdir()
    assert two_processes(partial(_fit, launcher, agreement._free_port(), place), place) == [0, 0]
    assert [run.name for run in (place / "runs").iterdir()] == ["digits_lt-ce"]
    assert_same_weights(place / "runs/digits_lt-ce", expected)
    assert results(place / "runs/digits_lt-ce")["hardware"]["processes"] == 2
    assert results(place / "runs/digits_lt-ce")["evaluations"] == results(expected)["evaluations"]
