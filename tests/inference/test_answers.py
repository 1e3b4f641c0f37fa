"""What a classifier answers for images, from their logits."""

import torch

from longtail.inference.answers import answers
from longtail.inference.posterior import Posterior


def test_of_equally_probable_classes_the_first_comes_first():
    classes = [f"class {label}" for label in range(20)]
    logits = torch.zeros(2, 20)
    logits[1, 7] = 3.0
    first, second = answers(Posterior(classes, [1] * 20), [(["a.png", "b.png"], logits, None)], 20)
    assert [entry["class"] for entry in first["top"]] == classes
    assert [entry["class"] for entry in second["top"]] == [classes[7], *classes[:7], *classes[8:]]
    assert [entry["probability"] for entry in first["top"]] == [0.05] * 20
