"""What the page about a run says of its calibrated probabilities, of sets of classes, and of images of none."""

from collections.abc import Mapping

from longtail.plain import JSON
from longtail.reports.calibration import WHEN, Worth, calibration_lines
from longtail.reports.plots.reliability import reliability_diagrams
from longtail.reports.rejection import RejectionFigures, rejection_lines, rejection_notes
from longtail.reports.sets import SetFigures, set_lines, set_notes
from longtail.reports.wording import percent


def probabilities(content: Mapping[str, JSON]) -> dict[str, JSON]:
    """What stands in the page of a run that was calibrated."""
    worth: Worth = content["figures"]
    panels = []
    for group, figures in worth.items():
        curves = [(when, figures[when]["reliability"]) for when in WHEN]
        if figures["after"]["images"]:
            panels.append((group, [(when, (bins["confidence"], bins["accuracy"])) for when, bins in curves]))
    return {
        "kind": content["scaling"]["kind"],
        "table": calibration_lines(worth).table(),
        "diagrams": reliability_diagrams(panels) if panels else None,
        "sets": None if (sets := content.get("set_figures")) is None else _sets(sets),
        "rejection": None if (rejection := content.get("rejection_figures")) is None else _rejection(rejection),
    }


def _sets(figures: SetFigures) -> dict[str, JSON]:  # of the template
    """What stands there of the sets of classes."""
    promise = percent(figures["coverage"])
    return {"coverage": promise, "table": set_lines(figures).table(), "notes": set_notes(figures)}


def _rejection(figures: RejectionFigures) -> dict[str, JSON]:  # of the template
    """What stands there of the images that are refused."""
    lines = rejection_lines(figures)
    return {"rate": percent(figures["rate"]), "table": lines.table(), "notes": rejection_notes(figures)}
