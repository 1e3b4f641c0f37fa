"""Methods of segmentation: what they compute, and that they train whatever the batch."""

import copy
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from processes import two_processes
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from longtail.errors import InputError
from longtail.losses.equalization import EqualizationLossV2
from longtail.losses.gml import GaussianMixtureLoss
from longtail.losses.logit_adjusted import LogitAdjustedLoss
from longtail.losses.seesaw import SeesawLoss
from longtail.methods.pixel_gml import PixelGML, balanced_rows
from longtail.methods.pixels import PixelMethod, PixelPlain, labels_at, window_slices
from longtail.models.classifiers import CosineClassifier
from longtail.models.segmenters import PixelBackbone

COUNTS = [9000, 300, 20]
CLASSES = len(COUNTS)
IGNORED = 255


class Strided(PixelBackbone):
    """Two convolutions, four pixels to a feature."""

    num_features = 6
    stride = 4

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 6, 3, stride=2, padding=1),
        )

    def features(self, images: Tensor) -> Tensor:
        output: Tensor = self.layers(images)
        return output


class Pointwise(PixelBackbone):
    """A network that sees single pixels."""

    num_features = 6

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU())

    def features(self, images: Tensor) -> Tensor:
        output: Tensor = self.layers(images)
        return output


class Middles(PixelBackbone):
    """The colour in the middle of every cell, and as many cells as are asked for."""

    num_features = 3

    def __init__(self, cell: int, stride: int) -> None:
        super().__init__()
        self.cell, self.stride = cell, stride

    def features(self, images: Tensor) -> Tensor:
        height, width = (round(side / self.cell) for side in images.shape[2:])
        rows = (torch.arange(height) * 2 + 1) * images.shape[2] // (2 * height)
        columns = (torch.arange(width) * 2 + 1) * images.shape[3] // (2 * width)
        return images[:, :, rows][..., columns]


