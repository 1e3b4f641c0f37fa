"""What every sampler keeps to, and what they share."""

import inspect
import pickle

import pytest
import torch
from discovery import classes_of
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

import longtail.samplers
from longtail.difficulty import ClassDifficulty
from longtail.samplers.base import ClassImages, EpochSampler

from . import assert_frequencies

# What the required arguments of a sampler are; a new sampler with another one adds it here.
ARGUMENTS = {
    "targets": lambda: torch.tensor([0] * 30 + [1] * 7 + [2] * 4),
    "power": lambda: 0.5,
    "difficulty": lambda: ClassDifficulty(3),
}
ROWS = 41
SAMPLERS = classes_of(longtail.samplers, EpochSampler)


def make(sampler: type[EpochSampler], **settings) -> EpochSampler:
    arguments = {}
    for name, parameter in inspect.signature(sampler).parameters.items():
        if parameter.default is parameter.empty:
            if name not in ARGUMENTS:
                pytest.fail(f'{sampler.__name__} takes "{name}": add it to ARGUMENTS in {__file__}')
            arguments[name] = ARGUMENTS[name]()
    return sampler(**arguments | settings)


every_sampler = pytest.mark.parametrize("sampler", SAMPLERS)


def test_every_sampler_is_exported() -> None:
    assert {sampler.__name__ for sampler in SAMPLERS} | {"EpochSampler"} == set(longtail.samplers.__all__)


@every_sampler
def test_the_order_follows_from_seed_and_epoch(sampler: type[EpochSampler]) -> None:
    first, copy, variant = make(sampler), make(sampler), make(sampler, seed=1)
    assert list(first) == list(copy) == first.order(0).tolist()
    assert torch.equal(first.order(3), copy.order(3))
    assert not torch.equal(first.order(0), first.order(1))
    assert not torch.equal(first.order(0), variant.order(0))
    copy.set_epoch(3)
    assert torch.equal(copy.order(0), first.order(0)), "an order does not depend on the epoch that is set"
    assert list(copy) == list(copy) == first.order(3).tolist()


@every_sampler
def test_rows_are_python_numbers_in_range(sampler: type[EpochSampler]) -> None:
    order = make(sampler).order(0)
    assert order.dtype == torch.int64
    assert order.ndim == 1
    assert 0 <= order.min() <= order.max() < ROWS
    assert {type(row) for row in make(sampler)} == {int}


@every_sampler
@pytest.mark.parametrize("world", [1, 2, 3, 100])
def test_shards_make_up_the_order(sampler: type[EpochSampler], world: int) -> None:
    for epoch in range(3):
        shards = [make(sampler, rank=rank, world=world) for rank in range(world)]
        for shard in shards:
            shard.set_epoch(epoch)
        shares = [list(shard) for shard in shards]
        assert {len(rows) for rows in shares} == {len(shard) for shard in shards}, "equal, and as announced"

        order = shards[0].order(epoch).tolist()
        assert len(order) == shards[0].size(epoch)
        union = [row for turn in zip(*shares, strict=True) for row in turn]
        assert union[: len(order)] == order
        filled_up = len(union) - len(order)
        assert filled_up < world
        assert union[len(order) :] == [order[i % len(order)] for i in range(filled_up)]


@every_sampler
def test_pickle(sampler: type[EpochSampler]) -> None:
    first = make(sampler, seed=5, rank=1, world=2)
    first.set_epoch(2)
    copy = pickle.loads(pickle.dumps(first))
    assert list(copy) == list(first)
    assert len(copy) == len(first)


@every_sampler
@pytest.mark.parametrize("workers", [0, 1])
def test_in_a_data_loader(sampler: type[EpochSampler], workers: int) -> None:
    rows = make(sampler)
    loader = DataLoader(TensorDataset(torch.arange(ROWS)), batch_size=8, sampler=rows, num_workers=workers)
    for epoch in range(2):
        rows.set_epoch(epoch)
        batches = [batch for (batch,) in loader]
        assert len(batches) == len(loader)
        assert torch.equal(torch.cat(batches), rows.order(epoch))


