"""Means over the steps of an epoch."""

import torch

from longtail.tasks.means import Means


def test_means_weigh_a_step_by_its_images() -> None:
    """A part may be missing in some steps; with two alike processes all sums double, and no mean changes."""
    means = Means()
    means.add({"loss": torch.tensor(1.0), "distillation": torch.tensor(4.0, dtype=torch.float64)}, 3)
    means.add({"loss": torch.tensor(2.0)}, 1)
    result = {name: float(value) for name, value in means.take(lambda values: 2 * values).items()}
    assert result == {"loss": (1.0 * 3 + 2.0) / 4, "distillation": 4.0}
    assert means.take(lambda values: values) == {}
    means.add({"loss": torch.tensor(5.0)}, 2)
    assert float(means.take(lambda values: values)["loss"]) == 5.0
