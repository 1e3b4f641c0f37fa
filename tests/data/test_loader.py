"""Seeded, sharded, resumable batches."""

import gc
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from torch.utils.data import Dataset, get_worker_info

from longtail.data import workers
from longtail.data.images.memory import TensorImages
from longtail.data.loader import EpochBatches, Loader
from longtail.data.sampling import DifficultySampling, Labels, PowerSampling, RepeatFactorSampling, Sampling
from longtail.difficulty import ClassDifficulty
from longtail.errors import InputError


def rows(batches: EpochBatches) -> list[int]:
    return [row for batch in batches for row, _ in batch]


def test_an_epoch_is_a_permutation_and_follows_from_seed_and_epoch() -> None:
    first, copy, variant = EpochBatches(50, 8, True, 3), EpochBatches(50, 8, True, 3), EpochBatches(50, 8, True, 4)
    assert sorted(rows(first)) == list(range(50))
    assert list(first) == list(copy) != list(variant)
    copy.set_epoch(1)
    assert list(first) != list(copy)
    draws = [draw for batch in first for _, draw in batch]
    assert len(set(draws)) == 50


def test_evaluation_takes_every_row_once_in_order() -> None:
    assert rows(EpochBatches(11, 4, False)) == list(range(11))
    shards = [rows(EpochBatches(11, 4, False, rank=rank, world=3)) for rank in range(3)]
    assert shards == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    wholes, parts = [*EpochBatches(11, 2, False, 5)], [[*EpochBatches(11, 2, False, 5, rank, 2)] for rank in range(2)]
    assert wholes[::2] == parts[0]
    assert wholes[1::2] == parts[1]


@pytest.mark.parametrize("size", [12, 13, 14])
def test_training_shards_are_equal_and_cover_the_set(size: int) -> None:
    shards = [EpochBatches(size, 5, True, 0, rank, 3) for rank in range(3)]
    assert len({len(shard) for shard in shards}) == 1
    shares = [rows(shard) for shard in shards]
    assert len({len(shard) for shard in shares}) == 1
    assert {row for shard in shares for row in shard} == set(range(size))


SAMPLINGS: dict[str, Sampling | None] = {
    "shuffled": None,
    "class-balanced": PowerSampling(),
    "progressive": PowerSampling(0.5, progressive=True),
    "by difficulty": DifficultySampling(),
    "repeat factor": RepeatFactorSampling(0.02),
}


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
def test_64_processes_take_the_draws_of_one(sampling: Sampling | None) -> None:
    """Together, in turn, and beyond them the first ones again; each goes on in the middle of its share."""
    rows, world, generator = 3001, 64, torch.Generator().manual_seed(0)
    targets = (40 * torch.rand(rows, generator=generator) ** 4).long()
    difficulty = ClassDifficulty(40)
    difficulty.update(torch.rand(40, generator=generator))
    sampler = sampling and sampling(Labels(targets, None, rows), difficulty, epochs=5, seed=3)

    def rows_of(rank: int, world: int, batch_size: int = 8, start: int = 0) -> list[list[tuple[int, int]]]:
        batches = EpochBatches(rows, batch_size, True, 3, rank, world, sampler)
        batches.set_epoch(2)
        batches.start = start
        epoch = list(batches)
        assert len(epoch) == len(batches) - start
        return epoch

    (whole,) = rows_of(0, 1, batch_size=10**6)
    shares = [rows_of(rank, world, batch_size=10**6)[0] for rank in range(world)]
    union = [pair for turn in zip(*shares, strict=True) for pair in turn]
    assert union[: len(whole)] == whole
    assert union[len(whole) :] == whole[: -len(whole) % world]
    for rank in (0, 1, 63):
        assert rows_of(rank, world, start=3) == rows_of(rank, world)[3:]
        draws = [pair for batch in rows_of(rank, world) for pair in batch]
        assert draws == shares[rank][: len(draws)], "a last batch of a single row is left out"
        assert len(draws) >= len(shares[rank]) - 1


