"""Faster R-CNN and Mask R-CNN whose boxes are classified by the losses of this package."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import box_iou

from longtail.augment.instances import BoxTarget
from longtail.augment.preprocessing import STANDARD, Channels, Preprocessing
from longtail.checks import as_tensor, check_outputs
from longtail.counts import Counts, counts_tensor
from longtail.errors import InputError
from longtail.methods.boxes import BoxClassification, SoftmaxBoxes
from longtail.models.detectors import DetectorBackbone, ResNet50FPN

Target = BoxTarget | dict[str, Tensor]  # what data sets are typed as elsewhere

MATCHED = 0.5  # IoU from which a proposal is one of an object


class RCNN(nn.Module):
    """A Faster R-CNN or Mask R-CNN of torchvision with another classification of boxes.

    Only the branch that classifies boxes is replaced; proposals, box regression and masks are torchvision's, as is the
    sampling of boxes in training. Images come as a list of (3, H, W), float in 0..1, of any sizes.

    Args:
        class_counts: training instances of each class (C,); 0 is taken for 1.
        backbone: what the network is made around; ``longtail.models.ResNet50FPN`` or ``longtail.models.TimmFPN``.
        masks: whether to segment the instances as well.
        boxes: called with the class counts to make the classification of boxes; ``longtail.methods.SoftmaxBoxes``,
            ``ObjectnessBoxes`` or ``SigmoidBoxes`` with the loss of your choice.
        classifier: called with (features, C + 1) to make the last layer of that branch; ``torch.nn.Linear`` or
            ``longtail.models.CosineClassifier``.
        min_size: shorter side that an evaluated image is resized to, in pixels. Training images are resized by the
            data module.
        max_size: longest side that is allowed in that.
        score_threshold: detections with a lower score are left out.
        detections: most detections kept in an image.
        boxes_per_image: boxes sampled in a training image for the box branch.
        mean, std: of red, green and blue, which the network normalises by; ImageNet's where left out.

    Attributes:
        num_classes: C.
    """

    _proposals: list[Tensor]
    _targets: list[Target]

    def __init__(
        self,
        class_counts: Counts,
        backbone: DetectorBackbone | None = None,
        masks: bool = True,
        boxes: Callable[[Counts], BoxClassification] = SoftmaxBoxes,
        classifier: Callable[[int, int], nn.Module] = nn.Linear,
        min_size: int = 800,
        max_size: int = 1333,
        score_threshold: float = 0.05,
        detections: int = 100,
        boxes_per_image: int = 512,
        mean: Channels | None = None,
        std: Channels | None = None,
    ) -> None:
        super().__init__()
        if min_size < 1 or max_size < min_size or detections < 1 or boxes_per_image < 1 or not 0 <= score_threshold < 1:
            raise InputError(
                f"sizes and numbers must be at least 1, max_size at least min_size, and score_threshold in [0, 1), got "
                f"min_size {min_size}, max_size {max_size}, detections {detections}, boxes_per_image "
                f"{boxes_per_image}, score_threshold {score_threshold}"
            )
        normalise, _ = Preprocessing(mean, std).over(STANDARD).parts()
        counts = as_tensor("class_counts", class_counts, "C").clamp(min=1)
        self.num_classes = len(counts_tensor(counts))
        self.masks = masks
        self.boxes = boxes(counts)
        self.network = (backbone or ResNet50FPN())(
            self.num_classes + 1,
            masks,
            min_size=min_size,
            max_size=max_size,
            box_score_thresh=score_threshold / self.boxes.scale,
            box_detections_per_img=detections,
            box_batch_size_per_image=boxes_per_image,
            image_mean=list(normalise.mean),
            image_std=list(normalise.std),
            _skip_resize=True,  # in training alone, as the view resizes; torchvision has no public name for it
        )
        heads = self.network.roi_heads
        heads.box_predictor = _BoxPredictor(heads.box_predictor, self.boxes, classifier)
        self._sampled = _Sampled(heads.select_training_samples)
        heads.select_training_samples = self._sampled
        heads.register_forward_pre_hook(self._keep_proposals)
        for module in (self.network.backbone, self.network.rpn.head):
            module.register_forward_hook(_in_full_precision)
        for module in (self.network.rpn.head, heads.box_predictor, heads.mask_predictor):
            if module is not None:
                module.register_forward_hook(_finite)
        self._forget()

    @property
    def _predictor(self) -> "_BoxPredictor":
        return self.network.roi_heads.box_predictor  # type: ignore[no-any-return]

    def _keep_proposals(self, heads: nn.Module, args: tuple[Any, ...]) -> None:
        if not heads.training:
            self._proposals, self._targets = args[1], args[3]

    def _forget(self) -> None:
        """Let go of what was kept of a batch."""
        self._proposals, self._targets = [], []
        self._predictor.logits = self._sampled.labels = torch.empty(0)

    def forward(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Compute the training loss.

        Args:
            images: N of (3, H, W), float in 0..1.
            targets: of each image "boxes" (n, 4) as x1, y1, x2, y2 in pixels, "labels" (n,) in 0..C-1, and with masks
                "masks" (n, H, W), uint8.

        Returns:
            "loss", a scalar to minimise, and its parts by torchvision's names, detached.
        """
        labelled = [{**target, "labels": target["labels"] + 1} for target in targets]
        losses: dict[str, Tensor] = self.network(list(images), labelled)
        losses["loss_classifier"] = self.boxes(self._predictor.logits, self._sampled.labels)
        self._forget()
        loss = torch.stack(list(losses.values())).sum()
        return {"loss": loss, **{name: value.detach() for name, value in losses.items()}}

    def detect(
        self, images: Sequence[Tensor], targets: Sequence[Target] | None = None
    ) -> tuple[list[dict[str, Tensor]], Tensor | None]:
        """Detect objects; call it in evaluation mode.

        Args:
            images: N of (3, H, W), float in 0..1.
            targets: "boxes" and "labels" of each image, for the second result alone.

        Returns:
            Of each image "boxes" (n, 4) in its pixels, "labels" (n,) in 0..C-1, "scores" (n,), highest first, and with
            masks "masks" (n, 1, H, W), float in 0..1. Then where targets are given, for every proposal that overlaps an
            object by an IoU of at least 0.5, the class of the object and the class of highest score, (K, 2).

        Raises:
            InputError: if the network gives NaN or infinity.
        """
        truth = None
        if targets is not None:
            truth = [{"boxes": target["boxes"], "labels": target["labels"]} for target in targets]
        detections: list[dict[str, Tensor]] = self.network(list(images), truth)
        for of_image in detections:
            of_image["labels"] = of_image["labels"] - 1
            of_image["scores"] = of_image["scores"] * self.boxes.scale
        pairs = None if targets is None else self._pairs()
        self._forget()
        return detections, pairs

    def _pairs(self) -> Tensor:
        predicted = self.boxes.scores(self._predictor.logits).argmax(1)
        pairs = []
        of_images = torch.split(predicted, [len(boxes) for boxes in self._proposals])
        for proposals, target, of_image in zip(self._proposals, self._targets, of_images, strict=True):
            if len(target["boxes"]) == 0 or len(proposals) == 0:
                continue
            overlap, nearest = box_iou(proposals.float(), target["boxes"].float()).max(1)
            matched = overlap >= MATCHED
            pairs.append(torch.stack([target["labels"][nearest[matched]], of_image[matched]], 1))
        return torch.cat(pairs) if pairs else predicted.new_empty((0, 2))


