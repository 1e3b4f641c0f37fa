"""Two processes that gather their rows equal one process with the whole batch."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import torch.distributed as dist
from processes import two_processes
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.parallel import DistributedDataParallel

from longtail import distributed
from longtail.distributed import gather
from longtail.errors import InputError
from longtail.losses.base import Loss
from longtail.losses.bcl import BalancedContrastiveLoss
from longtail.losses.cibl import ClassInstanceBalancedLoss
from longtail.losses.equalization import EqualizationLossV2
from longtail.losses.gml import GaussianMixtureLoss
from longtail.losses.seesaw import SeesawLoss
from longtail.losses.supcon import SupervisedContrastiveLoss
from longtail.models.class_queue import ClassQueue

CLASS_COUNTS = [6, 3, 2, 1]
ROWS, VIEWS, DIM = 11, 2, 5
SHARES = {"unequal": (7, 4), "equal": (6, 5), "none on one": (11, 0)}
DTYPES = (torch.float32, torch.float64, torch.float16, torch.int64, torch.int32, torch.uint8, torch.bool)


class Outputs(NamedTuple):
    """What the losses are made from: the gathered outputs of a network, and its prototypes."""

    logits: Tensor  # (N, C)
    embeddings: Tensor  # (N, V, D)
    targets: Tensor  # (N,)
    prototypes: Tensor  # (C, D)


# Every loss on gathered rows: what makes it, and how it is called.
LOSSES: dict[str, tuple[Callable[[], nn.Module], Callable[[Any, Outputs], Tensor]]] = {
    "bcl": (BalancedContrastiveLoss, lambda loss, out: loss(out.embeddings, out.targets, out.prototypes)),
    "supcon": (SupervisedContrastiveLoss, lambda loss, out: loss(out.embeddings, out.targets)),
    "cibl": (ClassInstanceBalancedLoss, lambda loss, out: loss(out.logits, out.embeddings, out.targets)),
    "gml": (lambda: GaussianMixtureLoss(CLASS_COUNTS), lambda loss, out: mixture(loss, out)),
}


def mixture(loss: nn.Module, out: Outputs) -> Tensor:
    """The first view as queries; the second as keys, and one of them not of the batch."""
    ids = torch.arange(ROWS)
    value: Tensor = loss(
        out.embeddings[:, 0], out.targets, out.embeddings[:, 1], out.targets, ids, ids.roll(1).clamp(min=1)
    )
    return value


# Losses that gather something about the batches they see.
RUNNING: dict[str, Callable[[], Loss]] = {
    "seesaw": lambda: SeesawLoss(len(CLASS_COUNTS), reduction="none"),
    "equalization": lambda: EqualizationLossV2(len(CLASS_COUNTS), reduction="none"),
}


class Network(nn.Module):
    """A linear network whose forward is a loss on the rows of all processes."""

    def __init__(self, name: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        make, self.call = LOSSES[name]
        self.loss = make()
        self.encoder, self.classifier = nn.Linear(8, DIM), nn.Linear(DIM, len(CLASS_COUNTS))

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        features = self.encoder(images)  # (N, V, D)
        outputs = Outputs(
            gather(self.classifier(features[:, 0])),
            gather(normalize(features, dim=-1)),
            gather(targets),
            normalize(self.classifier.weight),
        )
        return self.call(self.loss, outputs)


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(ROWS, VIEWS, 8, generator=generator)
    return images, torch.randint(len(CLASS_COUNTS), (ROWS,), generator=generator)


def share(lengths: tuple[int, ...], rank: int) -> slice:
    return slice(sum(lengths[:rank]), sum(lengths[: rank + 1]))


def numbers(dtype: torch.dtype) -> Tensor:
    return torch.arange(ROWS * 3).reshape(3, ROWS).T.remainder(2 if dtype == torch.bool else 100).to(dtype)


def loss_of(name: str, rows: slice) -> dict[str, Tensor]:
    """A loss and its gradients, from these rows of each process."""
    network = Network(name)
    model = network
    if dist.is_initialized():  # a loss may leave a parameter of the network alone
        model = DistributedDataParallel(network, find_unused_parameters=True)
    images, targets = batch()
    loss = model(images[rows], targets[rows])
    loss.backward()
    gradients = {key: value.grad for key, value in network.named_parameters() if value.grad is not None}
    assert "encoder.weight" in gradients
    return {"loss": loss.detach(), **gradients}


def running_of(name: str, rows: slice) -> dict[str, Tensor]:
    """What a loss has gathered after two batches, and the loss of this process's rows in the second."""
    images, targets = batch()
    loss = RUNNING[name]()
    for view in range(VIEWS):
        values = loss(images[rows, view, : len(CLASS_COUNTS)], targets[rows])
    return {"values": gather(values), **loss.state_dict()}


def queue_of(rows: slice) -> dict[str, Tensor]:
    """A queue after two gathered batches, the second one without ids."""
    images, targets = batch()
    queue = ClassQueue(CLASS_COUNTS, 8, 9)
    for view, ids in enumerate((torch.arange(ROWS)[rows], None)):
        features = gather(images[rows, view])
        queue.enqueue(features, gather(targets[rows]), None if ids is None else gather(ids))
    return queue.state_dict()


