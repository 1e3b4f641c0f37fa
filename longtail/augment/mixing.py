"""Mixing: each image of a batch with a partner, in pixels and in labels, after the views and in training alone.

Every random number is drawn on the CPU, one per image, as by the operators of the views.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from longtail.augment.base import check_range


class Mixing(ABC):
    r"""Images mixed in pairs, :math:`(x_i, y_i)` with a partner :math:`(x_j, y_j)`, which gives soft targets.

    .. math::
        \tilde y_i = \lambda_y \, \mathrm{onehot}(y_i) + (1 - \lambda_y) \, \mathrm{onehot}(y_j), \qquad
        \lambda \sim \mathrm{Beta}(\alpha, \alpha)

    :math:`\lambda_y` is the share of :math:`x_i` in the pixels unless the class says otherwise. Every image has its own
    partner and its own lambda; the released codes of the papers draw one lambda for a batch.

    Shapes: images (N, 3, H, W), or clips (N, 3, T, H, W), float; targets (N,), int64; class counts (C,). Returns mixed
    images of that shape, and soft targets (N, C), float32. Where ``power`` is set there are 2N images and targets, of
    which the last N are the partners.

    Args:
        alpha: of the Beta distribution, above 0; 1 draws every share alike, a small one hardly mixes.
        p: probability that an image is mixed.

    Attributes:
        power: partners are drawn from the training set, classes with a probability in proportion to n_c^power; where it
            is None they are the images of the batch in another order.

    Raises:
        ValueError: if alpha is not positive, p outside 0..1, or images are not float.
    """

    power: float | None = None

    def __init__(self, alpha: float = 1.0, p: float = 1.0) -> None:
        if not 0 < alpha < float("inf"):
            raise ValueError(f"expected alpha above 0, got {alpha}")
        check_range("p", p, 0, 1)
        self.alpha, self.p = alpha, p

    def __call__(
        self, images: Tensor, targets: Tensor, class_counts: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Mix a batch; the state of the generator, which lives on the CPU, alone decides the draws."""
        if not images.is_floating_point():
            raise ValueError(f"expected float images, got {images.dtype}: mix after the views")
        device, n = images.device, len(targets) if self.power is None else len(targets) // 2
        order = torch.randperm(n, generator=generator) if self.power is None else torch.arange(n, 2 * n)
        order = order.to(device, non_blocking=True)
        random = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        shares = torch.from_numpy(random.beta(self.alpha, self.alpha, n)).float()
        shares = shares.where(torch.rand(n, generator=generator) < self.p, 1.0)
        mixed, shares = self.blend(images[:n], images[order], shares, generator)
        own, other, class_counts = targets[:n], targets[order], class_counts.to(device)
        shares = self.label_shares(shares.to(device, non_blocking=True), class_counts[own], class_counts[other])[
            :, None
        ]
        soft = shares.new_zeros(n, len(class_counts)).scatter_add(1, own[:, None], shares)
        return mixed, soft.scatter_add(1, other[:, None], 1 - shares)

    @abstractmethod
    def blend(
        self, images: Tensor, partners: Tensor, shares: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Mix the pixels of images and partners (N, ...) with the shares (N,) on the CPU; return the images, and the
        shares that it came to."""

    def label_shares(self, shares: Tensor, class_counts: Tensor, partner_class_counts: Tensor) -> Tensor:
        """The shares of the first label, lambda_y (N,), from those of the pixels and the training images of the classes
        of both, (N,) each."""
        return shares


class MixUp(Mixing):
    r"""Both images at once, :math:`\tilde x = \lambda x_i + (1 - \lambda) x_j`; see ``Mixing``.

    Args:
        alpha: of the Beta distribution, above 0.
        p: probability that an image is mixed.

    Source: Zhang et al., mixup: beyond empirical risk minimization, ICLR 2018, section 2.
    """

    def blend(
        self, images: Tensor, partners: Tensor, shares: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        parts = shares.to(images.device, images.dtype, non_blocking=True).view(-1, *[1] * (images.ndim - 1))
        return images * parts + partners * (1 - parts), shares


class CutMix(Mixing):
    r"""A box of the partner pasted over the image, :math:`\tilde x = M \odot x_i + (1 - M) \odot x_j`; see ``Mixing``.

    M is 0 in a box whose sides are :math:`\sqrt{1 - \lambda}` times those of the image, in whole pixels, and whose
    centre is any pixel; what lies outside the image is clipped. :math:`\lambda_y` is the share of the pixels outside
    the box. Of clips every frame has the same box.

    Args:
        alpha: of the Beta distribution, above 0.
        p: probability that an image is mixed.

    Source: Yun et al., CutMix: regularization strategy to train strong classifiers with localizable features, ICCV
    2019, equations 1 and 2; the share of the clipped box as in the released code.
    """

    def blend(
        self, images: Tensor, partners: Tensor, shares: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        rows, columns = (_side(shares, length, generator) for length in images.shape[-2:])
        box = rows[:, :, None] & columns[:, None]  # (N, H, W)
        inside = box.view(len(box), *[1] * (images.ndim - 3), *box.shape[1:]).to(images.device, non_blocking=True)
        return partners.where(inside, images), 1 - box.float().mean((1, 2))


def _side(shares: Tensor, length: int, generator: torch.Generator) -> Tensor:
    """Which places along a side of the image are in the box of each, (N, length)."""
    size = (length * (1 - shares).sqrt()).long()
    offset = torch.arange(length) - (torch.randint(length, size.shape, generator=generator) - size // 2)[:, None]
    return (offset >= 0) & (offset < size[:, None])


class Remix(MixUp):
    r"""``MixUp`` whose label goes to the rarer class where it is rare enough and is not hidden by the other image.

    .. math::
        \lambda_y = \begin{cases}
            0 & n_i / n_j \ge \kappa \text{ and } \lambda < \tau \\
            1 & n_i / n_j \le 1 / \kappa \text{ and } 1 - \lambda < \tau \\
            \lambda & \text{otherwise}
        \end{cases}

    :math:`n_i` is the number of training images of the class of image i.

    Args:
        alpha: of the Beta distribution, above 0.
        p: probability that an image is mixed.
        kappa: ratio of the counts from which on the label goes to one class, at least 1.
        tau: share of the common class below which it does, in 0..1.

    Raises:
        ValueError: if kappa is below 1 or tau outside 0..1.

    Source: Chou et al., Remix: rebalanced mixup, ECCV 2020 workshops, equations 5 to 7.
    """

    def __init__(self, alpha: float = 1.0, p: float = 1.0, kappa: float = 3.0, tau: float = 0.5) -> None:
        super().__init__(alpha, p)
        check_range("kappa", kappa, 1)
        check_range("tau", tau, 0, 1)
        self.kappa, self.tau = kappa, tau

    def label_shares(self, shares: Tensor, class_counts: Tensor, partner_class_counts: Tensor) -> Tensor:
        to_partner = (class_counts >= self.kappa * partner_class_counts) & (shares < self.tau)
        to_own = (partner_class_counts >= self.kappa * class_counts) & (1 - shares < self.tau)
        return shares.masked_fill(to_partner, 0).masked_fill(to_own, 1)


class CMO(CutMix):
    r"""Context-rich minority oversampling: ``CutMix`` that pastes images drawn for the tail over those of the batch.

    A partner :math:`x_j`, the foreground, is any training image with a probability in proportion to
    :math:`n_{y_j}^{-r}`, so a class has :math:`n_c^{1 - r}`: with r = 1 all classes come alike. The data module draws
    and augments as many partners as images, so a batch has twice as many to read.

    Args:
        alpha: of the Beta distribution, above 0.
        p: probability that an image is mixed.
        r: how far the draws go to the tail; 0 is the data set as it is.

    Source: Park et al., The majority can help the minority: context-rich minority oversampling for long-tailed
    classification, CVPR 2022, equations 1 to 3; weights of images, not of classes, as in the released code. That leaves
    out the first and the last epochs, and decides for a batch, not an image, whether it is mixed.
    """

    def __init__(self, alpha: float = 1.0, p: float = 0.5, r: float = 1.0) -> None:
        super().__init__(alpha, p)
        if not abs(r) < float("inf"):
            raise ValueError(f"expected r as a finite number, got {r}")
        self.power = 1 - r
