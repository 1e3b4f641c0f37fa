"""From the logits of a classifier to class probabilities."""

import pytest
import torch

from longtail.inference.calibration import Calibration
from longtail.inference.posterior import Posterior
from longtail.posthoc.scaling import Scaling


@pytest.mark.parametrize("rarest", [0.1, 1e-12])
def test_calibrated_probabilities_are_those_that_sets_are_made_of(rarest):
    """However rare the logits make a class."""
    scaling = Scaling("temperature", torch.full((3,), 1.5), torch.tensor([0.1, -0.3, 4.0]), 1.0)
    prior = [0.7, 0.3 - rarest, rarest]
    calibration = Calibration("last", scaling, prior, [5, 3, 1], [0], [0.5], {})
    logits = torch.tensor([[2.0, 1.0, 12.0], [0.0, 0.0, 20.0]])
    ours = Posterior(["a", "b", "c"], [70, 20, 10], calibration=calibration)(logits)
    reference = calibration.log_probabilities(logits).exp()
    torch.testing.assert_close(ours.double(), reference, rtol=1e-5, atol=0)


def test_a_class_that_is_not_there_is_never_predicted():
    posterior = Posterior(["a", "b"], [9, 1], torch.tensor([0.9, 0.1]), prior=torch.tensor([1.0, 0.0]))
    assert posterior(torch.tensor([[0.0, 60.0]])).tolist() == [[1.0, 0.0]]
    assert posterior.adjustment is not None
    assert posterior.adjustment.isfinite().all()
