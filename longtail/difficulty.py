"""Class difficulty: how badly a model does on each class, measured on validation images, and what follows from it."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from longtail.checks import Numbers, as_tensor

TauRule = Callable[[Tensor], Tensor]


def _spread(accuracy: Numbers) -> Tensor:
    """max A / (min A + 0.01) over the classes seen; 0 if there are none."""
    accuracy = as_tensor("accuracy", accuracy, "C")
    return accuracy.nan_to_num(nan=0.0).amax() / (accuracy.nan_to_num(nan=1.0).amin() + 0.01)


def dynamic_tau(accuracy: Numbers) -> Tensor:
    """tau = 2 / (1 + exp(-b)), b = max A / (min A + 0.01) - 1, a scalar in (0, 2].

    The further apart the best and the worst class are, the larger tau is.

    Args:
        accuracy: per-class accuracies A (C,) in 0..1; nan is left out.

    Source: Sinha et al., Class-wise difficulty-balanced loss, ACCV 2020, and its released code for ImageNet-LT.
    """
    return 2 * torch.sigmoid(_spread(accuracy) - 1)


def dynamic_tau_cifar(accuracy: Numbers) -> Tensor:
    """tau = 1 / (1 + exp(-max A / (min A + 0.01))), a scalar in [0.5, 1].

    Args:
        accuracy: per-class accuracies A (C,) in 0..1; nan is left out.

    Source: the code for CIFAR-LT released with Sinha et al., ACCV 2020; it differs from the paper.
    """
    return torch.sigmoid(_spread(accuracy))


class ClassDifficulty(nn.Module):
    """Difficulty of each class, d_c = max(1 - A_c, floor), from its validation accuracy A_c.

    Update it after each validation, on every process with the accuracies of the whole set. Weights and probabilities
    stay on its device, are never read by the host, and compile without a graph break; an update is read, to check it.

    Args:
        num_classes: C.
        tau: exponent of the difficulty: a number, "dynamic" for `dynamic_tau`, or a function from the accuracies (C,),
            nan for a class never seen, to a scalar tensor.
        floor: least difficulty, in (0, 1]; it keeps a class without mistakes from being left out.

    Raises:
        ValueError: if num_classes is below 1, floor is outside (0, 1], or tau is none of the above or negative.

    Sources: Sinha et al., Class-wise difficulty-balanced loss for solving class-imbalance, ACCV 2020; Sinha et al.,
    Class-difficulty based methods for long-tailed visual recognition, IJCV 2022. The floor is ours.
    """

    accuracy: Tensor

    def __init__(
        self, num_classes: int, tau: float | Literal["dynamic"] | TauRule = "dynamic", floor: float = 0.01
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}")
        if not 0 < floor <= 1:
            raise ValueError(f"floor must be in (0, 1], got {floor}")
        self.floor = floor
        self._tau = self._rule(tau)
        self.register_buffer("accuracy", torch.full((num_classes,), math.nan))  # nan: never seen

    @staticmethod
    def _rule(tau: float | Literal["dynamic"] | TauRule) -> float | TauRule:
        if callable(tau):
            return tau
        if tau == "dynamic":
            return dynamic_tau
        if isinstance(tau, str) or not (math.isfinite(tau) and tau >= 0):
            raise ValueError(f'tau must be a non-negative number, "dynamic" or a function, got {tau!r}')
        return float(tau)

    @torch.no_grad()
    def update(self, accuracy: Numbers) -> None:
        """Take over new accuracies (C,) in 0..1; a class that is nan in them keeps what it had.

        Raises:
            ValueError: for another shape, or values outside 0..1.
        """
        new = as_tensor("accuracy", accuracy, len(self.accuracy)).to(self.accuracy)
        if new.shape != self.accuracy.shape:
            raise ValueError(f"accuracy must have shape {tuple(self.accuracy.shape)}, got {tuple(new.shape)}")
        outside = (new < 0) | (new > 1)
        if outside.any():
            c = int(outside.int().argmax())
            raise ValueError(f"accuracy must lie in 0..1 or be nan, got {float(new[c])} for class {c}")
        self.accuracy.copy_(new.where(~new.isnan(), self.accuracy))

    @property
    def tau(self) -> Tensor:
        """Current exponent, a scalar tensor."""
        if callable(self._tau):
            return self._tau(self.accuracy.float())
        return self.accuracy.new_full((), self._tau, dtype=torch.float32)

    def difficulty(self) -> Tensor:
        """d (C,), float32: the mean of the classes seen for a class never seen, and 1 before the first update."""
        d = (1 - self.accuracy.float()).clamp_min(self.floor)
        return d.where(~d.isnan(), d.nanmean()).nan_to_num(nan=1.0)

    def weights(self) -> Tensor:
        """Weights of CDB-W (C,): d_c^tau, scaled to mean 1; all 1 before the first update."""
        powers = self._powers()
        return powers / powers.mean()

    def sampling_probabilities(self) -> Tensor:
        """Class probabilities of CDB-S (C,): d_c^tau / sum d^tau; uniform before the first update.

        This formula is our reading of the abstract of the IJCV paper.
        """
        powers = self._powers()
        return powers / powers.sum()

    def _powers(self) -> Tensor:
        """d_c^tau (C,), relative to the hardest class, so that not all can underflow."""
        d = self.difficulty()
        return (d / d.amax()) ** self.tau
