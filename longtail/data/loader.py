"""Seeded, sharded, resumable batches, the same for images in memory and in files."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, cast

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from longtail.errors import InputError
from longtail.own_modules import Portable
from longtail.samplers.base import EpochSampler, epoch_generator

Draws = list[tuple[int, int]]


class PairSample(Protocol):
    """A sample of a grain whose images differ in size."""

    def __getitem__(self, name: str, /) -> Any: ...  # "image", "target" and "row"


def collate_lists(samples: Sequence[PairSample]) -> dict[str, Any]:  # whatever the grain's samples hold
    """A batch of samples "image", "target" and "row": lists "images" and "targets" of N, and "rows" (N,)."""
    return {
        "images": [sample["image"] for sample in samples],
        "targets": [sample["target"] for sample in samples],
        "rows": torch.tensor([sample["row"] for sample in samples]),
    }


class EpochBatches(Sampler[Draws]):
    """Batches of (row, draw): the row of an image and the random number that its augmentation starts from.

    Both follow from (seed, epoch) alone, so a resumed run continues with the batches of the uninterrupted one. With
    several processes each takes every world-th row.

    Args:
        rows: size of the set.
        batch_size: rows of a batch in one process.
        shuffle: a new order in every epoch, equal shards (the set is filled up by repeating a few rows), and no last
            batch of a single row, on which batch statistics are not defined; without it rows come in order, once.
        seed: of the order and the draws.
        rank, world: this process, and the number of processes.
        sampler: draws the rows of each epoch in place of the shuffle; a row that comes twice has a draw for each time.
            Every epoch has as many rows as the first, cut or begun again where the sampler draws more or fewer: the
            trainer counts the batches once.
    """

    def __init__(
        self,
        rows: int,
        batch_size: int,
        shuffle: bool,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        sampler: EpochSampler | None = None,
    ) -> None:
        self.rows, self.batch_size, self.shuffle = rows, batch_size, shuffle
        self.sampler = sampler
        self.seed, self.rank, self.world = seed, rank, world
        self.epoch = 0
        self.start = 0  # batches to leave out at the next iteration

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self.epoch = epoch

    def _rows(self) -> int:
        """Rows of the epoch over all processes, before they are filled up."""
        return self.rows if self.sampler is None else self.sampler.size(0)

    def _shard(self) -> int:
        """Rows of this process."""
        if self.shuffle:
            return -(-self._rows() // self.world)
        return len(range(self.rank, self.rows, self.world))

    def __len__(self) -> int:
        full, rest = divmod(self._shard(), self.batch_size)
        return full + (rest > (1 if self.shuffle and full else 0))

    def __iter__(self) -> Iterator[Draws]:
        random = epoch_generator(self.seed, self.epoch)
        rows = self._rows()
        order = torch.randperm(rows, generator=random) if self.shuffle else torch.arange(rows)
        draws = torch.randint(2**62, (rows,), generator=random)
        if self.shuffle:
            order = torch.cat([order, order[: self._shard() * self.world - rows]])
        places = order[self.rank :: self.world]
        indices = places
        if self.sampler is not None:
            indices = self.sampler.order(self.epoch)
            indices = indices[places % len(indices)]
        pairs = list(zip(indices.tolist(), draws[places].tolist(), strict=True))
        start, self.start = self.start, 0
        for batch in range(start, len(self)):
            yield pairs[batch * self.batch_size : (batch + 1) * self.batch_size]


class Loader:
    """A data loader that knows how far it is, so that a checkpoint taken inside an epoch resumes at the next batch."""

    def __init__(
        self,
        dataset: Dataset[Any],  # samples and batches differ from grain to grain, here and below
        batches: EpochBatches,
        num_workers: int = 0,
        collate: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
    ) -> None:
        self.sampler = self.batch_sampler = batches  # under these names Lightning finds it and sets the epoch
        self.dataset = dataset
        self._inner: DataLoader[Any] = DataLoader(
            cast(Dataset[Any], Portable(dataset)),
            batch_sampler=batches,
            num_workers=num_workers,
            collate_fn=collate,
            pin_memory=pin_memory,
            persistent_workers=num_workers > 0,
            generator=torch.Generator(),  # of its own: torch's is that of the training step, and has to resume with it
        )
        self._position = 0

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        self._position = self.sampler.start
        try:
            for batch in self._inner:
                self._position += 1
                yield batch
        except InputError as error:  # that of a worker process comes with its traceback
            line = str(error).strip().splitlines()[-1]
            raise InputError(line.removeprefix("longtail.errors.InputError: ")) from None

    def state_dict(self) -> dict[str, int]:
        """Batches done in this epoch; 0 once all are."""
        return {"position": self._position % len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Leave out the batches done, once."""
        self.sampler.start = state["position"]