def test_a_last_training_batch_of_one_row_is_left_out() -> None:
    assert [len(batch) for batch in EpochBatches(9, 4, True)] == [4, 4]
    assert [len(batch) for batch in EpochBatches(10, 4, True)] == [4, 4, 2]
    assert [len(batch) for batch in EpochBatches(9, 4, False)] == [4, 4, 1]
    for size in range(2, 12):
        batches = EpochBatches(size, 4, True)
        assert len(batches) == len(list(batches))


def test_a_loader_goes_on_after_the_batches_done() -> None:
    images = TensorImages(torch.zeros(20, 3, 2, 2, dtype=torch.uint8), torch.arange(20))
    whole = [batch["rows"].tolist() for batch in Loader(images, EpochBatches(20, 4, True), collate=lambda x: x)]
    loader = Loader(images, EpochBatches(20, 4, True), collate=lambda x: x)
    iterator = iter(loader)
    head = [next(iterator)["rows"].tolist() for _ in range(2)]
    rerun = Loader(images, EpochBatches(20, 4, True), collate=lambda x: x)
    rerun.load_state_dict(loader.state_dict())
    rest = [batch["rows"].tolist() for batch in rerun]
    assert head + rest == whole
    assert rerun.state_dict() == {"position": 0}
    assert len([*rerun]) == 5


class Numbers(Dataset[torch.Tensor]):
    """Rows as tensors; what reads one of them in a worker process does something first."""

    def __init__(self, row: int, act: Callable[[], object]) -> None:
        self.row, self.act = row, act

    def __getitem__(self, index: tuple[int, int]) -> torch.Tensor:
        if index[0] == self.row and get_worker_info() is not None:
            self.act()
        return torch.tensor(index[0])

    def path(self, row: int) -> str:
        return f"{row}.png"


def with_workers(act: Callable[[], object]) -> Loader:
    """20 rows in two workers, of which row 7 acts."""
    return Loader(Numbers(7, act), EpochBatches(20, 4, True), 2)


IN_ORDER = [[row for row, _ in batch] for batch in EpochBatches(20, 4, True)]


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_loader_goes_on_without_a_worker_that_was_killed() -> None:
    loader = with_workers(kill)
    loader.goes_on = True
    assert [batch.tolist() for batch in loader] == IN_ORDER
    assert loader.lost is not None
    assert "killed by SIGKILL" in loader.lost
    assert "--workers" in loader.lost
    assert [batch.tolist() for batch in loader] == IN_ORDER  # and so in the next epoch


def test_a_killed_worker_is_an_error_where_nothing_is_to_be_saved() -> None:
    with pytest.raises(InputError, match=r"killed by SIGKILL.*--workers"):
        list(with_workers(kill))


@pytest.mark.usefixtures("handlers")
def test_what_torch_installs_for_another_loader_does_not_hear_of_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda problem: errors.append(str(problem.exc_value)))
    signal.signal(signal.SIGCHLD, lambda *_: torch._C._error_if_any_worker_fails())  # as torch does
    for _ in range(3):
        loader = with_workers(lambda: None)
        loader.itself = loader  # type: ignore[attr-defined]
        next(iter(loader))
        del loader
        gc.collect()
    assert errors == []


def test_workers_end_with_their_loader_though_it_is_part_of_a_cycle() -> None:
    def act() -> None:
        raise InputError("row 7")

    def worker_processes() -> list[BaseProcess]:
        loader = with_workers(act)
        loader.itself = loader  # type: ignore[attr-defined]
        with pytest.raises(InputError, match="row 7"):
            list(loader)
        return loader._processes

    processes = worker_processes()
    assert all(process.is_alive() for process in processes)
    gc.collect()
    for process in processes:
        process.join()  # it never ends where nobody ends it
        assert process.exitcode


def test_workers_do_not_hear_what_stops_a_run() -> None:
    def signals() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)

    assert [batch.tolist() for batch in with_workers(signals)] == IN_ORDER


def test_a_file_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(workers, "PATIENCE", 2)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(workers.NoAnswer, match=r"^7\.png: no answer"):
        list(with_workers((tmp_path / "pipe").read_bytes))


def test_too_little_shared_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tensor: torch.Tensor) -> None:
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    with pytest.raises(InputError, match=r"shared memory .* too small .* --workers 0"):
        list(with_workers(int))
