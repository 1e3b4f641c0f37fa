"""What a run knows of its probabilities: the file ``calibration.json`` that ``longtail calibrate`` writes."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from longtail.errors import InputError
from longtail.plain import JSON, AnyPath
from longtail.posthoc.conformal import ConformalSets, fit_sets
from longtail.posthoc.scaling import SCALINGS, Scaling
from longtail.reports.calibration import FILE_NAME, WAY_OUT, Figures, read_calibration
from longtail.reports.rejection import RejectionFigures
from longtail.reports.sets import SetFigures
from longtail.writing import write_atomically

FORMAT = 1


@dataclass(frozen=True)
class Calibration:
    """A scaling of the logits of a checkpoint, with what it was fitted on and what it is worth.

    Attributes:
        checkpoint: "best" or "last".
        scaling: fitted on all validation images.
        prior: class frequencies (C,) that the logits imply as they are.
        images: validation images of each class (C,).
        labels: true class of each of them (M,).
        true: probability of that class (M,) under the prior, by a scaling that was fitted on the others.
        figures: by group ("all", "many", "medium", "few"), "before" and "after", cross-fitted.
        energy: of the logits of each validation image (M,) as they are; None in files of older versions, as the rest.
        set_figures: what sets of classes are worth on the validation images, cross-fitted.
        rejection_figures: what refusing images that fit no class is, likewise.
    """

    checkpoint: str
    scaling: Scaling
    prior: list[float]
    images: list[int]
    labels: list[int]
    true: list[float]
    figures: dict[str, dict[str, Figures]]
    energy: list[float] | None = None
    set_figures: SetFigures | None = None
    rejection_figures: RejectionFigures | None = None

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Logarithms of the class probabilities (N, C) under the prior, by logits (N, C)."""
        return (self.scaling(logits.double()) + torch.tensor(self.prior, dtype=torch.float64).log()).log_softmax(1)

    def sets(self, coverage: float, kind: str, target_prior: Tensor | None = None) -> ConformalSets:
        """Thresholds of sets, from the cross-fitted probabilities; see ``longtail.posthoc.fit_sets``."""
        return fit_sets(self.true, self.labels, self.prior, coverage, kind, target_prior)

    def write(self, run: Path) -> Path:
        """Write the file of a run."""
        scaling = {
            "kind": self.scaling.kind,
            "scale": self.scaling.scale.tolist(),
            "bias": self.scaling.bias.tolist(),
            "strength": self.scaling.strength,
        }
        content = {"format": FORMAT, **asdict(self), "scaling": scaling}
        write_atomically(run / FILE_NAME, json.dumps(content))
        return run / FILE_NAME

    @classmethod
    def read(cls, run: AnyPath, classes: int, checkpoint: str) -> "Calibration | None":
        """The calibration of a run's checkpoint, or None where there is none.

        Args:
            run: its folder.
            classes: C.
            checkpoint: "best" or "last".

        Raises:
            InputError: if the file cannot be read or used.
        """
        content = read_calibration(run)
        if content is None:
            return None
        try:
            calibration = cls._of(content)
            fits = calibration._fits(classes)
        except (KeyError, TypeError, ValueError, OverflowError, RuntimeError):
            fits = False
        if not fits:
            raise InputError(f"{Path(run, FILE_NAME)}: is not a calibration of this run; {WAY_OUT}")
        return calibration if calibration.checkpoint == checkpoint else None

    @classmethod
    def _of(cls, content: JSON) -> "Calibration":
        scaling = content["scaling"]
        scale, bias = (torch.tensor(scaling[name], dtype=torch.float64) for name in ("scale", "bias"))
        values = {name: content[name] for name in ("checkpoint", "prior", "images", "labels", "true", "figures")}
        values |= {name: content.get(name) for name in ("energy", "set_figures", "rejection_figures")}
        return cls(scaling=Scaling(scaling["kind"], scale, bias, float(scaling["strength"])), **values)

    def _fits(self, classes: int) -> bool:
        scaling, numbers = self.scaling, (self.scaling.scale, self.scaling.bias)
        labels, true = torch.tensor(self.labels), torch.tensor(self.true, dtype=torch.float64)
        energy = true if self.energy is None else torch.tensor(self.energy, dtype=torch.float64)
        return (
            scaling.kind in SCALINGS
            and all(values.shape == (classes,) and bool(values.isfinite().all()) for values in numbers)
            and len(self.prior) == classes
            and min(self.prior) > 0
            and labels.bincount(minlength=classes).tolist() == self.images
            and labels.shape == true.shape == energy.shape
            and bool(energy.isfinite().all())
            and bool(((true >= 0) & (true <= 1)).all())
        )
