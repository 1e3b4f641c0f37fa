"""Trained networks that teach others, and what is learned from them."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longtail.checkpoint import load_state, read_method
from longtail.errors import InputError
from longtail.messages import plural
from longtail.methods.base import Method, feature_count
from longtail.models.classifiers import CosineClassifier
from longtail.plain import AnyPath


class Frozen(nn.Module):
    """What stays as it is: always in evaluation mode, without gradients."""

    def train(self, mode: bool = True) -> "Frozen":
        """Stay in evaluation mode."""
        return super().train(False)

    def freeze(self) -> None:
        """Leave it as it is from now on."""
        self.requires_grad_(False).eval()


class Teacher(Frozen):
    """A trained network: images to features and logits.

    Args:
        backbone: images to features, with an attribute ``num_features``.
        num_classes: C.
        scale: of the cosine classifier.
        checkpoint: of a run of ``Plain`` with a cosine classifier; without it the backbone is taken as it is.

    Raises:
        InputError: if the checkpoint is missing, damaged, or of another network.
    """

    def __init__(self, backbone: nn.Module, num_classes: int, scale: float, checkpoint: AnyPath | None) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = CosineClassifier(feature_count(backbone), num_classes, scale)
        if checkpoint is not None:
            checkpoint = Path(checkpoint)
            state = read_method(checkpoint)
            weights = {key: value for key, value in state.items() if key.startswith(("backbone.", "classifier."))}
            load_state(self, weights, checkpoint)
        self.freeze()

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.backbone(images)
        return features, self.classifier(features)


class Ensemble(Frozen):
    """Trained methods of the same classes: images to the logits of each, (M, N, C).

    Args:
        methods: the M of them.
        checkpoints: of their runs, in the same order; None takes them as they are.

    Raises:
        InputError: if there is none, there are more or fewer checkpoints, or one of these is missing, damaged, or of
            another network.
    """

    def __init__(self, methods: Sequence[Method], checkpoints: Sequence[AnyPath] | None) -> None:
        super().__init__()
        if not methods:
            raise InputError("there is no teacher: give one trained method or more")
        if checkpoints is not None and len(checkpoints) != len(methods):
            counts = plural(len(methods), "teacher"), plural(len(checkpoints), "checkpoint")
            raise InputError(f"{' and '.join(counts)}: give one for each")
        self.methods = nn.ModuleList(methods)
        for method, checkpoint in zip(methods, checkpoints or (), strict=checkpoints is not None):
            load_state(method, read_method(Path(checkpoint)), Path(checkpoint))
        self.freeze()

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([teacher.classify(images).float() for teacher in cast("Iterable[Method]", self.methods)])


def distil(student: Tensor, teachers: Tensor, temperature: float = 4.0) -> Tensor:
    r"""What a student lacks of its teachers' mean prediction, softened by a temperature:

    .. math::
        T^2 \, \mathrm{KL}(\frac{1}{M} \sum_m \mathrm{softmax}(z_m / T) \,\|\, \mathrm{softmax}(z / T))

    Args:
        student: logits z (N, C).
        teachers: logits z_m (M, N, C), or (N, C) of one.
        temperature: T.

    Source: Hinton et al., Distilling the knowledge in a neural network, 2015, section 2, and of an ensemble section 3.
    """
    of_student, of_each = ((logits.float() / temperature).log_softmax(-1) for logits in (student, teachers))
    of_teachers = of_each if of_each.ndim == 2 else of_each.logsumexp(0) - math.log(len(of_each))
    return temperature**2 * F.kl_div(of_student, of_teachers, reduction="batchmean", log_target=True)