@every_sampler
@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"rank": 0}, "given together, got rank 0 and world None"),
        ({"rank": 2, "world": 2}, "got rank 2 and world 2"),
        ({"rank": -1, "world": 2}, "got rank -1 and world 2"),
        ({"targets": torch.tensor([], dtype=torch.int64)}, r"targets must have shape .* got \(0,\)"),
        ({"targets": torch.zeros(2, 2, dtype=torch.int64)}, r"targets must have shape .* got \(2, 2\)"),
        ({"targets": torch.tensor([0, -2])}, "targets must not be negative, got -2"),
        ({"targets": torch.zeros(2)}, "targets must be int64, got dtype torch.float32"),
        ({"images": torch.tensor([0, 1])}, r"images must have shape .* got \(2,\)"),
        ({"images": torch.arange(ROWS) - 1}, "images must not be negative, got -1"),
        ({"num_classes": 2}, r"targets must lie in 0\.\.1, got 2$"),
        ({"num_classes": 2, "targets": [1, 2, 1]}, r"got 2: labels run from 1 to 2; subtract 1"),
        ({"targets": {"cat": 3}}, r"targets must be numbers of shape \(M,\), .*, got dict"),
        ({"num_samples": 0}, "num_samples must be at least 1, got 0"),
    ],
)
def test_what_is_refused(sampler: type[EpochSampler], settings: dict, problem: str) -> None:
    if settings.keys() <= inspect.signature(sampler).parameters.keys():
        with pytest.raises(ValueError, match=problem):
            make(sampler, **settings)


@every_sampler
@pytest.mark.parametrize("option", ["targets", "images"])
@pytest.mark.parametrize(
    "form",
    [lambda t: t.tolist(), lambda t: t.numpy().astype("int16"), lambda t: dict(enumerate(t.tolist())).values()],
    ids=["lists", "arrays", "dict.values()"],
)
def test_what_torch_makes_a_tensor_of_does_as_well(sampler: type[EpochSampler], option: str, form) -> None:
    values = {"targets": ARGUMENTS["targets"](), "images": torch.arange(ROWS).flip(0)}
    reference = make(sampler, **{option: values[option]}).order(0)
    assert torch.equal(make(sampler, **{option: form(values[option])}).order(0), reference)


@every_sampler
def test_one_draw_is_enough(sampler: type[EpochSampler]) -> None:
    if "num_samples" in inspect.signature(sampler).parameters:
        assert len(make(sampler, num_samples=1).order(0)) == 1


# Drawing a class and then one of its images


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=12),
    st.sets(st.integers(0, 6)),
    st.sampled_from([0.0, 0.5, 1 - 2**-53]),
)
def test_the_edges_of_a_draw(targets: list[int], impossible: set[int], edge: float) -> None:
    """The least and the largest random number give a class that has images and probability, and one of its images."""
    targets = [0, *targets, 6]
    impossible -= {targets[1]}
    probabilities = torch.rand(8, generator=torch.Generator().manual_seed(len(targets))) / 3
    probabilities[list(impossible)] = 0
    groups = ClassImages(torch.tensor(targets), torch.arange(len(targets)), 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand", lambda *size, generator, dtype: torch.full(size, edge, dtype=dtype))
        row = int(groups.draw(probabilities, 1, torch.Generator()))
    possible = sorted(set(targets) - impossible)
    if edge == 0:
        assert row == targets.index(possible[0])
    elif edge > 0.5:
        assert row == len(targets) - 1 - targets[::-1].index(possible[-1])
    else:
        assert targets[row] in possible


def test_a_class_without_probability_is_never_drawn() -> None:
    targets = torch.tensor([0, 1, 1, 2, 3, 3])
    images = torch.tensor([5, 4, 4, 3, 0, 1])  # image 4 has class 1 twice
    groups = ClassImages(targets, images, 6)
    assert groups.label_counts.tolist() == [1, 2, 1, 2, 0, 0]
    probabilities = torch.tensor([0.0, 0.5, 0.0, 1.5, 3.0, 0.0])  # class 4 has no images
    rows = groups.draw(probabilities, 20_000, torch.Generator().manual_seed(0))
    assert_frequencies(rows, torch.tensor([0.375, 0.375, 0, 0, 0.25]))
