"""R-CNNs against the unmodified networks of torchvision."""

import copy
import functools
import gc
import math
import pickle
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from discovery import LOSSES_OF_BOXES, losses_of, takes_logits
from torch import Tensor, nn
from torchvision.ops import nms

import longtail.losses
from longtail.errors import InputError
from longtail.losses.base import Loss
from longtail.losses.cdb import ClassDifficultyLoss
from longtail.losses.logit_adjusted import LogitAdjustedLoss
from longtail.methods.boxes import BoxClassification, ObjectnessBoxes, SigmoidBoxes, SoftmaxBoxes
from longtail.methods.rcnn import RCNN
from longtail.models.classifiers import CosineClassifier
from longtail.models.detectors import TimmFPN

COUNTS = [50, 20, 3]
OF_SIGMOIDS = {"EqualizationLossV2", "FederatedLoss"}
BACKBONE = TimmFPN(name="test_resnet", features=16, anchors=8, frozen_norms=True)


def boxes_with(kind: type[BoxClassification], loss: str) -> Callable[..., BoxClassification]:
    return functools.partial(kind, loss=getattr(longtail.losses, loss))


KINDS = {
    "softmax": SoftmaxBoxes,
    "objectness": ObjectnessBoxes,
    "sigmoid": boxes_with(SigmoidBoxes, "EqualizationLossV2"),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind: str = "softmax", masks: bool = True, counts: Sequence[int] = COUNTS, **options: Any) -> RCNN:
    """A small network."""
    torch.manual_seed(0)
    sizes = {"min_size": 64, "max_size": 160, "boxes_per_image": 16, "detections": 20}
    return RCNN(counts, BACKBONE, masks, **{"boxes": KINDS[kind], **sizes, **options})


LEAST = {"min_size": 1, "max_size": 1, "detections": 1, "boxes_per_image": 1, "score_threshold": 0.0}


def test_the_least_of_every_option_is_taken() -> None:
    make(**LEAST)


@pytest.mark.parametrize(
    ("name", "value"), [*((name, 0) for name in list(LEAST)[:4]), ("score_threshold", -0.1), ("score_threshold", 1.0)]
)
def test_less_is_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name} {value}"):
        make(**{**LEAST, name: value})


def spread(method: RCNN) -> RCNN:
    """In evaluation mode, with class logits that differ from box to box around 0."""
    layer, features = method.network.roi_heads.box_predictor.cls_score, []
    hook = layer.register_forward_hook(lambda layer, args, out: features.append(args[0]))
    with torch.no_grad():
        method.eval().detect(batch()[0])
        layer.weight.mul_(2 / (features[0] @ layer.weight.T).std(0)[:, None])
        layer.bias.copy_(-(features[0] @ layer.weight.T).mean(0))
    hook.remove()
    return method


def unmodified(method: RCNN) -> Any:
    """The network of torchvision with the same weights."""
    sizes = {"min_size": 64, "max_size": 160, "box_batch_size_per_image": 16, "box_detections_per_img": 20}
    network = BACKBONE(method.num_classes + 1, method.masks, **sizes, _skip_resize=True)
    network.load_state_dict(method.network.state_dict())
    return network.train(method.training)


