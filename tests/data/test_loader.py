"""Seeded, sharded, resumable batches."""

import pytest
import torch

from longtail.data.images.memory import TensorImages
from longtail.data.loader import EpochBatches, Loader


def rows(batches: EpochBatches) -> list[int]:
    return [row for batch in batches for row, _ in batch]


def test_an_epoch_is_a_permutation_and_follows_from_seed_and_epoch() -> None:
    first, again, other = EpochBatches(50, 8, True, 3), EpochBatches(50, 8, True, 3), EpochBatches(50, 8, True, 4)
    assert sorted(rows(first)) == list(range(50))
    assert list(first) == list(again) != list(other)
    again.set_epoch(1)
    assert list(first) != list(again)
    draws = [draw for batch in first for _, draw in batch]
    assert len(set(draws)) == 50


def test_evaluation_takes_every_row_once_in_order() -> None:
    assert rows(EpochBatches(11, 4, False)) == list(range(11))
    shards = [rows(EpochBatches(11, 4, False, rank=rank, world=3)) for rank in range(3)]
    assert sorted(row for shard in shards for row in shard) == list(range(11))


@pytest.mark.parametrize("size", [12, 13, 14])
def test_training_shards_are_equal_and_cover_the_set(size: int) -> None:
    shards = [EpochBatches(size, 5, True, 0, rank, 3) for rank in range(3)]
    assert len({len(shard) for shard in shards}) == 1
    taken = [rows(shard) for shard in shards]
    assert len({len(shard) for shard in taken}) == 1
    assert {row for shard in taken for row in shard} == set(range(size))


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
    stopped = Loader(images, EpochBatches(20, 4, True), collate=lambda x: x)
    iterator = iter(stopped)
    done = [next(iterator)["rows"].tolist() for _ in range(2)]
    resumed = Loader(images, EpochBatches(20, 4, True), collate=lambda x: x)
    resumed.load_state_dict(stopped.state_dict())
    rest = [batch["rows"].tolist() for batch in resumed]
    assert done + rest == whole
    assert resumed.state_dict() == {"position": 0}
    assert len([*resumed]) == 5