def backward_of(lengths: tuple[int, ...], rank: int) -> Tensor:
    """Gradient of this process's rows, where the processes use the gathered rows differently."""
    whole = torch.arange(ROWS * 2.0).reshape(ROWS, 2)
    part = whole[share(lengths, rank)].requires_grad_()
    rows = gather(part)
    (rows[1:].pow(2).sum() if rank == 0 else (3 * rows).sum()).backward()
    assert part.grad is not None
    return part.grad


def failure(rank: int) -> str:
    """What comes before an item that cannot be worked on, and how it ends."""
    items: list[int] = []

    def work(item: int) -> int:
        if item >= 3:
            raise InputError(f"item {item} is bad")
        return item

    try:
        for item in distributed.share(range(7), work, []):
            items.append(item)
    except (InputError, SystemExit) as error:
        return f"{items}, {error}"
    return "no error"


def of_other_files(rank: int) -> str:
    """What is said where one process has a file more, of files that lie elsewhere."""
    names = [f"/mnt/{rank}/{name}.png" for name in range(3 + rank)]
    try:
        list(distributed.share(range(3), str, names))
    except InputError as error:
        return str(error)
    return "no error"


def process(rank: int) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for name, lengths in SHARES.items():
        rows = share(lengths, rank)
        results[name] = {
            "values": {str(dtype): gather(numbers(dtype)[rows]) for dtype in DTYPES},
            "losses": {loss: loss_of(loss, rows) for loss in LOSSES},
            "running": {loss: running_of(loss, rows) for loss in RUNNING},
            "queue": queue_of(rows),
            "backward": backward_of(lengths, rank),
        }
    results["no rows"] = gather(torch.zeros(0, 3))
    results["shared"] = list(distributed.share(range(5), lambda item: (item, rank), [f"/mnt/{rank}/a.png"]))
    results["failed"] = failure(rank)
    results["differs"] = of_other_files(rank)
    results["promised"] = gather(torch.tensor([rank, 10 + rank]), equal=True)
    return results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each process found; they are started once, for all tests."""
    return two_processes(process, tmp_path_factory.mktemp("processes"))


@pytest.mark.parametrize("shares", SHARES)
def test_values_are_those_of_the_whole_batch(results: list[dict[str, Any]], shares: str) -> None:
    for result in results:
        for dtype in DTYPES:
            value = result[shares]["values"][str(dtype)]
            assert value.dtype == dtype
            assert torch.equal(value, numbers(dtype))


def test_no_rows_anywhere_and_a_promise_of_equal_lengths(results: list[dict[str, Any]]) -> None:
    for result in results:
        assert result["no rows"].shape == (0, 3)
        assert result["promised"].tolist() == [0, 10, 1, 11]


def test_work_is_shared_and_comes_in_order_to_the_first(results: list[dict[str, Any]]) -> None:
    assert [result["shared"] for result in results] == [[(0, 0), (1, 1), (2, 0), (3, 1), (4, 0)], []]
    assert [result["failed"] for result in results] == ["[0, 1], item 3 is bad", "[], 2"]
    assert list(distributed.share([1, 2], str, [])) == ["1", "2"], "and in one process"


def test_work_on_other_files_is_refused_in_all(results: list[dict[str, Any]]) -> None:
    host = socket.gethostname()
    line = f"process 1 on {host} reads 4 files, process 0 on {host} 3: give all processes the same files"
    assert [result["differs"] for result in results] == [line, line]


@pytest.mark.parametrize("shares", SHARES)
def test_gradients_are_summed_over_the_processes(results: list[dict[str, Any]], shares: str) -> None:
    whole = torch.arange(ROWS * 2.0).reshape(ROWS, 2)
    expected = 3 + 2 * whole
    expected[0] = 3
    for rank, result in enumerate(results):
        assert torch.equal(result[shares]["backward"], expected[share(SHARES[shares], rank)])


@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients_are_those_of_one_process(results: list[dict[str, Any]], name: str, shares: str) -> None:
    alone = loss_of(name, slice(None))
    for result in results:
        torch.testing.assert_close(result[shares]["losses"][name], alone, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("name", RUNNING)
def test_what_a_loss_gathers_is_that_of_one_process(results: list[dict[str, Any]], name: str, shares: str) -> None:
    alone = running_of(name, slice(None))
    for result in results:
        torch.testing.assert_close(result[shares]["running"][name], alone, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("shares", SHARES)
def test_queues_are_that_of_one_process(results: list[dict[str, Any]], shares: str) -> None:
    alone = queue_of(slice(None))
    for result in results:
        assert result[shares]["queue"].keys() == alone.keys()
        for name, value in alone.items():
            assert torch.equal(result[shares]["queue"][name], value)


def test_outside_a_process_group_the_tensor_itself_comes_back() -> None:
    tensor = torch.zeros(3, requires_grad=True)
    assert gather(tensor) is tensor
    assert gather(tensor, equal=True) is tensor


def test_with_one_process_the_tensor_itself_comes_back(tmp_path: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    try:
        tensor = torch.zeros(3)
        assert gather(tensor) is tensor
    finally:
        dist.destroy_process_group()


def test_a_tensor_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tensor must have at least one dimension, got shape \(\)"):
        gather(torch.tensor(1.0))
