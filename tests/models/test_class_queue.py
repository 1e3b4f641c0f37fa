"""The class queue against one deque for each class. That two processes equal one is in tests/test_distributed.py."""

import copy
from collections import deque
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from longtail.models.class_queue import ClassQueue, class_slots

DIM = 3
all_counts = st.lists(st.integers(1, 50), min_size=1, max_size=5)


class Deques:
    """Reference: the latest (feature, id) pairs of each class, the oldest first."""

    def __init__(self, slots: list[int]) -> None:
        self.queues = [deque(maxlen=k) for k in slots]

    def enqueue(self, features: Tensor, targets: Tensor, ids: Tensor | None) -> None:
        for i, target in enumerate(targets.tolist()):
            self.queues[target].append((features[i].tolist(), -1 if ids is None else int(ids[i])))


def contents(queue: ClassQueue) -> list[list[tuple[list[float], int]]]:
    """What each class holds, the oldest first; checks on the way that the rest is empty."""
    lists = []
    for c, (start, k) in enumerate(zip(queue.offsets.tolist(), queue.slots.tolist(), strict=True)):
        pointer = int(queue.pointer[c])
        circle = [start + (pointer + i) % k for i in range(k)]
        full = [slot for slot in circle if queue.targets[slot] != -1]
        assert circle[k - len(full) :] == full, "empty slots come next"
        assert all(queue.targets[slot] == c for slot in full)
        for slot in set(circle) - set(full):
            assert queue.ids[slot] == -1
            assert not queue.features[slot].any()
        lists.append([(queue.features[slot].tolist(), int(queue.ids[slot])) for slot in full])
    return lists


def batch(rows: int, num_classes: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, DIM, generator=generator)
    return features, torch.randint(num_classes, (rows,), generator=generator), torch.arange(rows) + 100 * seed


@given(all_counts, st.integers(1, 4), st.integers(0, 60))
def test_slots_are_the_formula_rounded_by_largest_remainder(counts: list[int], least: int, spare: int) -> None:
    size = least * len(counts) + spare
    exact = [least + Fraction(spare * n, sum(counts)) for n in counts]
    expected = [int(k) for k in exact]
    by_remainder = sorted(range(len(counts)), key=lambda c: (-(exact[c] % 1), c))
    for c in by_remainder[: size - sum(expected)]:
        expected[c] += 1
    slots = class_slots(counts, size, least)
    assert slots.tolist() == expected
    assert slots.dtype == torch.int64
    assert sum(expected) == size
    assert min(expected) >= least