def batch(seed: int = 0, size: tuple[int, int] = (18, 21)) -> tuple[Tensor, Tensor]:
    """Two images, and labels of which a part is ignored."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(CLASSES, (2, *size), generator=generator)
    targets[torch.rand(targets.shape, generator=generator) < 0.2] = IGNORED
    return torch.randn(2, 3, *size, generator=generator), targets


def make(method: type[PixelMethod], seed: int = 0, **options: Any) -> Any:
    torch.manual_seed(seed)
    return method(COUNTS, options.pop("backbone", None) or Strided(), **options)


def filled_queue(**options: Any) -> PixelGML:
    """A method after its first step."""
    method: PixelGML = make(PixelGML, **options)
    method(*batch(9))
    return method


@pytest.mark.parametrize("size", [(16, 24), (18, 21)])
def test_plain_is_the_loss_of_the_enlarged_logits(size: tuple[int, int]) -> None:
    method, (images, targets) = make(PixelPlain), batch(size=size)
    canvas = F.pad(images, (0, -size[1] % 4, 0, -size[0] % 4))
    features = method.backbone.layers(canvas)
    logits = F.conv2d(features, method.classifier.weight[..., None, None], method.classifier.bias)
    large = F.interpolate(logits, canvas.shape[2:], mode="bilinear")[:, :, : size[0], : size[1]]
    out = method(images, targets)
    assert list(out) == ["loss"]
    torch.testing.assert_close(out["loss"], F.cross_entropy(large, targets, ignore_index=IGNORED))


def test_options_of_the_loss_and_the_classifier() -> None:
    method = make(PixelPlain, loss=SeesawLoss, classifier=CosineClassifier, ignore_index=9)
    images, targets = batch()
    method(images, targets.where(targets != IGNORED, 9))["loss"].backward()
    assert isinstance(method.classifier, CosineClassifier)
    assert method.loss.loss.seen.tolist() == torch.bincount(targets[targets != IGNORED], minlength=3).tolist()


def mixture(queries: Tensor, targets: Tensor, keys: Tensor, key_targets: Tensor, temperature: float) -> Tensor:
    """The mean of twice the cross-entropy over classes of log mean exp, with a uniform prior."""
    total = queries.new_zeros(())
    for query, target in zip(queries, targets.tolist(), strict=True):
        scores = {}
        for c in set(key_targets.tolist()):
            terms = [(query @ key / temperature).exp() for key in keys[key_targets == c]]
            scores[c] = (sum(terms) / len(terms)).log()
        if target in scores:
            total = total + 2 * (sum(score.exp() for score in scores.values()).log() - scores[target])
    return total / len(targets)


def test_gml_is_the_sum_of_its_parts() -> None:
    method, (images, targets) = filled_queue(samples=10, contrastive_weight=0.3, momentum=0.5).double(), batch()
    with torch.no_grad():
        for parameter in method.projection.parameters():
            parameter.add_(0.1 * torch.rand_like(parameter))  # so that the keys have another projection to follow
    images, before = images.double(), copy.deepcopy(method)
    torch.manual_seed(3)
    out = method(images, targets)

    features = before.backbone(images)
    logits = before.classify(features, (18, 21))
    mask = targets != IGNORED
    classifier = LogitAdjustedLoss(COUNTS)(logits.movedim(1, -1)[mask], targets[mask])
    labels = F.pad(targets, (0, 3, 0, 2), value=IGNORED)[:, 2::4, 2::4].flatten()
    torch.manual_seed(3)
    rows = balanced_rows(labels, CLASSES, 10)
    queries = before.projection(features.permute(0, 2, 3, 1).reshape(-1, 6)[rows])
    for key, source in zip(before.key_projection.parameters(), before.projection.parameters(), strict=True):
        key.data = (key.data + source.data) / 2
    slots = before.queue.targets >= 0
    keys = before.key_projection(before.queue.features[slots])
    # ProjectionHead normalises in float32
    contrastive = mixture(queries.double(), labels[rows], keys.double(), before.queue.targets[slots], 0.1)

    torch.testing.assert_close(out["classifier"], classifier.detach())
    torch.testing.assert_close(out["contrastive"].double(), contrastive.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(out["loss"].double(), classifier + 0.3 * contrastive, rtol=1e-5, atol=1e-5)
    assert out["temperature"] == pytest.approx(0.1)
    assert not any(value.requires_grad for name, value in out.items() if name != "loss")


@pytest.mark.parametrize(("cell", "stride"), [(4, 8), (1, 1), (3, 3), (4, 10)])
def test_labels_are_those_in_the_middle_of_the_cells_of_the_map(cell: int, stride: int) -> None:
    """The colours are the labels; so the keys of a class have its colour."""
    targets = batch()[1]
    images = F.one_hot(targets.where(targets != IGNORED, 0), CLASSES).movedim(-1, 1).float()
    method = make(PixelGML, backbone=Middles(cell, stride), classifier=nn.Linear, queue_size=3 * 40)
    loss = method(images, targets)["loss"]
    loss.backward()
    for c in range(CLASSES):
        keys = method.queue.features[method.queue.targets == c]
        assert len(keys)
        assert torch.equal(keys, F.one_hot(torch.tensor(c), CLASSES).float().expand_as(keys))


def test_the_queue_gets_no_more_than_the_samples_and_holds_its_slots() -> None:
    method = make(PixelGML, samples=7, queue_size=4 * CLASSES)
    for step in range(6):
        before = method.queue.features.clone()
        method(*batch(step))
        assert (method.queue.features != before).any(1).sum() <= 7
        sizes = torch.bincount(method.queue.targets[method.queue.targets >= 0], minlength=CLASSES)
        assert sizes.sum() == min(7 * (step + 1), 12)
        assert sizes.max() <= 4
    assert not method.queue.features.requires_grad


def test_the_contrastive_loss_reaches_the_backbone() -> None:
    method = filled_queue()
    nn.init.zeros_(method.classifier.weight)  # so that nothing comes from the logits
    method(*batch())["loss"].backward()
    for name, parameter in method.backbone.named_parameters():
        assert parameter.grad.isfinite().all(), name
    assert method.backbone.layers[0].weight.grad.abs().max() > 0
    assert method.contrastive.log_temperature.grad != 0
    assert all(parameter.grad is None for parameter in method.key_projection.parameters())


def labelled(points: int) -> Tensor:
    """Labels where so many points of a map of 5 by 6 features have one."""
    targets = torch.full((2, 18, 21), IGNORED)
    targets[0, 2, [2, 6][:points]] = 1
    return targets


@pytest.mark.parametrize("first", [True, False], ids=["empty queue", "filled queue"])
@pytest.mark.parametrize("points", [0, 1, 2, None])
def test_every_parameter_has_a_gradient_whatever_the_batch(first: bool, points: int | None) -> None:
    method = make(PixelGML) if first else filled_queue()
    images, targets = batch()
    out = method(images, targets if points is None else labelled(points))
    out["loss"].backward()
    assert all(value.isfinite() for value in out.values())
    assert (out["contrastive"] == 0) == (first or points in (0, 1))
    for name, parameter in method.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_one_key_makes_no_contrast() -> None:
    method = make(PixelGML)
    for _ in range(2):  # the second step finds one key
        images, targets = batch()[0], labelled(1)
        out = method(images, targets)
    assert out["contrastive"] == 0
    assert (method.queue.targets >= 0).sum() == 2
    assert make(PixelGML, samples=1)(*batch())["contrastive"] == 0


@pytest.mark.parametrize("method", [PixelPlain, PixelGML])
def test_a_class_without_training_pixels(method: type[PixelMethod]) -> None:
    torch.manual_seed(0)
    instance = method([900, 0, 20], Strided(), loss=LogitAdjustedLoss)
    for step in range(2):
        loss = instance(*batch(step))["loss"]
        loss.backward()
        assert loss.isfinite()


@pytest.mark.parametrize("method", [PixelPlain, PixelGML])
def test_training_lowers_the_loss(method: type[PixelMethod]) -> None:
    instance, (images, targets) = make(method), batch()
    images = images + 3 * F.one_hot(targets % 3, 3).movedim(-1, 1)
    images, targets = images.repeat_interleave(4, 2), targets.repeat_interleave(4, 1)
    images, targets = images.repeat_interleave(4, 3), targets.repeat_interleave(4, 2)
    optimizer = torch.optim.SGD(instance.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(15):
        loss = instance(images, targets)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[1]


def steps(method: PixelGML, start: int) -> Iterator[float]:
    optimizer = torch.optim.SGD([parameter for parameter in method.parameters() if parameter.requires_grad], lr=0.1)
    for step in range(start, start + 2):
        torch.manual_seed(step)
        loss = method(*batch(step))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


def test_a_copy_and_a_reload_go_on_the_same() -> None:
    method = make(PixelGML, loss=SeesawLoss, samples=8)
    list(steps(method, 0))
    twin, reload = copy.deepcopy(method), make(PixelGML, seed=1, loss=SeesawLoss, samples=8)
    reload.load_state_dict(method.state_dict())
    expected = list(steps(method, 2))
    for instance in (twin, reload):
        assert list(steps(instance, 2)) == expected
        for name, value in method.state_dict().items():
            assert torch.equal(instance.state_dict()[name], value), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast(dtype: torch.dtype) -> None:
    method = make(PixelGML)
    for step in range(2):
        with torch.autocast("cpu", dtype):
            loss = method(*batch(step))["loss"]
        loss.backward()
        assert loss.dtype == torch.float32
        assert loss.isfinite()


# Windows


@pytest.mark.parametrize("size", [(20, 31), (9, 31), (31, 9), (12, 12), (13, 12)])
def test_windows_give_what_the_whole_image_gives_where_pixels_stand_alone(size: tuple[int, int]) -> None:
    method, images = make(PixelPlain, backbone=Pointwise()).eval(), batch(size=size)[0]
    with torch.no_grad():
        whole = method.segment(images)
        method.window = 12
        parts = method.segment(images)
    assert whole.shape == (2, CLASSES, *size)
    torch.testing.assert_close(parts, whole)


def test_windows_are_averaged() -> None:
    method, images = make(PixelPlain, window=12).eval(), batch(size=(10, 16))[0]
    with torch.no_grad():
        output = method.segment(images)
        left, right = (method.classify(method.backbone(part), (10, 12)) for part in (images[..., :12], images[..., 4:]))
    torch.testing.assert_close(output[..., :4], left[..., :4])
    torch.testing.assert_close(output[..., 4:12], (left[..., 4:] + right[..., :8]) / 2)
    torch.testing.assert_close(output[..., 12:], right[..., 8:])


@given(st.integers(1, 600), st.integers(1, 300))
def test_windows_cover_a_side_and_overlap_by_a_third(length: int, window: int) -> None:
    windows = window_slices(length, window)
    assert windows[0].start == 0
    assert windows[-1].stop == max(length, window)
    assert all(part.stop - part.start == window for part in windows)
    for part, successor in itertools.pairwise(windows):
        assert part.start < successor.start <= part.stop
        if window > 1:
            assert 3 * (part.stop - successor.start) >= window


# Balanced rows


@given(st.lists(st.sampled_from([-1, 0, 0, 0, 0, 1, 1, 2, 3, 5, 6, 255]), max_size=60), st.integers(1, 40))
def test_a_sample_is_balanced_as_far_as_there_are_labels(labels: list[int], samples: int) -> None:
    rows = balanced_rows(torch.tensor(labels, dtype=torch.int64), 6, samples).tolist()
    pool = [label for label in labels if 0 <= label < 6]
    assert len(set(rows)) == len(rows) == min(samples, len(pool))
    sample = [labels[row] for row in rows]
    sizes = {c: sample.count(c) for c in set(pool)}
    assert set(sample) <= set(pool)
    for c, d in ((c, d) for c in sizes for d in sizes):
        if sizes[c] < pool.count(c):  # c had more to give, so no class got more than one beyond it
            assert sizes[d] <= sizes[c] + 1


def test_a_sample_is_random_and_the_same_under_a_seed() -> None:
    labels = torch.arange(5).repeat(20)
    samples = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        samples.append(balanced_rows(labels, 5, 10).tolist())
    assert samples[0] == samples[1]
    assert sorted(samples[0]) != sorted(samples[2])


def test_no_class_is_left_out_for_good_where_there_are_more_than_samples() -> None:
    labels = torch.cat([torch.zeros(200, dtype=torch.int64), torch.arange(1, 10)])
    torch.manual_seed(0)
    sample = torch.cat([labels[balanced_rows(labels, 10, 3)] for _ in range(400)])
    share = torch.bincount(sample, minlength=10) / len(sample)
    assert share.min() > 0.06
    assert share.max() < 0.14


# What is refused


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (PixelPlain, {"window": 0}, "window is a side in pixels, at least 1, got 0"),
        (PixelPlain, {"loss": EqualizationLossV2}, "--model.method.loss: EqualizationLossV2 takes every logit"),
        (PixelPlain, {"loss": GaussianMixtureLoss}, "--model.method.loss: GaussianMixtureLoss learns parameters"),
        (PixelGML, {"samples": 0}, "samples must be at least 1, got 0"),
        (PixelGML, {"queue_size": 2}, "queue_size 2 does not fit: size must be at least 3"),
    ],
)
def test_what_cannot_be_used_is_refused(method: type[PixelMethod], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(method, **options)


# Several processes


def process(rank: int) -> tuple[list[float], dict[str, Tensor]]:
    method = make(PixelGML, loss=SeesawLoss, samples=8)
    model = DistributedDataParallel(method)
    contrasts = []
    # first empty queues, then both have labels, then one of them none, one or some
    for step, points in enumerate([None, None, 0, 1, None]):
        torch.manual_seed(10 * step + rank)
        images, targets = batch(10 * step + rank)
        out = model(images, labelled(points) if points is not None and rank == 1 else targets)
        out["loss"].backward()
        contrasts.append(out["contrastive"].item())
        with torch.no_grad():
            for parameter in method.parameters():
                if parameter.requires_grad:
                    parameter -= 0.1 * parameter.grad
                    parameter.grad = None
    state = {name: value for name, value in method.state_dict().items() if "running" not in name}
    return contrasts, state


def test_two_processes_stay_the_same_whatever_their_batches(tmp_path: Path) -> None:
    (contrasts, state), (losses, weights) = two_processes(process, tmp_path)
    for name, value in state.items():
        torch.testing.assert_close(weights[name], value, msg=lambda text, name=name: f"{name}: {text}")
    assert (state["queue.targets"] >= 0).sum() > 8  # the keys of both
    for row in (contrasts, losses):
        assert [value == 0 for value in row] == [True, False, True, True, False]
        assert all(math.isfinite(value) for value in row)


@pytest.mark.parametrize("size", [(4, 5), (8, 10)])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_pixels_without_a_finite_logit_have_no_class(size: tuple[int, int], value: float) -> None:
    logits = torch.randn(1, 20, 4, 5)
    assert torch.equal(labels_at(logits, (4, 5)), logits.argmax(1))
    logits[0, 18, 2, 2] = value
    with pytest.raises(InputError, match=r"pixels of the network's outputs are not finite"):
        labels_at(logits, size)


def test_class_counts_of_any_form() -> None:
    assert PixelPlain({"road": 9000, "sky": 0}.values(), Strided()).num_classes == 2
