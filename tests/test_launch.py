"""What launchers say in the environment, and what their processes agree on."""

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch.distributed as dist
from command import FIT_DIGITS, assert_same_epochs, assert_same_weights, in_two_processes, results
from PIL import Image
from processes import two_processes
from torch import Tensor
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from longtail import launch
from longtail.cli import agreement, run_folder
from longtail.cli.agreement import trainer_options
from longtail.cli.main import main
from longtail.cli.run_folder import agreed_folder
from longtail.data.images.base import ImageBatch
from longtail.errors import InputError
from longtail.launch import Launch
from longtail.tasks import meeting
from longtail.tasks.classification import Classification
from longtail.tasks.meeting import Meeting

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


def test_what_is_not_shared_the_first_process_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for rank, output in (("0", True), ("1", False)):
        for name, value in {**TORCHRUN, "RANK": rank}.items():
            monkeypatch.setenv(name, value)
        assert main(["recipes"]) == 0
        assert bool(capsys.readouterr().out) == output


def test_a_process_that_lightning_has_started_says_which_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for rank, prefix in (("1", f"process 1 on {socket.gethostname()}: "), ("0", "")):
        monkeypatch.setenv("LOCAL_RANK", rank)
        assert main(["report", "runs/none"]) == 2
        assert capsys.readouterr().err.startswith(f"longtail: error: {prefix}runs/none: ")


def test_what_was_started_is_told_to_the_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trainer_options([]) == []
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert trainer_options([]) == ["--trainer.devices=4", "--trainer.num_nodes=2"]
    assert trainer_options(["--trainer.devices=1"]) == ["--trainer.num_nodes=2"]


@pytest.fixture
def meetings(monkeypatch: pytest.MonkeyPatch) -> list[Meeting]:
    """Those of two processes, in this one."""
    monkeypatch.setattr(meeting, "MOMENT", 0.0)
    monkeypatch.setattr(meeting, "OFTEN", 0.01)
    store = dist.HashStore()
    return [Meeting(Launch("torchrun", rank, 2, 2), store) for rank in range(2)]


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    """What calls return at the same time, or what they raise."""
    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(call) for call in calls]
    return [future.exception() or future.result() for future in futures]


def fails() -> Any:
    raise InputError("the folder is used")


def test_the_first_process_decides_for_all(meetings: list[Meeting]) -> None:
    first, second = meetings
    for answer in (["teacher", True], ["run", False]):
        decide = partial(first.agreed, answer[0], lambda value=answer: value)
        assert in_threads(partial(second.agreed, answer[0], fails), decide) == [answer] * 2


def test_where_the_first_fails_the_others_end_without_a_word(meetings: list[Meeting]) -> None:
    first, second = meetings
    with pytest.raises(InputError, match="the folder is used"):
        first.agreed("run", fails)
    assert first.speaks(0)
    with pytest.raises(SystemExit) as error:
        second.agreed("run", fails)
    assert error.value.code == 2
    assert not second.speaks(0)
    assert second.has_failed()


def test_processes_that_have_come_to_different_matters_do_not_wait_for_each_other(meetings: list[Meeting]) -> None:
    first, second = meetings
    _, error = in_threads(
        lambda: first.agreed("teacher", lambda: None), lambda: second.compare({"runs longtail {}": "0.1"})
    )
    assert "give all processes the same command" in str(error)


def test_processes_that_differ_all_know_it(meetings: list[Meeting]) -> None:
    versions = ({"runs longtail {}": version} for version in ("0.4.0", "0.3.0"))
    errors = in_threads(*(partial(peer.compare, facts) for peer, facts in zip(meetings, versions, strict=True)))
    assert [type(error) for error in errors] == [InputError] * 2
    assert str(errors[0]) == str(errors[1])
    assert "runs longtail 0.3.0, process 0 on" in str(errors[0])
    assert in_threads(*(partial(peer.compare, {"runs torch {}": "2.14"}) for peer in meetings)) == [None, None]


