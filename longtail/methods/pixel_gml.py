"""Gaussian mixture likelihood over pixels."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from longtail.counts import Counts
from longtail.distributed import gather, sum_over_processes
from longtail.errors import InputError
from longtail.losses.base import Loss
from longtail.losses.gml import GaussianMixtureLoss
from longtail.losses.logit_adjusted import LogitAdjustedLoss
from longtail.methods.pixels import PixelMethod
from longtail.models.class_queue import ClassQueue
from longtail.models.heads import ProjectionHead
from longtail.models.momentum import MomentumEncoder
from longtail.models.segmenters import PixelBackbone


class PixelGML(PixelMethod):
    r"""Gaussian mixture likelihood with pixels as samples:
    :math:`L = L_{LA} + w \, L_{GML}`.

    L_LA is the logit-adjusted cross-entropy of all pixels. L_GML contrasts a sample of them with a queue of keys for
    each class, by one projection head behind the features of the network. The sample is class-balanced: every class in
    the batch gets the same number of places, and no more than it has pixels. So the prior in L_GML is uniform, and all
    classes have queues of the same length. The features of the sample then become keys. They are projected anew in each
    step, by a head that follows the projection with momentum.

    Pixels are sampled where the map of features has its points, with the label that lies there.

    Args:
        class_counts: training pixels of each class (C,); 0 is taken for 1.
        backbone: images to maps of features.
        loss: of the logits of pixels, or what makes it from the class counts.
        samples: pixels of a step and process that are contrasted and become keys, at most.
        queue_size: K, keys of all classes; by default 64 for each, at most 16384 and at least 4 for each.
        embedding_features: length of an embedding.
        temperature: of the contrastive loss at the start; it is learned.
        contrastive_weight: w.
        momentum: of the projection of the keys.
        options: those of `PixelMethod`.

    Raises:
        InputError: if the queue is too small for the classes, or no pixel is to be sampled.

    Source: Suh and Seo, Long-tailed recognition by mutual information maximization between latent features and
    ground-truth labels, ICML 2023, for the loss. How pixels are sampled, and that keys are the network's own, is ours.
    """

    def __init__(
        self,
        class_counts: Counts,
        backbone: PixelBackbone | None = None,
        loss: Loss | Callable[[Counts], Loss] = LogitAdjustedLoss,
        samples: int = 1024,
        queue_size: int | None = None,
        embedding_features: int = 128,
        temperature: float = 0.1,
        contrastive_weight: float = 0.1,
        momentum: float = 0.999,
        **options: Any,  # those of the base class
    ) -> None:
        super().__init__(class_counts, backbone, loss, **options)
        if samples < 1:
            raise InputError(f"samples must be at least 1, got {samples}")
        if queue_size is None:
            queue_size = max(min(64 * self.num_classes, 16384), 4 * self.num_classes)
        features, even = self.backbone.num_features, [1] * self.num_classes
        try:
            self.queue = ClassQueue(even, features, queue_size)
        except ValueError as error:
            raise InputError(f"queue_size {queue_size} does not fit: {error}") from error
        self.projection = ProjectionHead(features, features, embedding_features)
        self.key_projection = MomentumEncoder(self.projection, momentum)
        self.contrastive = GaussianMixtureLoss(even, temperature)
        self.samples, self.contrastive_weight = samples, contrastive_weight

    def forward(self, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        features, targets = self.backbone(images), self.filled(targets)
        classifier = self.loss(self.classify(features, (targets.shape[1], targets.shape[2])), targets)
        # the labels (N, h, w) where the map of features has its points
        points = (features.shape[2], features.shape[3])
        labels = F.interpolate(targets[:, None].float(), points, mode="nearest-exact")[:, 0].long()
        rows = balanced_rows(labels.flatten(), self.num_classes, self.samples)
        sampled = features.movedim(1, -1).flatten(0, 2)[rows]
        contrastive = self._contrast(sampled, labels.flatten()[rows])
        return {
            "loss": classifier + self.contrastive_weight * contrastive,
            "classifier": classifier.detach(),
            "contrastive": contrastive.detach(),
            "temperature": self.contrastive.temperature.detach(),
        }

    def _contrast(self, features: Tensor, targets: Tensor) -> Tensor:
        """The contrastive loss of sampled features (M, F) against the keys so far; then they become keys."""
        queue = self.queue
        self.key_projection.update(self.projection)
        filled = queue.targets >= 0
        # Batch statistics want two rows. They may be of all processes, so either every process projects or none.
        short = sum_over_processes(torch.tensor(int(len(targets) < 2), device=targets.device))
        if int(short) == 0 and int(filled.sum()) > 1:
            keys = self.key_projection(queue.features[filled])
            loss: Tensor = self.contrastive(self.projection(features), targets, keys, queue.targets[filled])
        else:  # 0, with a gradient for every parameter, as several processes expect it
            parts = [*self.projection.parameters(), *self.contrastive.parameters()]
            loss = torch.stack([part.sum() for part in parts]).sum() * 0
        queue.enqueue(gather(features.detach()), gather(targets))
        return loss


def balanced_rows(labels: Tensor, num_classes: int, samples: int) -> Tensor:
    """Rows of a random sample of at most ``samples`` labels, the same number of every class as far as it has them. The
    last places, fewer than there are classes, go to classes at random.

    Args:
        labels: (M,); what is outside 0..C-1 is left out.
        num_classes: C.
        samples: of all classes.
    """
    rows = ((labels >= 0) & (labels < num_classes)).nonzero().squeeze(1)
    rows = rows[torch.randperm(len(rows), device=rows.device)]
    of_row = torch.randperm(num_classes, device=rows.device)[labels[rows]]  # classes in a random order
    order = of_row.argsort(stable=True)
    counts = torch.bincount(of_row, minlength=num_classes)
    start = counts.cumsum(0) - counts
    rank = torch.arange(len(rows), device=rows.device) - start[of_row[order]]
    return rows[order[rank.argsort(stable=True)[:samples]]]
