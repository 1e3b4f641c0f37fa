"""A loss over pixels is the loss inside, on the labelled pixels as rows."""

import copy
import pickle
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from longtail.counts import Counts
from longtail.losses import pixels
from longtail.losses.base import Loss
from longtail.losses.cdb import ClassDifficultyLoss
from longtail.losses.class_balanced import ClassBalancedLoss
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.equalization import EqualizationLossV2
from longtail.losses.federated import FederatedLoss
from longtail.losses.focal import FocalLoss
from longtail.losses.gml import GaussianMixtureLoss
from longtail.losses.ldam import LDAMLoss
from longtail.losses.logit_adjusted import LogitAdjustedLoss
from longtail.losses.pixels import PixelLoss
from longtail.losses.seesaw import SeesawLoss

from .storages import Storages

COUNTS = [9000, 500, 70, 3]
CLASSES = len(COUNTS)
IGNORED = 255


def by_difficulty(counts: Counts, loss: type[Loss] = CrossEntropyLoss) -> Loss:
    """A loss weighted by difficulties that differ."""
    instance = ClassDifficultyLoss(counts, loss)
    instance.difficulty.update(torch.linspace(0.9, 0.1, len(counts)))
    return instance


LOSSES: dict[str, Callable[[Counts], Loss]] = {
    "cross-entropy": CrossEntropyLoss,
    "weighted": lambda counts: CrossEntropyLoss(torch.arange(len(counts))),  # class 0 has no weight
    "logit-adjusted": LogitAdjustedLoss,
    "focal": FocalLoss,
    "class-balanced": ClassBalancedLoss,
    "LDAM": LDAMLoss,
    "seesaw": SeesawLoss,
    "CDB-W": by_difficulty,
    "CDB-W focal": partial(by_difficulty, loss=FocalLoss),
    "CDB-W seesaw": partial(by_difficulty, loss=SeesawLoss),
}
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x.contiguous(),
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "transposed": lambda x: x.mT.contiguous().mT,
    "classes first": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "cropped": lambda x: F.pad(x, (1, 2, 0, 1))[:, :, :-1, 1:-2],
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def batch(*size: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Logits (N, C, ...) that want a gradient, and labels (N, ...), a quarter of them ignored."""
    generator = torch.Generator().manual_seed(seed)
    images, *side = size
    logits = 4 * torch.randn(images, CLASSES, *side, generator=generator, dtype=torch.float64)
    targets = torch.randint(CLASSES, size, generator=generator)
    targets[torch.rand(size, generator=generator) < 0.25] = IGNORED
    return logits.to(dtype).requires_grad_(), targets


def as_rows(loss: Loss, logits: Tensor, targets: Tensor) -> Tensor:
    """The loss of every pixel (N, ...) by the loss of rows alone, which counts the labels by itself."""
    twin, mask = copy.deepcopy(loss).train(), targets != IGNORED
    rows = twin(logits.movedim(1, -1)[mask], targets[mask])
    return torch.zeros(targets.shape, dtype=rows.dtype).masked_scatter(mask, rows)


@every_loss
@pytest.mark.parametrize("block", [1, 7 * CLASSES, 2**19])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_value_and_gradient_are_those_of_the_labelled_pixels_as_rows(
    name: str, block: int, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "CPU_BLOCK", block)
    logits, targets = batch(2, 3, 5)
    loss = PixelLoss(COUNTS, LOSSES[name])
    expected = as_rows(loss.loss, logits, targets)
    weights = torch.rand(targets.shape, dtype=torch.float64)
    mean = copy.deepcopy(loss)(LAYOUTS[layout](logits), targets)
    loss.reduction = "none"
    values = loss(LAYOUTS[layout](logits), targets)

    torch.testing.assert_close(values, expected)
    assert not values[targets == IGNORED].any()
    torch.testing.assert_close(mean, expected.sum() / (targets != IGNORED).sum())
    (gradient,) = torch.autograd.grad((values * weights).sum(), logits)
    torch.testing.assert_close(gradient, torch.autograd.grad((expected * weights).sum(), logits)[0])
    assert not gradient.movedim(1, -1)[targets == IGNORED].any()


@pytest.mark.parametrize("size", [(30,), (2, 15), (2, 3, 5), (2, 3, 1, 5)])
def test_any_number_of_sides(size: tuple[int, ...]) -> None:
    logits, targets = batch(*size)
    values = PixelLoss(COUNTS, LogitAdjustedLoss, reduction="none")(logits, targets)
    torch.testing.assert_close(values, as_rows(LogitAdjustedLoss(COUNTS, reduction="none"), logits, targets))


@every_loss
def test_a_batch_without_labels_gives_zero(name: str) -> None:
    logits, targets = batch(2, 3, 5)
    loss = PixelLoss(COUNTS, LOSSES[name])
    value = loss(logits, torch.full_like(targets, IGNORED))
    value.backward()
    assert value == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("size", [(0, 3, 5), (2, 0, 5)])
def test_a_batch_without_pixels_gives_zero(size: tuple[int, ...]) -> None:
    logits, targets = batch(*size)
    value = PixelLoss(COUNTS, SeesawLoss)(logits, targets)
    value.backward()
    assert value == 0
    assert logits.grad.shape == logits.shape


def test_a_class_can_be_what_is_ignored() -> None:
    logits, targets = batch(2, 3, 5)
    labels = targets.masked_fill(targets == 2, IGNORED)
    value = PixelLoss(COUNTS, ignore_index=2)(logits, targets.masked_fill(targets == IGNORED, 2))
    torch.testing.assert_close(value, PixelLoss(COUNTS)(logits, labels))


@pytest.mark.parametrize("name", ["seesaw", "CDB-W seesaw"])
def test_every_label_of_a_training_batch_is_counted_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "CPU_BLOCK", 2 * CLASSES)
    loss = PixelLoss(COUNTS, LOSSES[name])
    (seesaw,) = (module for module in loss.modules() if isinstance(module, SeesawLoss))
    (logits, targets), (scores, labels) = batch(2, 3, 5), batch(1, 4, 4, seed=1)
    loss(logits, targets).backward()
    history = targets.flatten().tolist()
    assert seesaw.seen.tolist() == [history.count(c) for c in range(CLASSES)]
    loss.train()(scores, labels)
    history += labels.flatten().tolist()
    loss.eval()(logits, targets)
    loss.train()(logits, torch.full_like(targets, IGNORED))
    assert seesaw.seen.tolist() == [history.count(c) for c in range(CLASSES)]


def test_cdb_weights_are_those_of_the_last_update() -> None:
    logits, targets = batch(2, 3, 5)
    loss = PixelLoss(COUNTS, ClassDifficultyLoss, reduction="none")
    before = loss(logits, targets)
    torch.testing.assert_close(before, PixelLoss(COUNTS, reduction="none")(logits, targets))
    loss.loss.difficulty.update([0.9, 0.5, 0.0, 0.2])
    weights = loss.loss.weights()
    assert weights[2] > 1.5 * weights[0]
    torch.testing.assert_close(loss(logits, targets), before * weights[targets.where(targets != IGNORED, 0)])


def test_the_epoch_reaches_the_loss_inside() -> None:
    loss = PixelLoss(COUNTS, LDAMLoss(COUNTS, reweight_from=0.5))
    loss.set_epoch(5, 10)
    assert loss.loss.class_weights[3] > loss.loss.class_weights[0]


@every_loss
def test_a_second_backward_gives_the_same_gradient(name: str) -> None:
    logits, targets = batch(2, 3, 5)
    value = PixelLoss(COUNTS, LOSSES[name])(logits, targets)
    value.backward(retain_graph=True)
    gradient = logits.grad.clone()
    value.backward()
    assert gradient.any()
    torch.testing.assert_close(logits.grad, 2 * gradient)


@pytest.mark.parametrize("name", ["cross-entropy", "logit-adjusted", "focal", "LDAM", "CDB-W"])
def test_the_gradient_of_the_gradient(name: str) -> None:
    logits, targets = batch(1, 2, 3)
    loss = PixelLoss(COUNTS, LOSSES[name])
    assert torch.autograd.gradcheck(loss, (logits, targets))
    assert torch.autograd.gradgradcheck(loss, (logits, targets))


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_rounded_in_the_gradient_alone(name: str, dtype: torch.dtype) -> None:
    logits, targets = batch(2, 3, 5, dtype=dtype)
    twin = logits.detach().float().requires_grad_()
    loss = PixelLoss(COUNTS, LOSSES[name])
    expected = copy.deepcopy(loss)(twin, targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = loss(logits, targets)
    torch.testing.assert_close(values, expected)
    values.backward()
    expected.backward()
    assert logits.grad.dtype == dtype
    torch.testing.assert_close(logits.grad.float(), twin.grad, rtol=2**-6, atol=1e-5)


@every_loss
@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
def test_beside_the_gradient_nothing_of_the_size_of_the_logits_is_made(
    name: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "CPU_BLOCK", 2**14)
    classes = 64
    loss = PixelLoss(range(1, classes + 1), LOSSES[name])
    logits = LAYOUTS[layout](torch.randn(2, classes, 64, 64)).requires_grad_()
    targets = torch.randint(classes, (2, 64, 64))
    with Storages() as storages:
        (gradient,) = torch.autograd.grad(loss(logits, targets), logits)
    size = storages.largest(logits, gradient)
    assert size <= 2**14 * 8  # labels of a block for a gather; float32 is half of it
    assert size <= logits.nbytes / 8


@every_loss
def test_state_dict_and_pickle(name: str) -> None:
    logits, targets = batch(2, 3, 5)
    loss = PixelLoss(COUNTS, LOSSES[name])
    loss(logits, targets)
    twin = PixelLoss(COUNTS, LOSSES[name])
    twin.load_state_dict(loss.state_dict())
    expected = loss.eval()(logits, targets)
    assert torch.equal(twin.eval()(logits, targets), expected)
    for duplicate in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert torch.equal(duplicate(logits, targets), expected)


def test_compiled_in_one_piece_it_counts_as_well() -> None:
    torch.compiler.reset()
    logits, targets = batch(2, 3, 5)
    loss = PixelLoss(COUNTS, SeesawLoss)
    twin = copy.deepcopy(loss)
    output = torch.compile(twin, fullgraph=True, backend="aot_eager")(logits, targets)
    torch.testing.assert_close(output, loss(logits, targets))
    assert twin.loss.seen.tolist() == loss.loss.seen.tolist()


@pytest.mark.parametrize("loss", [EqualizationLossV2, FederatedLoss])
def test_a_loss_of_sigmoids_is_refused(loss: type[Loss]) -> None:
    with pytest.raises(ValueError, match=f"{loss.__name__} takes every logit for itself"):
        PixelLoss(COUNTS, loss)
    with pytest.raises(ValueError, match="ClassDifficultyLoss takes every logit for itself"):
        PixelLoss(COUNTS, lambda counts: ClassDifficultyLoss(counts, loss))


def test_a_loss_that_learns_is_refused() -> None:
    with pytest.raises(ValueError, match="GaussianMixtureLoss learns parameters"):
        PixelLoss(COUNTS, GaussianMixtureLoss)


@pytest.mark.parametrize("label", [-1, 4, 254])
def test_a_label_that_is_no_class_is_refused(label: int) -> None:
    logits, targets = batch(2, 3, 5)
    targets[1, 2, 4] = label
    with pytest.raises(ValueError, match=r"targets must lie in 0\.\.3"):
        PixelLoss(COUNTS)(logits, targets)


def test_wrong_shapes_are_refused() -> None:
    logits, targets = batch(2, 3, 5)
    with pytest.raises(ValueError, match=r"logits must have shape \(N, 4, \.\.\.\)"):
        PixelLoss(COUNTS)(logits[:, :3], targets)
    with pytest.raises(ValueError, match=r"targets must have shape \(2, 3, 5\)"):
        PixelLoss(COUNTS)(logits, targets.mT)
