"""Gaussian mixture likelihood: mutual information of features and labels, with a queue of keys for each class."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from longtail.counts import Counts, counts_tensor
from longtail.distributed import gather
from longtail.errors import InputError
from longtail.losses.base import Loss, build_loss
from longtail.losses.gml import GaussianMixtureLoss
from longtail.losses.logit_adjusted import LogitAdjustedLoss
from longtail.methods.base import OneCosine, feature_count
from longtail.methods.teachers import Teacher, distil
from longtail.models.class_queue import ClassQueue
from longtail.models.heads import ProjectionHead
from longtail.models.momentum import MomentumEncoder
from longtail.plain import AnyPath


class GaussianMixture(OneCosine):
    """What the two forms of GML share: they differ in where the keys come from.

    Args:
        class_counts: training images of each class (C,).
        backbone: images to features, with an attribute ``num_features``.
        key_features: length of a key's features.
        queue_size: K, keys of all classes; by default a third of the training images, at most 16384, and at least four
            for each class.
        min_per_class: k0, keys that every class has at least.
        embedding_features: length of an embedding.
        temperature: of the contrastive loss at the start; it is learned.
        classifier_weight: gamma of the released code.
        contrastive_weight: beta of the released code.
        scale: of the cosine classifiers, 1 / tau_s.
        logit_loss: of the classifier, or what makes it from the class counts.

    Raises:
        InputError: if the queue is too small for the classes.
    """

    num_views = 3
    wants_rows = True

    def __init__(
        self,
        class_counts: Counts,
        backbone: nn.Module,
        key_features: int,
        queue_size: int | None = None,
        min_per_class: int = 2,
        embedding_features: int = 32,
        temperature: float = 0.1,
        classifier_weight: float = 1.0,
        contrastive_weight: float = 1.0,
        scale: float = 30.0,
        logit_loss: Loss | Callable[[Counts], Loss] = LogitAdjustedLoss,
    ) -> None:
        super().__init__(class_counts, backbone, scale)
        self.scale = scale
        self.projection = ProjectionHead(self.num_features, self.num_features, embedding_features)
        if queue_size is None:
            queue_size = max(
                min(int(counts_tensor(class_counts).sum()) // 3, 16384), max(4, min_per_class) * self.num_classes
            )
        try:
            self.queue = ClassQueue(class_counts, key_features, queue_size, min_per_class)
        except ValueError as error:
            raise InputError(f"queue_size {queue_size} does not fit: {error}") from error
        self.logit_loss = build_loss(logit_loss, class_counts)
        self.prior_strength = self.logit_loss.prior_strength
        self.contrastive = GaussianMixtureLoss(class_counts, temperature)
        self.classifier_weight = classifier_weight
        self.contrastive_weight = contrastive_weight

    @abstractmethod
    def keys(self, images: Tensor) -> Tensor:
        """Features (N, key_features) of the key view, without gradient."""

    def further_terms(self, logits: Tensor, images: Tensor) -> dict[str, tuple[float, Tensor]]:
        """Further terms of the loss from view 1 and its logits (N, C), by name: weight and value; none by default."""
        return {}

    @abstractmethod
    def project_keys(self, features: Tensor) -> Tensor:
        """Embeddings (K, embedding_features) of the queue."""

    def forward(self, views: Sequence[Tensor], targets: Tensor, rows: Tensor | None = None) -> dict[str, Tensor]:
        self.check_views(views)
        first, query = self.backbone(torch.cat(list(views[:2]))).chunk(2)
        logits = self.classifier(first)
        classifier = self.logit_loss(logits, targets)
        keys, queue = gather(self.keys(views[2])), self.queue
        queue.enqueue(keys, gather(targets), None if rows is None else gather(rows))
        # a copy, as the next step writes to the queue; slots that are still empty must not enter the batch statistics
        # of the projection as zeros, so keys of this batch stand in for them
        stand_in = keys[torch.arange(len(queue.targets), device=keys.device) % len(keys)].to(queue.features.dtype)
        features = torch.where(queue.targets[:, None] >= 0, queue.features, stand_in)
        ids = (None, None) if rows is None else (rows, queue.ids.clone())
        contrastive = self.contrastive(
            self.projection(query), targets, self.project_keys(features), queue.targets.clone(), *ids
        )
        further = self.further_terms(logits, views[0])
        loss = self.classifier_weight * classifier + self.contrastive_weight * contrastive
        return {
            "loss": loss + sum(weight * term for weight, term in further.values()),
            "classifier": classifier.detach(),
            "contrastive": contrastive.detach(),
            "temperature": self.contrastive.temperature.detach(),
            **{name: term.detach() for name, (_, term) in further.items()},
            "logits": logits.detach(),
        }


class GML(GaussianMixture):
    """Gaussian mixture likelihood with a momentum encoder:
    L = classifier_weight * L_LA(view 1) + contrastive_weight * L_GML(views 2, 3).

    L_LA is the logit-adjusted cross-entropy of a cosine classifier. L_GML contrasts view 2, the query, with a queue of
    keys for each class. The queue holds features of view 3 from the key encoder, which follows the network with
    momentum; they are projected anew in each step. Several processes share the keys of all.

    Args:
        class_counts: training images of each class (C,).
        backbone: images to features, with an attribute ``num_features``.
        momentum: of the key encoder.
        options: those of `GaussianMixture`.

    Raises:
        InputError: if the queue is too small for the classes.

    Source: Suh and Seo, Long-tailed recognition by mutual information maximization between latent features and
    ground-truth labels, ICML 2023, and its released code.
    """

    def __init__(
        self,
        class_counts: Counts,
        backbone: nn.Module,
        momentum: float = 0.999,
        **options: Any,  # those of the base class
    ) -> None:
        super().__init__(class_counts, backbone, feature_count(backbone), **options)
        self.key_encoder = MomentumEncoder(backbone, momentum)
        self.key_projection = MomentumEncoder(self.projection, momentum)

    def keys(self, images: Tensor) -> Tensor:
        self.key_encoder.update(self.backbone)
        self.key_projection.update(self.projection)
        features: Tensor = self.key_encoder(images)
        return features

    def project_keys(self, features: Tensor) -> Tensor:
        embeddings: Tensor = self.key_projection(features)
        return embeddings


class GMLTeacher(GaussianMixture):
    """Gaussian mixture likelihood whose keys come from a larger teacher, trained before and frozen:
    L = classifier_weight * L_LA(view 1) + contrastive_weight * L_GML(views 2, 3) + distillation_weight * L_KD(view 1).

    As `GML`, but the projection of the keys is trained, and L_KD = 16 KL(teacher || student), between predictions
    softened by temperature 4, is added.

    Args:
        class_counts: training images of each class (C,).
        backbone: images to features, with an attribute ``num_features``.
        teacher: backbone of the teacher.
        teacher_checkpoint: checkpoint of the teacher's run, a ``Plain`` with a cosine classifier; without it the
            teacher is taken as it is.
        distillation_weight: alpha of the released code.
        options: those of `GaussianMixture`; the scale is that of the teacher's classifier too.

    Raises:
        InputError: if the teacher's checkpoint cannot be used, or the queue is too small for the classes.

    Source: Suh and Seo, Long-tailed recognition by mutual information maximization between latent features and
    ground-truth labels, ICML 2023, and its released code.
    """

    def __init__(
        self,
        class_counts: Counts,
        backbone: nn.Module,
        teacher: nn.Module,
        teacher_checkpoint: AnyPath | None = None,
        distillation_weight: float = 1.0,
        **options: Any,  # those of the base class
    ) -> None:
        features = feature_count(teacher)
        super().__init__(class_counts, backbone, features, **options)
        self.key_encoder = Teacher(teacher, self.num_classes, self.scale, teacher_checkpoint)
        self.key_projection = ProjectionHead(features, features, self.projection.out_features)
        self.distillation_weight = distillation_weight

    def keys(self, images: Tensor) -> Tensor:
        features: Tensor = self.key_encoder(images)[0]
        return features

    def project_keys(self, features: Tensor) -> Tensor:
        embeddings: Tensor = self.key_projection(features)
        return embeddings

    def further_terms(self, logits: Tensor, images: Tensor) -> dict[str, tuple[float, Tensor]]:
        if self.distillation_weight == 0:  # the teacher need not look at these images
            return {}
        return {"distillation": (self.distillation_weight, distil(logits, self.key_encoder(images)[1]))}
