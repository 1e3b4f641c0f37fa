"""Distillation: what several trained methods know, in one network."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from longtail.counts import Counts, log_prior
from longtail.errors import InputError
from longtail.losses.base import Loss
from longtail.losses.logit_adjusted import LogitAdjustedLoss
from longtail.methods.base import Method
from longtail.methods.plain import Plain
from longtail.methods.teachers import Ensemble, distil
from longtail.plain import AnyPath


class Distilled(Plain):
    r"""A classifier that learns from the labels and from trained methods, which see the same images:

    .. math::
        L = w_y \, L_{cls}(z, y) + w_d \, T^2 \, \mathrm{KL}(\frac{1}{M} \sum_m \mathrm{softmax}(\tilde z_m / T)
        \,\|\, \mathrm{softmax}(z / T)), \qquad \tilde z_m = z_m + (t - t_m) \log p

    Logits of different losses imply different class frequencies, those of cross-entropy the prior p of the training
    set, those of logit adjustment equal ones. So those of each teacher, which imply p to the power t_m, are moved to
    what those of the student imply, t (``prior_strength``); where one of the two is not known they stay as they are.

    Args:
        class_counts: training images of each class (C,).
        backbone: images to features, with an attribute ``num_features``.
        teachers: the M trained methods, of any kind; they stay as they are.
        teacher_checkpoints: of their runs, in the same order; without them they are taken as they are.
        loss: of the labels, as for ``Plain``.
        classifier: called with (features, classes) to make the classifier.
        classifier_weight: w_y.
        distillation_weight: w_d.
        temperature: T.

    Raises:
        InputError: if there is no teacher, the teachers have other classes than the data, or a checkpoint cannot be
            used.
        ValueError: if the temperature is not above 0.

    Source: Hinton et al., Distilling the knowledge in a neural network, 2015, sections 2 and 3; the same images for
    teachers and student, long: Beyer et al., Knowledge distillation: a good teacher is patient and consistent, CVPR
    2022. The shift by the prior follows from Menon et al., Long-tail learning via logit adjustment, ICLR 2021, eq. 9.
    """

    def __init__(
        self,
        class_counts: Counts,
        backbone: nn.Module,
        teachers: Sequence[Method],
        teacher_checkpoints: Sequence[AnyPath] | None = None,
        loss: Loss | Callable[[Counts], Loss] = LogitAdjustedLoss,
        classifier: Callable[[int, int], nn.Module] = nn.Linear,
        classifier_weight: float = 1.0,
        distillation_weight: float = 1.0,
        temperature: float = 4.0,
    ) -> None:
        super().__init__(class_counts, backbone, loss, classifier)
        if not temperature > 0:
            raise ValueError(f"expected a temperature above 0, got {temperature}")
        self.teachers = Ensemble(teachers, teacher_checkpoints)
        for teacher in teachers:
            if teacher.num_classes != self.num_classes:
                raise InputError(
                    f"a teacher knows {teacher.num_classes} classes, and the data has {self.num_classes}: give runs on "
                    "the same classes"
                )
        self.classifier_weight = classifier_weight
        self.distillation_weight = distillation_weight
        self.temperature = temperature
        self.shifts: Tensor
        shifts = [self._shift(teacher.prior_strength) * log_prior(class_counts) for teacher in teachers]
        self.register_buffer("shifts", torch.stack(shifts)[:, None], persistent=False)

    def _shift(self, strength: float | None) -> float:
        """By how much of log p the logits of a teacher are moved."""
        return 0.0 if strength is None or self.prior_strength is None else self.prior_strength - strength

    def forward(self, views: Sequence[Tensor], targets: Tensor) -> dict[str, Tensor]:
        self.check_views(views)
        logits = self.classify(views[0])
        classifier = self.loss(logits, targets)
        distillation = distil(logits, self.teachers(views[0]) + self.shifts, self.temperature)
        return {
            "loss": self.classifier_weight * classifier + self.distillation_weight * distillation,
            "classifier": classifier.detach(),
            "distillation": distillation.detach(),
            "logits": logits.detach(),
        }
