"""Classifiers on pooled features."""

from pathlib import Path

import pytest
import torch

from longtail.models.classifiers import CosineClassifier, ScaledClassifier, TauClassifier


def test_logits_are_scaled_cosines() -> None:
    classifier, features = CosineClassifier(5, 3, scale=7.0), torch.randn(4, 5)
    logits = classifier(features)
    assert logits.shape == (4, 3)
    for i in range(4):
        for c in range(3):
            row = classifier.weight[c]
            cosine = features[i] @ row / features[i].norm() / row.norm()
            assert logits[i, c].item() == pytest.approx(7 * cosine.item(), abs=1e-5)


def test_lengths_do_not_matter() -> None:
    classifier, features = CosineClassifier(5, 3), torch.randn(4, 5)
    logits = classifier(features)
    torch.testing.assert_close(classifier(100 * features), logits)
    with torch.no_grad():
        classifier.weight.mul_(0.01)
    torch.testing.assert_close(classifier(features), logits)


def test_a_feature_of_zeros_is_finite() -> None:
    features = torch.zeros(2, 5, requires_grad=True)
    logits = CosineClassifier(5, 3)(features)
    logits.sum().backward()
    assert torch.equal(logits, torch.zeros(2, 3))
    assert features.grad is not None
    assert features.grad.isfinite().all()


def test_weight_starts_on_the_sphere() -> None:
    torch.testing.assert_close(CosineClassifier(5, 300).weight.norm(dim=1), torch.ones(300))


@pytest.mark.parametrize("kind", [ScaledClassifier, TauClassifier])
def test_the_checkpoint_of_a_trained_classifier_may_be_given_as_text(kind: type, tmp_path: Path) -> None:
    trained = torch.nn.Linear(5, 3)
    state = {f"method.classifier.{name}": value for name, value in trained.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "last.ckpt")
    for weights in (tmp_path / "last.ckpt", str(tmp_path / "last.ckpt")):
        assert torch.equal(kind(5, 3, weights=weights).first.weight, trained.weight)
