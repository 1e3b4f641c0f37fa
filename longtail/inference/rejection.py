"""Images that fit no class, refused: which score, from where on, and the class means that one of them wants."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from longtail.errors import InputError
from longtail.inference.calibration import Calibration
from longtail.methods.base import Method, OneNetwork
from longtail.posthoc.rejection import RATE, SCORES, class_distance, energy, rejection_threshold
from longtail.writing import write_atomically

FILE_NAME = "class_means.safetensors"
WAY_OUT = "remove it, or write it again by longtail calibrate --class-means"


def add_rejection(group: Any) -> None:  # argparse does not name the type of a group
    """Add the options of ``longtail predict`` about it."""
    group.add_argument(
        "--reject",
        nargs="?",
        choices=SCORES,
        const=SCORES[0],
        help="tell which images fit none of the classes, by the energy of the logits (where no score is named) or "
        "the distance of the features to the class means",
    )
    group.add_argument(
        "--reject-rate",
        type=float,
        metavar="RATE",
        help=f"share of the images of the classes that may be rejected (default {RATE:g}); implies --reject",
    )


def with_features(method: Method) -> OneNetwork:
    """The method, if it has features before a classifier.

    Raises:
        InputError: if it has not.
    """
    if not isinstance(method, OneNetwork):
        raise InputError(f"{type(method).__name__} has no features before a classifier: leave the class means out")
    return method


@dataclass(frozen=True)
class FeatureMeans:
    """Where the classes lie among the features of a checkpoint.

    Attributes:
        checkpoint: "best" or "last".
        means: of the classes (C, D), by ``longtail.posthoc.mean_directions``.
        distance: of each validation image (M,), by ``longtail.posthoc.class_distance``.
    """

    checkpoint: str
    means: Tensor
    distance: Tensor

    def write(self, run: Path) -> None:
        """Write the file of a run."""
        from safetensors.torch import save

        tensors = {"means": self.means.float().contiguous(), "distance": self.distance.double().contiguous()}
        write_atomically(run / FILE_NAME, save(tensors, {"checkpoint": self.checkpoint}))

    @classmethod
    def read(cls, run: Path, shape: tuple[int, int], checkpoint: str) -> "FeatureMeans | None":
        """Those of a run's checkpoint, or None where there are none.

        Args:
            run: its folder.
            shape: (C, D).
            checkpoint: "best" or "last".

        Raises:
            InputError: if the file cannot be read or used.
        """
        from safetensors import SafetensorError, safe_open

        file = run / FILE_NAME
        if not file.is_file():
            return None
        try:
            with safe_open(file, "pt") as content:
                own = cls(content.metadata()["checkpoint"], *map(content.get_tensor, ("means", "distance")))
            shaped = own.means.shape == shape and own.distance.ndim == 1
            fits = shaped and all(bool(values.isfinite().all()) for values in (own.means, own.distance))
        except (SafetensorError, OSError, KeyError, TypeError) as error:
            raise InputError(f"{file}: cannot be read ({type(error).__name__}); {WAY_OUT}") from error
        if not fits:
            raise InputError(f"{file}: holds no class means of this run; {WAY_OUT}")
        return own if own.checkpoint == checkpoint else None


@dataclass(frozen=True)
class Rejection:
    """A score, larger for what fits no class, and from where on an image is refused.

    Attributes:
        score: one of ``longtail.posthoc.rejection.SCORES``.
        threshold: above which an image is refused.
        means: of the classes (C, D), for "distance".
    """

    score: str
    threshold: float
    means: Tensor | None = None

    @classmethod
    def of_run(
        cls, score: str | None, rate: float | None, calibration: Calibration | None, method: Method, checkpoint: Path
    ) -> "Rejection | None":
        """That of a checkpoint, by its validation images; None where neither a score nor a rate is wanted.

        Args:
            score: "energy" or "distance"; None for energy.
            rate: share of known images that may be refused; None for 0.05.
            calibration: of the checkpoint.
            method: with the weights of the checkpoint.
            checkpoint: its file, in the folder of the run.

        Raises:
            InputError: if the run is not calibrated, or not for this score; or on a rate outside 0..1, or one that its
                validation images are too few for.
        """
        if score is None and rate is None:
            return None
        if calibration is None:
            raise InputError("--reject holds images against validation images: give longtail calibrate RUN first")
        means, known = None, calibration.energy
        if score == "distance":
            shape = (method.num_classes, with_features(method).num_features)
            own = FeatureMeans.read(checkpoint.parent, shape, checkpoint.stem)
            if own is None:
                raise InputError("--reject distance wants the class means: give longtail calibrate RUN --class-means")
            means, known = own.means, own.distance.tolist()
        if known is None:
            raise InputError("--reject wants a newer calibration of this run: give longtail calibrate RUN again")
        try:
            return cls(score or SCORES[0], rejection_threshold(known, RATE if rate is None else rate), means)
        except ValueError as error:
            raise InputError(f"--reject-{error}") from None

    def __call__(self, logits: Tensor, features: Tensor | None) -> Tensor:
        """The score of each image (N,), by logits (N, C) as the network gives them, or features (N, D)."""
        if self.means is None:
            return energy(logits)
        assert features is not None
        return class_distance(features, self.means)
