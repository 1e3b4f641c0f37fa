"""What the benchmarks measure against: balanced contrastive learning written the usual way.

Torchvision's transforms on one PIL image at a time, worker processes, float32, a loss of mask matrices.
"""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms as T

from benchmarks.measure import synchronise
from longtail.models import Backbone, ClassPrototypes, CosineClassifier, ProjectionHead

Transform = Callable[[Image.Image], Tensor]
Statistics = tuple[Sequence[float], Sequence[float]]  # mean and standard deviation of the channels


class Cutout:
    """A square of zeros about a random pixel of a tensor (3, H, W)."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, image: Tensor) -> Tensor:
        _, height, width = image.shape
        top, left = random.randrange(height) - self.size // 2, random.randrange(width) - self.size // 2
        mask = torch.ones(height, width)
        mask[max(0, top) : max(0, top + self.size), max(0, left) : max(0, left + self.size)] = 0
        return image * mask


def _jitter() -> list[object]:
    return [T.RandomApply([T.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8), T.RandomGrayscale(0.2)]


def cifar_views(statistics: Statistics) -> list[Transform]:
    """The views of CIFAR-100-LT, one of each kind: the classifier's, and the contrastive one."""
    crop, tensor, normalise = [T.RandomCrop(32, padding=4), T.RandomHorizontalFlip()], T.ToTensor(), statistics
    auto = T.AutoAugment(T.AutoAugmentPolicy.CIFAR10)
    return [
        T.Compose([*crop, auto, tensor, Cutout(16), T.Normalize(*normalise)]),
        T.Compose([*crop, *_jitter(), tensor, T.Normalize(*normalise)]),
    ]


def file_views(size: int, min_scale: float, statistics: Statistics) -> list[Transform]:
    """The three views of photos: the classifier's, and two contrastive ones."""
    crop = [T.RandomResizedCrop(size, (min_scale, 1.0)), T.RandomHorizontalFlip()]
    end = [T.ToTensor(), T.Normalize(*statistics)]
    classifier = T.Compose([*crop, T.ColorJitter(0.4, 0.4, 0.4, 0.0), T.RandAugment(2, 10), *end])
    contrastive = T.Compose([*crop, *_jitter(), *end])
    return [classifier, contrastive, contrastive]


class ViewsOfArrays(Dataset[tuple[list[Tensor], int]]):
    """Images in memory (M, H, W, 3), each through every transform."""

    def __init__(self, images: NDArray[np.uint8], targets: Sequence[int], transforms: Sequence[Transform]) -> None:
        self.images, self.targets, self.transforms = images, targets, transforms

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[list[Tensor], int]:
        image = Image.fromarray(self.images[row])
        return [transform(image) for transform in self.transforms], self.targets[row]


class ViewsOfFiles(Dataset[tuple[list[Tensor], int]]):
    """Image files, each opened once and sent through every transform."""

    def __init__(self, paths: Sequence[Path], transforms: Sequence[Transform]) -> None:
        self.paths, self.transforms = paths, transforms

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[list[Tensor], int]:
        with Image.open(self.paths[row]) as file:
            image = file.convert("RGB")
        return [transform(image) for transform in self.transforms], 0


def balanced_contrastive(embeddings: Tensor, targets: Tensor, prototypes: Tensor, temperature: float) -> Tensor:
    """The balanced contrastive loss with its masks: embeddings (N, 2, D), targets (N,), prototypes (C, D)."""
    n, classes = len(targets), len(prototypes)
    anchors = torch.cat(embeddings.unbind(1))
    keys = torch.cat([anchors, prototypes])
    labels = torch.cat([targets, targets, torch.arange(classes, device=targets.device)])
    others = torch.ones(2 * n, 2 * n + classes, device=keys.device).fill_diagonal_(0)
    positive = torch.eq(labels[: 2 * n, None], labels).float() * others
    scores = anchors @ keys.T / temperature
    scores = scores - scores.max(dim=1, keepdim=True).values.detach()
    members = F.one_hot(labels, classes).sum(0)[labels] - positive
    log_sum = (scores.exp() * others / members).sum(1, keepdim=True).log()
    return -((positive * (scores - log_sum)).sum(1) / positive.sum(1)).mean()


class UsualBCL(nn.Module):
    """The network of balanced contrastive learning on CIFAR, and its loss."""

    def __init__(self, class_counts: Sequence[int]) -> None:
        super().__init__()
        self.backbone = Backbone("resnet32_cifar")
        self.classifier = CosineClassifier(64, len(class_counts))
        self.projection = ProjectionHead(64, 512, 128)
        self.prototypes = ClassPrototypes(64, 512, 128)
        counts = torch.tensor(class_counts, dtype=torch.float32)
        self.register_buffer("log_prior", (counts / counts.sum()).log())

    def forward(self, views: Sequence[Tensor], targets: Tensor) -> Tensor:
        n = len(targets)
        features = self.backbone(torch.cat(list(views)))
        logits = self.classifier(features[:n])
        projected = self.projection(features[n:])
        embeddings = torch.stack([projected[:n], projected[n:]], dim=1)
        prototypes = self.prototypes(self.classifier.weight)
        adjusted = F.cross_entropy(logits + self.log_prior, targets)
        return 2.0 * adjusted + 0.6 * balanced_contrastive(embeddings, targets, prototypes, 0.1)


class UsualTraining:
    """Training with worker processes that make the views of single images.

    Args:
        images: uint8 (M, 32, 32, 3).
        targets: class of each image.
        statistics: of the channels.
        batch_size: images of a batch.
        workers: processes.
        device: of the network.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        targets: Sequence[int],
        statistics: Statistics,
        batch_size: int,
        workers: int,
        device: torch.device,
    ) -> None:
        self.ahead, self.device = 2 * workers, device  # a loader holds two batches ready for every worker
        classifier, contrastive = cifar_views(statistics)
        data = ViewsOfArrays(images, targets, [classifier, contrastive, contrastive])
        rows = 3 * self.ahead * batch_size
        self.loader = DataLoader(
            data,
            batch_size,
            sampler=RandomSampler(data, replacement=True, num_samples=rows),
            num_workers=workers,
            pin_memory=device.type == "cuda",
            persistent_workers=True,
        )
        self.network = UsualBCL(np.bincount(targets).tolist()).to(device)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def step(self, views: Sequence[Tensor], targets: Tensor) -> None:
        views = [view.to(self.device, non_blocking=True) for view in views]
        loss = self.network(views, targets.to(self.device, non_blocking=True))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def seconds(self) -> list[float]:
        """Seconds of a step in the midst of an epoch, as means over successive steps, one for each worker.

        Both before and after the steps that are timed, the workers make as many batches as they hold ready.
        """
        times = []
        for i, (views, targets) in enumerate(self.loader):  # to its end, so that the workers rest afterwards
            if i < 2 * self.ahead:
                self.step(views, targets)
            if self.ahead <= i + 1 <= 2 * self.ahead:
                synchronise(self.device)
                times.append(time.perf_counter())
        n = self.loader.num_workers
        return [(end - start) / n for start, end in zip(times, times[n:], strict=False)]
