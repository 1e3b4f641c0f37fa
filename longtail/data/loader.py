"""Seeded, sharded, resumable batches, the same for images in memory and in files."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, cast

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from longtail.data.workers import Shared, Watch, Watched, starting
from longtail.errors import InputError
from longtail.own_modules import Portable
from longtail.samplers.base import EpochSampler, epoch_generator

Draws = list[tuple[int, int]]


class PairSample(Protocol):
    """A sample of a grain whose images differ in size."""

    def __getitem__(self, name: str, /) -> Any: ...  # of "image", "target" and "row" each has its own type


def collate_lists(samples: Sequence[PairSample]) -> dict[str, object]:
    """A batch of samples "image", "target" and "row": lists "images" and "targets" of N, and "rows" (N,)."""
    return {
        "images": [sample["image"] for sample in samples],
        "targets": [sample["target"] for sample in samples],
        "rows": torch.tensor([sample["row"] for sample in samples]),
    }


class EpochBatches(Sampler[Draws]):
    """Batches of (row, draw): the row of an image and the random number that its augmentation starts from.

    Both follow from (seed, epoch) alone, so a resumed run continues with the batches of the uninterrupted one.

    Args:
        rows: size of the set.
        batch_size: rows of a batch in one process.
        shuffle: a new order in every epoch, of which each process takes every world-th row, equal shards (the set is
            filled up by repeating a few rows), and no last batch of a single row, on which batch statistics are not
            defined. Without it rows come in order, once, and each process takes every world-th batch: the batches are
            those of one process, so a network computes the same to the bit.
        seed: of the order and the draws.
        rank, world: this process, and the number of processes.
        sampler: draws the rows of each epoch in place of the shuffle; a row that comes twice has a draw for each time.
            Every epoch has as many rows as the first, cut or begun again where the sampler draws more or fewer: the
            trainer counts the batches once.
        begin: called with the epoch when its batches begin, before any image is fetched, in the process that draws
            them.

    Attributes:
        partners: draws as many further rows for each batch, which stand after its own, each with a draw of its own.
    """

    partners: EpochSampler | None = None

    def __init__(
        self,
        rows: int,
        batch_size: int,
        shuffle: bool,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        sampler: EpochSampler | None = None,
        begin: Callable[[int], None] | None = None,
    ) -> None:
        self.begin = begin
        self.rows, self.batch_size, self.shuffle = rows, batch_size, shuffle
        self.sampler = sampler
        self.seed, self.rank, self.world = seed, rank, world
        self.epoch = 0
        self.start = 0  # batches to leave out at the next iteration

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self.epoch = epoch

    @cached_property
    def _size(self) -> int:
        """Rows of an epoch over all processes, before they are filled up."""
        return self.rows if self.sampler is None else self.sampler.size(0)

    def _shard(self) -> int:
        """Rows of each process, of a new order."""
        return -(-self._size // self.world)

    def __len__(self) -> int:
        if not self.shuffle:
            return len(range(self.rank, -(-self.rows // self.batch_size), self.world))
        full, rest = divmod(self._shard(), self.batch_size)
        return full + (rest > (1 if full else 0))

    def _places(self, random: torch.Generator) -> torch.Tensor:
        """Places of the rows of this process in the epoch, in order."""
        rows = self._size
        if not self.shuffle:
            places = torch.arange(rows)
            return places[places // self.batch_size % self.world == self.rank]
        order = torch.randperm(rows, generator=random)
        return torch.cat([order, order[: self._shard() * self.world - rows]])[self.rank :: self.world]

    def __iter__(self) -> Iterator[Draws]:
        if self.begin is not None:
            self.begin(self.epoch)
        random = epoch_generator(self.seed, self.epoch)
        places = indices = self._places(random)
        draws = torch.randint(2**62, (self._size,), generator=random)
        if self.sampler is not None:
            indices = self.sampler.order(self.epoch)
            indices = indices[places % len(indices)]
        parts = [(indices, draws[places])]
        if self.partners is not None:
            rest, draws = self.partners.order(self.epoch), torch.randint(2**62, draws.shape, generator=random)
            parts.append((rest[places % len(rest)], draws[places]))
        start, self.start = self.start, 0
        for batch in range(start, len(self)):
            own = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
            columns = ((rows[own].tolist(), its[own].tolist()) for rows, its in parts)
            yield [pair for rows, its in columns for pair in zip(rows, its, strict=True)]


class Loader:
    """A data loader that knows how far it is, so that a checkpoint taken inside an epoch resumes at the next batch.

    Attributes:
        goes_on: whether it reads on in its own process when a worker process dies, and notes that in ``lost``;
            otherwise that is an error.
        lost: what happened to its workers, and what helps; None as long as all is well.

    Raises:
        InputError: on iterating, if a worker died, there is too little shared memory, or a file does not answer
            (``NoAnswer``).
    """

    def __init__(
        self,
        dataset: Dataset[object],
        batches: EpochBatches,
        num_workers: int = 0,
        collate: Callable[[Any], object] | None = None,  # of samples, which differ from grain to grain, as do batches
        pin_memory: bool = False,
    ) -> None:
        self.sampler = self.batch_sampler = batches  # under these names Lightning finds it and sets the epoch
        self.dataset = dataset
        self.goes_on = False
        self.lost: str | None = None
        self._collate, self._pin_memory = collate, pin_memory
        self._watched = Watched(cast(Dataset[object], Portable(dataset)), num_workers) if num_workers > 0 else None
        self._processes: list[BaseProcess] = []
        self._inner = self._loader(batches, num_workers)
        self._position = 0

    def _loader(self, batches: Iterable[Draws], num_workers: int = 0) -> DataLoader[Any]:
        watched = self._watched if num_workers > 0 else None
        return DataLoader(
            self.dataset if watched is None else watched,
            batch_sampler=batches,
            num_workers=num_workers,
            collate_fn=self._collate if watched is None else Shared(self._collate or default_collate),
            pin_memory=self._pin_memory,
            persistent_workers=num_workers > 0,
            worker_init_fn=None if watched is None else watched.begin,
            generator=torch.Generator(),  # of its own: torch's is that of the training step, and has to resume with it
        )

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:  # batches of the grain
        self._position = self.sampler.start
        try:
            for batch in self._inner if self._watched is None else self._by_workers(self._watched):
                self._position += 1
                yield batch
        except InputError as error:  # that of a worker process comes with its traceback
            line = str(error).strip().splitlines()[-1]
            raise type(error)(line.removeprefix(f"{type(error).__module__}.{type(error).__qualname__}: ")) from None

    def _by_workers(self, watched: Watched) -> Iterator[Any]:
        """Batches of the worker processes, and of this one after one of them has died."""
        watch = Watch(watched)
        if self.lost is None:
            try:
                batches: Iterable[Any] = self._inner
                if not self._processes:
                    with starting(self) as self._processes:
                        batches = iter(self._inner)
                with watch.watching():
                    yield from batches
                return
            except InputError:
                raise
            except (RuntimeError, OSError, EOFError) as error:
                self.lost = watch.loss(error, self._processes)
                if self.lost is None:
                    raise
                if not self.goes_on:
                    raise InputError(self.lost) from None
        done, self.sampler.start = self._position, 0
        yield from self._loader([*islice(self.sampler, done, None)])

    def state_dict(self) -> dict[str, int]:
        """Batches done in this epoch; 0 once all are."""
        return {"position": self._position % len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Leave out the batches done, once."""
        self.sampler.start = state["position"]