@pytest.mark.parametrize("versions", [("0.4.0", "0.4.0"), ("0.4.0", "0.3.0")])
def test_where_the_first_is_gone_another_speaks_but_of_what_all_know(
    versions: tuple[str, str], meetings: list[Meeting], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Connection reset by peer")

    facts = ({"runs longtail {}": version} for version in versions)
    in_threads(*(partial(peer.compare, fact) for peer, fact in zip(meetings, facts, strict=True)))
    monkeypatch.setattr(meetings[1], "store", SimpleNamespace(check=fail, compare_set=fail))
    assert meetings[1].speaks(1) == (versions[0] == versions[1])


def test_a_process_that_does_not_come_is_named(meetings: list[Meeting], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "LATE", 0.02)
    with pytest.raises(InputError, match="process 1 did not come"):
        meetings[0].compare({})


def test_processes_that_were_started_again_go_on_in_the_folder_of_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    start = Launch("torchrun", 0, 1, 1, restarts=1)
    assert agreed_folder(None, "digits_lt/ce", None) == (Path("runs/digits_lt-ce"), False)
    Path("runs/digits_lt-ce").mkdir(parents=True)
    assert agreed_folder(None, "digits_lt/ce", None) == (Path("runs/digits_lt-ce-2"), False)
    monkeypatch.setattr(run_folder, "launch", lambda: start)
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


FIT = [*FIT_DIGITS, "--epochs", "2", "--precision", "32-true", "--trainer.accelerator", "cpu"]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of two processes that Lightning starts."""
    folder = tmp_path_factory.mktemp("expected")
    in_two_processes(folder, *FIT, LONGTAIL_RUN=str(folder / "run"))
    return folder / "run"


def _fit(launcher: Callable[[int, int], dict[str, str]], port: int, folder: Path, rank: int) -> int:
    os.environ.update(launcher(rank, port))
    os.chdir(folder)
    return main([*FIT, "--trainer.strategy", "ddp"])


@pytest.mark.parametrize("launcher", [torchrun, srun])
def test_a_launcher_s_run_is_that_of_lightning(
    launcher: Callable[[int, int], dict[str, str]], expected: Path, tmp_path: Path
) -> None:
    """Both processes name the folder, one decides and writes."""
    assert two_processes(partial(_fit, launcher, agreement._free_port(), tmp_path), tmp_path) == [0, 0]
    assert [run.name for run in (tmp_path / "runs").iterdir()] == ["digits_lt-ce"]
    assert_same_weights(tmp_path / "runs/digits_lt-ce", expected)
    assert results(tmp_path / "runs/digits_lt-ce")["hardware"]["processes"] == 2
    assert results(tmp_path / "runs/digits_lt-ce")["evaluations"] == results(expected)["evaluations"]


def _differing(options: tuple[list[str], list[str]], port: int, folder: Path, rank: int) -> tuple[int, list[str]]:
    """One of two processes with options of its own: its exit code, and its lines about an error."""
    os.environ.update(torchrun(rank, port))
    os.chdir(folder)
    with (folder / f"{rank}.txt").open("w") as stream, contextlib.redirect_stderr(stream):
        try:
            code: Any = main([*FIT, "--trainer.strategy", "ddp", *options[rank]])
        except SystemExit as exit:
            code = exit.code
    lines = (folder / f"{rank}.txt").read_text().splitlines()
    return code, [line for line in lines if line.startswith("longtail: ")]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            (["--lr", "0.2"], ["--lr", "0.1"]),
            "process 1 on {} has --lr 0.1, process 0 on {} 0.2: give all processes the same command",
        ),
        (([], ["--weights", "nowhere.pt"]), "process 1 on {}: cannot read weights from nowhere.pt"),
    ],
    ids=["another option", "no weights"],
)
def test_where_processes_differ_one_says_it_and_nothing_is_begun(
    options: tuple[list[str], list[str]], words: str, tmp_path: Path
) -> None:
    outcomes = two_processes(partial(_differing, options, agreement._free_port(), tmp_path), tmp_path)
    assert [code for code, _ in outcomes] == [2, 2]
    (line,) = [line for _, lines in outcomes for line in lines]
    assert line.startswith(f"longtail: error: {words.replace('{}', socket.gethostname())}")
    assert not (tmp_path / "runs").exists()


def _elastic(folder: str) -> list[int]:
    """One of two processes of torchrun, of which the second is killed in the second epoch, once; then predict."""
    os.chdir(folder)
    step = Classification.training_step

    def kill(task: Classification, batch: ImageBatch, batch_idx: int) -> Tensor | None:
        place = (task.current_epoch, batch_idx, task.global_rank, os.environ["TORCHELASTIC_RESTART_COUNT"])
        if place == (1, 2, 1, "0"):
            os.kill(os.getpid(), signal.SIGKILL)
        return step(task, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classification, "training_step", kill)
        trained = main([*FIT, "--trainer.strategy", "ddp"])
    dist.destroy_process_group()
    return [trained, main(["predict", "runs/digits_lt-ce", "photos", "--batch-size", "2", "--output", "answer.csv"])]


@pytest.mark.usefixtures("handlers")
def test_processes_of_torchrun_go_on_after_one_is_killed_and_predict(expected: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(7):
        Image.new("RGB", (8, 8), (30 * i, 99, 20)).save(tmp_path / f"photos/{i}.png")
    config = LaunchConfig(
        *(1, 1, 2),
        run_id="elastic",
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        max_restarts=1,
        start_method="forkserver",
    )
    codes = elastic_launch(config, _elastic)(str(tmp_path))
    assert codes == {0: [0, 0], 1: [0, 0]}
    run = tmp_path / "runs/digits_lt-ce"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [run.name]
    assert_same_weights(run, expected)
    assert_same_epochs(run, expected)
    assert results(run)["evaluations"] == results(expected)["evaluations"]
    alone = [
        "predict",
        str(run),
        str(tmp_path / "photos"),
        "--batch-size",
        "2",
        "--output",
        str(tmp_path / "alone.csv"),
    ]
    assert main(alone) == 0
    answers = [(tmp_path / name).read_text().replace(str(tmp_path) + "/", "") for name in ("answer.csv", "alone.csv")]
    assert answers[0] == answers[1]