def batch(masks: bool = True) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Three images of different sizes, the second half as large as the others; the last shows nothing."""
    generator = torch.Generator().manual_seed(3)
    patches = torch.rand(3, 1, 3, 5, 5, generator=generator)
    sizes = ((64, 64), (32, 48), (64, 80))
    images = [nn.functional.interpolate(patch, size)[0] for patch, size in zip(patches, sizes, strict=True)]
    boxes = [[[4, 6, 28, 30], [30, 30, 60, 62], [10, 40, 22, 52]], [[4, 4, 40, 28]], []]
    labels = [[0, 1, 2], [2], []]
    targets = []
    for image, of_image, classes in zip(images, boxes, labels, strict=True):
        target = {
            "boxes": torch.tensor(of_image, dtype=torch.float32).reshape(-1, 4),
            "labels": torch.tensor(classes).long(),
        }
        if masks:
            target["masks"] = torch.zeros(len(classes), *image.shape[1:], dtype=torch.uint8)
            for mask, (x1, y1, x2, y2) in zip(target["masks"], of_image, strict=True):
                mask[y1:y2, x1:x2] = 1
        targets.append(target)
    return images, targets


def train(method: RCNN, masks: bool = True) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return method.train()(*batch(masks))


def detect(method: RCNN) -> tuple[list[dict[str, Tensor]], Tensor | None]:
    images, targets = batch()
    with torch.no_grad():
        return method.eval().detect(images, targets)


def assert_same(result: Any, expected: Any) -> None:
    """Equal to the last bit."""
    torch.testing.assert_close(result, expected, rtol=0, atol=0)


@pytest.mark.parametrize("masks", [True, False], ids=["masks", "boxes"])
@every_kind
def test_the_loss_of_the_class_branch_is_that_of_the_boxes_and_the_others_are_torchvisions(
    kind: str, masks: bool
) -> None:
    method = make(kind, masks)
    network, sampled, logits = unmodified(method), [], []
    select = network.roi_heads.select_training_samples
    network.roi_heads.select_training_samples = lambda *args: sampled.append(select(*args)) or sampled[0]
    network.roi_heads.box_predictor.cls_score.register_forward_hook(lambda layer, features, out: logits.append(out))
    images, targets = batch(masks)
    torch.manual_seed(1)
    expected = network(images, [{**target, "labels": target["labels"] + 1} for target in targets])
    labels = torch.cat(sampled[0][2])
    assert len(labels.unique()) > 2, "there are objects and background"
    of_boxes = KINDS[kind](COUNTS)(logits[0], labels)
    if kind == "softmax":
        torch.testing.assert_close(of_boxes, expected["loss_classifier"])
    expected["loss_classifier"] = of_boxes

    terms = train(method, masks)
    loss = terms.pop("loss")
    assert not any(value.requires_grad for value in terms.values())
    assert_same(terms, {name: value.detach() for name, value in expected.items()})
    total = sum(expected.values())
    torch.testing.assert_close(loss, total)
    loss.backward()
    total.backward()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(method.network.get_parameter(name).grad, parameter.grad, msg=name)


def scored_by_hand(
    kind: str, network: Any, images: list[Tensor], threshold: float, limit: int
) -> list[dict[str, Tensor]]:
    """What is detected with the weights of a network, class by class, in the pixels it resizes the images to."""
    record: dict[str, Any] = {}
    network.roi_heads.register_forward_pre_hook(lambda heads, args: record.update(proposals=args[1], sizes=args[2]))
    network.roi_heads.box_predictor.register_forward_hook(lambda predictor, args, out: record.update(out=out))
    network(images)
    logits, deltas = record["out"]
    if kind == "softmax":
        scores = logits.softmax(1)[:, 1:]
    elif kind == "objectness":
        scores = logits[:, :1].sigmoid() * logits[:, 1:].softmax(1)
    else:
        scores = logits[:, 1:].sigmoid() * (1 - logits[:, :1].sigmoid())
    places = network.roi_heads.box_coder.decode(deltas, record["proposals"])
    lengths = [len(part) for part in record["proposals"]]
    results = []
    for of_image, probabilities, (height, width) in zip(
        places.split(lengths), scores.split(lengths), record["sizes"], strict=True
    ):
        detections = []
        for c in range(probabilities.shape[1]):
            boxes = of_image[:, c + 1].clone()
            boxes[:, 0::2] = boxes[:, 0::2].clamp(0, width)
            boxes[:, 1::2] = boxes[:, 1::2].clamp(0, height)
            fits = (probabilities[:, c] > threshold) & ((boxes[:, 2:] - boxes[:, :2]).amin(1) >= 0.01)
            boxes, of_class = boxes[fits], probabilities[fits, c]
            detections += [(float(of_class[k]), c, boxes[k].tolist()) for k in nms(boxes, of_class, 0.5).tolist()]
        detections = sorted(detections, reverse=True)[:limit]
        results.append(
            {
                "scores": [detection[0] for detection in detections],
                "labels": [detection[1] for detection in detections],
                "boxes": [detection[2] for detection in detections],
            }
        )
    return results


@pytest.mark.parametrize(("threshold", "limit"), [(0.05, 20), (0.8, 300)])
@every_kind
def test_detections_are_those_scored_by_hand(kind: str, threshold: float, limit: int) -> None:
    method = spread(make(kind, score_threshold=threshold, detections=limit))
    images, _ = batch()
    with torch.no_grad():
        detections, pairs = method.detect(images)
        expected = scored_by_hand(kind, unmodified(method), images, threshold, limit)
    assert pairs is None
    lengths = [len(entry["scores"]) for entry in expected]
    assert lengths == [20] * 3 if threshold < 0.1 else 0 < min(lengths) <= max(lengths) < 300
    for detection, truth, image in zip(detections, expected, images, strict=True):
        scale = 64 / min(image.shape[1:])
        assert detection["labels"].tolist() == truth["labels"]
        torch.testing.assert_close(detection["scores"], torch.tensor(truth["scores"]), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(detection["boxes"] * scale, torch.tensor(truth["boxes"]), rtol=1e-3, atol=1e-2)
        assert detection["masks"].shape == (len(detection["labels"]), 1, *image.shape[1:])


@pytest.mark.parametrize("masks", [True, False], ids=["masks", "boxes"])
def test_with_softmax_detections_are_torchvisions(masks: bool) -> None:
    method = spread(make(masks=masks))
    images, _ = batch()
    with torch.no_grad():
        detections, _ = method.detect(images)
        expected = unmodified(method)(images)
    assert all(len(detection["boxes"]) for detection in expected)
    assert_same(detections, [{**detection, "labels": detection["labels"] - 1} for detection in expected])
    assert set(torch.cat([detection["labels"] for detection in detections]).tolist()) == {0, 1, 2}


@every_kind
def test_proposals_on_objects_give_pairs_of_true_and_predicted_class(kind: str) -> None:
    method, record = spread(make(kind)), {}
    predictor = method.network.roi_heads.box_predictor
    method.network.roi_heads.register_forward_pre_hook(lambda heads, args: record.update(proposals=args[1]))
    predictor.cls_score.register_forward_hook(lambda layer, features, out: record.update(logits=out))
    images, targets = batch()
    with torch.no_grad():
        method.detect(images)
        for image, target, proposals in zip(
            images[:2], targets, record["proposals"], strict=False
        ):  # objects to be found
            target["boxes"] = proposals[: len(target["labels"])] * min(image.shape[1:]) / 64
        _, pairs = method.detect(images, targets)
    expected, row = [], 0
    for image, target, proposals in zip(images, targets, record["proposals"], strict=True):
        for x1, y1, x2, y2 in proposals.tolist():
            overlaps = []
            for a1, b1, a2, b2 in (target["boxes"] * (64 / min(image.shape[1:]))).tolist():
                common = max(0, min(x2, a2) - max(x1, a1)) * max(0, min(y2, b2) - max(y1, b1))
                overlaps.append(common / ((x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - common))
            if max(overlaps, default=0) >= 0.5:
                scores = method.boxes.scores(record["logits"][row : row + 1])[0].tolist()
                label = int(target["labels"][overlaps.index(max(overlaps))])
                expected.append([label, scores.index(max(scores))])
            row += 1
    assert 4 <= len(expected) < row
    assert pairs is not None
    assert pairs.tolist() == expected


def test_without_objects_there_are_no_pairs() -> None:
    images, targets = batch()
    with torch.no_grad():
        _, pairs = make().eval().detect(images[2:], targets[2:])
    assert pairs is not None
    assert (pairs.shape, pairs.dtype) == ((0, 2), torch.int64)


@every_kind
def test_images_without_instances_are_trained_on(kind: str) -> None:
    images, targets = batch()
    method = make(kind)
    losses = method(images[2:], targets[2:])
    losses["loss"].backward()
    assert losses["loss_box_reg"] == losses["loss_mask"] == 0
    assert losses["loss_classifier"] > 0
    assert all(parameter.grad.isfinite().all() for parameter in method.parameters() if parameter.grad is not None)


CASES = [(kind, loss.__name__) for kind in (SoftmaxBoxes, ObjectnessBoxes, SigmoidBoxes) for loss in losses_of(kind)]


def test_the_losses_of_logits_are_tried() -> None:
    names = {kind: {loss for of, loss in CASES if of is kind} for kind, _ in CASES}
    assert names[SoftmaxBoxes] == names[ObjectnessBoxes] >= LOSSES_OF_BOXES - OF_SIGMOIDS
    assert names[SigmoidBoxes] >= OF_SIGMOIDS
    assert all(takes_logits(loss) for kind in names for loss in losses_of(kind))


@pytest.mark.parametrize(("kind", "loss"), CASES, ids=lambda part: part if isinstance(part, str) else part.__name__)
def test_every_loss_trains(kind: type[BoxClassification], loss: str) -> None:
    classifier = CosineClassifier if loss == "LDAMLoss" else nn.Linear
    method = make(masks=False, boxes=boxes_with(kind, loss), classifier=classifier)
    for module in method.modules():
        if isinstance(module, ClassDifficultyLoss):
            module.difficulty.update([0.9, 0.5, 0.1])
        if isinstance(module, Loss):
            module.set_epoch(1, 2)
    train(method, masks=False)["loss"].backward()
    learned = {name: parameter for name, parameter in method.named_parameters() if parameter.requires_grad}
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in learned.values())
    assert learned["network.roi_heads.box_predictor.cls_score.weight"].grad.abs().max() > 0


def test_a_count_of_0_is_taken_for_1() -> None:
    method = make(counts=[9, 0, 2], boxes=boxes_with(SoftmaxBoxes, "LogitAdjustedLoss"))
    assert method.num_classes == 3
    assert torch.equal(method.boxes.loss.adjustment, LogitAdjustedLoss([4, 9, 1, 2]).adjustment)
    train(method)["loss"].backward()


def test_the_boxes_prepare_the_classifier() -> None:
    bias = make("sigmoid").network.roi_heads.box_predictor.cls_score.bias
    torch.testing.assert_close(bias.sigmoid(), torch.tensor([0.99, 0.01, 0.01, 0.01]))


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda method: pickle.loads(pickle.dumps(method))], ids=["copy", "pickle"]
)
@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_a_copy_is_whole_and_apart(kind: str, duplicate: Callable[[RCNN], RCNN]) -> None:
    method = make(kind, masks=False)
    train(method)
    twin = duplicate(method)
    assert_same((train(twin), detect(twin)), (train(method), detect(method)))
    before = detect(method)
    with torch.no_grad():
        twin.network.roi_heads.box_predictor.cls_score.weight.zero_()
        twin.network.roi_heads.box_predictor.cls_score.bias.zero_()
    if kind == "softmax":
        assert train(twin)["loss_classifier"].item() == pytest.approx(math.log(4))
    _, pairs = detect(twin)
    assert pairs is not None
    assert set(pairs[:, 1].tolist()) == {0}
    assert_same(detect(method), before)


def test_a_state_dict_holds_everything() -> None:
    method, twin = make("sigmoid"), make("sigmoid")
    for parameter in twin.parameters():
        nn.init.normal_(parameter)
    train(method)  # moves the state of the loss
    twin.load_state_dict(method.state_dict())
    assert_same((detect(twin), train(twin)), (detect(method), train(method)))


def test_training_and_evaluation_leave_nothing_to_each_other() -> None:
    method = make()
    losses, detections = train(method), detect(method)
    assert_same((train(method), detect(method)), (losses, detections))
    images, _ = batch()
    with torch.no_grad():
        assert_same(method.detect(images), (detections[0], None))


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_no_batch_is_kept(training: bool) -> None:
    method = make().train(training)
    images, targets = batch()
    references = [weakref.ref(target[name]) for target in targets for name in ("labels", "masks")]
    if training:
        method(images, targets)
    else:
        with torch.no_grad():
            method.detect(images, targets)
    del images, targets
    gc.collect()
    assert [reference() for reference in references] == [None] * 6
    size = sum(value.numel() * value.element_size() for value in method.state_dict().values())
    assert len(pickle.dumps(method)) < 1.2 * size + 100_000


def test_boxes_stay_in_full_precision_under_autocast() -> None:
    method = make(masks=False)
    corner = torch.tensor([[33.3, 21.7, 61.3, 60.9]])
    calls = []
    heads = method.network.roi_heads
    heads.register_forward_pre_hook(lambda module, args: calls.append(args))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        method([torch.rand(3, 64, 64)], [{"boxes": corner, "labels": torch.tensor([1])}])
    (features, proposals, _, targets), *_ = calls
    assert {tensor.dtype for tensor in (*features.values(), *proposals)} == {torch.float32}
    assert torch.equal(targets[0]["boxes"], corner)


@pytest.mark.parametrize("part", ["network.rpn.head.cls_logits", "network.roi_heads.box_predictor.cls_score",
                                  "network.roi_heads.mask_predictor.mask_fcn_logits"])  # fmt: skip
def test_outputs_that_are_not_finite_are_not_dropped_in_silence(part: str) -> None:
    """torchvision leaves out boxes whose score is NaN: such a network would have found nothing."""
    method = make().eval()
    images = batch()[0]
    method.detect(images)
    method.network.roi_heads.score_thresh = 0.0  # masks of something
    with torch.no_grad():
        method.get_submodule(part).bias[0] = torch.nan
    with pytest.raises(InputError, match="numbers that the network gives are not finite"):
        method.detect(images)


def test_class_counts_of_any_form() -> None:
    assert make(counts={"car": 50, "cat": 0, "owl": 3}.values()).num_classes == 3  # type: ignore[arg-type]