class _BoxPredictor(nn.Module):
    """Class logits and box regression; keeps the logits, and outside training hands on what torchvision's softmax turns
    into the scores."""

    def __init__(
        self, replaced: nn.Module, boxes: BoxClassification, classifier: Callable[[int, int], nn.Module]
    ) -> None:
        super().__init__()
        features: int = replaced.cls_score.in_features  # type: ignore[union-attr, assignment]
        self.cls_score = classifier(features, boxes.num_classes + 1)
        boxes.start(self.cls_score)
        self.bbox_pred = replaced.bbox_pred
        self._log_shares = boxes.log_shares
        self.logits = torch.empty(0)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        features = features.flatten(1)
        self.logits = self.cls_score(features)
        logits = self.logits if self.training else self._log_shares(self.logits)
        return logits.float(), self.bbox_pred(features).float()  # type: ignore[operator]


def _in_full_precision(module: nn.Module, args: Any, out: Any) -> Any:
    """Lift what a module gives to float32 under autocast: torchvision's boxes take its type, and bfloat16 has steps of
    4 pixels above 512."""
    if isinstance(out, Tensor):
        return out.float()
    if isinstance(out, dict):
        return type(out)((name, value.float()) for name, value in out.items())
    return type(out)(_in_full_precision(module, args, part) for part in out)


def _finite(module: nn.Module, args: Any, out: Any) -> None:
    """Refuse outputs that are NaN or infinite, out of training: torchvision would drop such boxes in silence."""
    if module.training or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return
    for part in (out,) if isinstance(out, Tensor) else out:
        for values in (part,) if isinstance(part, Tensor) else part:
            check_outputs(values, "numbers that the network gives", dim=None)


class _Sampled:
    """Wraps torchvision's sampling of boxes and keeps their labels."""

    def __init__(self, select: Callable[..., tuple[Any, ...]]) -> None:
        self.select, self.labels = select, torch.empty(0)

    def __call__(self, *args: Any) -> tuple[Any, ...]:
        samples = self.select(*args)
        self.labels = torch.cat(samples[2])
        return samples
