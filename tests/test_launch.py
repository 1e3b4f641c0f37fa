"""What launchers say in the environment, and what their processes agree on."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from longtail import launch
from longtail.cli import agreement
from longtail.cli.agreement import agreed, trainer_options
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
def as_rank(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int, Callable[[Any], Any]], Any]:
    """Calls ``agreed`` in the place of a process."""
    store, place = Store(), threading.local()
    monkeypatch.setattr(meeting, "meet", lambda here, patience: store)
    monkeypatch.setattr(agreement, "launch", lambda: place.launch)

    def call(rank: int, restarts: int, decide: Callable[[Any], Any]) -> Any:
        place.launch = Launch("torchrun", rank, 2, 2, restarts)
        return agreed("run", decide)

    return call


def test_the_first_process_decides_for_all(as_rank: Callable[[int, int, Callable[[Any], Any]], Any]) -> None:
    def never(before: Any) -> Any:
        raise AssertionError("only the first decides")

    told: list[Any] = []
    other = threading.Thread(target=lambda: told.append(as_rank(1, 0, never)))
    other.start()
    assert as_rank(0, 0, lambda before: [before, "runs/a"]) == [None, "runs/a"]
    other.join()
    assert told == [[None, "runs/a"]]
    assert as_rank(0, 1, lambda before: before) == [None, "runs/a"], "after a restart it knows what was decided"
    assert as_rank(1, 1, never) == [None, "runs/a"]


def test_where_the_first_fails_the_others_do(as_rank: Callable[[int, int, Callable[[Any], Any]], Any]) -> None:
    def fails(before: Any) -> Any:
        raise InputError("the folder is used")

    with pytest.raises(InputError, match="the folder is used"):
        as_rank(0, 0, fails)
    with pytest.raises(InputError, match="the first process could not go on"):
        as_rank(1, 0, fails)