@given(
    all_counts,
    st.integers(1, 2),
    st.integers(0, 12),
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=5),
    st.integers(0, 1000),
)
def test_it_is_one_deque_for_each_class(
    counts: list[int], least: int, spare: int, batches: list[tuple[int, bool]], seed: int
) -> None:
    queue = ClassQueue(counts, DIM, least * len(counts) + spare, least)
    reference = Deques(queue.slots.tolist())
    for i, (rows, with_ids) in enumerate(batches):
        features, targets, ids = batch(rows, len(counts), seed + i)
        sample_ids = ids if with_ids else None
        queue.enqueue(features, targets, sample_ids)
        reference.enqueue(features, targets, sample_ids)
        assert contents(queue) == [list(part) for part in reference.queues]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_class_that_overflows_within_a_batch_keeps_its_latest_rows(
    backwards: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whichever order the rows of one slot are written, which an accelerator leaves open."""
    if backwards:
        write = Tensor.__setitem__
        monkeypatch.setattr(Tensor, "__setitem__", lambda store, at, rows: write(store, at.flip(0), rows.flip(0)))
    queue = ClassQueue([1, 1], 1, 5)  # three slots and two
    queue.enqueue(torch.arange(9.0)[:, None], torch.tensor([0, 0, 1, 0, 0, 0, 0, 0, 0]), torch.arange(9))
    assert queue.targets.tolist() == [0, 0, 0, 1, -1]
    assert queue.ids.tolist() == [7, 8, 6, 2, -1]
    assert queue.features.flatten().tolist() == [7, 8, 6, 2, 0]
    assert queue.pointer.tolist() == [2, 1]


def test_a_reload_goes_on_where_it_was() -> None:
    queue = ClassQueue([5, 2, 1], DIM, 12)
    queue.enqueue(*batch(7, 3, 0))
    reload, twin = ClassQueue([5, 2, 1], DIM, 12), copy.deepcopy(queue)
    reload.load_state_dict(queue.state_dict())
    assert set(queue.state_dict()) == {"features", "targets", "ids", "pointer"}
    assert queue.pointer.any()
    for instance in (queue, reload, twin):
        instance.enqueue(*batch(7, 3, 1))
    for name, value in queue.state_dict().items():
        assert torch.equal(reload.state_dict()[name], value)
        assert torch.equal(twin.state_dict()[name], value)


def test_compiled_code_gives_the_same() -> None:
    eager, compiled = (ClassQueue([5, 2, 1], DIM, 12) for _ in range(2))
    enqueue = torch.compile(compiled.enqueue, fullgraph=True, backend="aot_eager")
    for rows, with_ids in ((9, True), (30, True), (0, True), (9, False)):
        features, targets, ids = batch(rows, 3, rows)
        eager.enqueue(features, targets, ids if with_ids else None)
        enqueue(features, targets, ids if with_ids else None)
        for name, value in eager.state_dict().items():
            assert torch.equal(compiled.state_dict()[name], value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_features_take_the_dtype_of_the_store_and_no_gradient(dtype: torch.dtype) -> None:
    queue = ClassQueue([1], DIM, 2)
    queue.enqueue(torch.ones(1, DIM, dtype=dtype, requires_grad=True), torch.tensor([0]))
    assert queue.features.dtype == torch.float32
    assert not queue.features.requires_grad
    queue.half()
    queue.enqueue(torch.ones(1, DIM), torch.tensor([0]))
    assert queue.features.dtype == torch.float16
    assert queue.features.eq(1).all()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (([1, 1], 3, 1), "size must be at least 2 = 2 classes x 1, got 1"),
        (([1, 1], 3, 7, 4), "size must be at least 8 = 2 classes x 4, got 7"),
        (([1, 1], 3, 7, 0), "min_per_class must be at least 1, got 0"),
        (([1, 1], 0, 7), "dim must be at least 1, got 0"),
        (([1, 0], 3, 7), "class_counts must be positive"),
    ],
)
def test_a_queue_that_cannot_be_is_refused(arguments, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ClassQueue(*arguments)


@pytest.mark.parametrize(
    ("features", "targets", "ids", "problem"),
    [
        (torch.zeros(2, 4), torch.tensor([0, 0]), None, r"features must have shape \(N, 3\), got \(2, 4\)"),
        (torch.zeros(3), torch.tensor([0, 0]), None, r"features must have shape \(N, 3\), got \(3,\)"),
        (
            torch.zeros(2, 3),
            torch.tensor([0]),
            None,
            r"targets must have shape \(2,\), got \(1,\)",
        ),
        (torch.zeros(2, 3), torch.tensor([0.0, 0.0]), None, "targets must be int64, got dtype torch.float32"),
        (torch.zeros(2, 3), torch.tensor([0, 0]), torch.tensor([[1, 2]]), r"ids must have shape \(2,\)"),
        (
            torch.zeros(2, 3),
            torch.tensor([0, 0]),
            torch.tensor([1.0, 2.0]),
            "ids must be int64, got dtype torch.float32",
        ),
        (torch.zeros(2, 3), torch.tensor([0, 2]), None, r"targets must lie in 0\.\.1, got 0\.\.2"),
        (torch.zeros(2, 3), torch.tensor([-1, 1]), None, r"targets must lie in 0\.\.1, got -1\.\.1"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(features, targets, ids, problem: str) -> None:
    queue = ClassQueue([1, 1], 3, 4)
    with pytest.raises(ValueError, match=problem):
        queue.enqueue(features, targets, ids)
    assert queue.targets.eq(-1).all()


def test_what_torch_makes_a_tensor_of_does_as_well() -> None:
    features, targets = torch.rand(4, DIM), torch.tensor([0, 1, 0, 2])
    reference, queue = ClassQueue([5, 3, 1], DIM, 6), ClassQueue({"a": 5, "b": 3, "c": 1}.values(), DIM, 6)
    reference.enqueue(features, targets, torch.arange(4))
    queue.enqueue(features.tolist(), targets.numpy(), range(4))
    for (name, value), (_, partner) in zip(queue.named_buffers(), reference.named_buffers(), strict=True):
        assert torch.equal(value, partner), name
