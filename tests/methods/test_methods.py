"""What every method keeps to, and what each one computes.

A new concrete method is found by itself. It needs nothing here as long as its ``__init__`` uses the names in ARGUMENTS;
methods that take a loss are tried with more than one in ``cases``.
"""

import importlib
import inspect
import pickle
import pkgutil
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import longtail.methods
from longtail.losses.bcl import BalancedContrastiveLoss
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.logit_adjusted import LogitAdjustedLoss
from longtail.methods.base import Method
from longtail.methods.bcl import BCL
from longtail.methods.plain import Plain
from longtail.models.classifiers import CosineClassifier

COUNTS = [50, 20, 5, 1]
ROWS = 6
TARGETS = torch.tensor([0, 1, 2, 3, 0, 1])


class TinyBackbone(nn.Module):
    """Features of images in one layer."""

    num_features = 16

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 16), nn.BatchNorm1d(16), nn.ReLU())

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.layers(images)
        return features


ARGUMENTS = {
    "class_counts": lambda: COUNTS,
    "backbone": TinyBackbone,
    "loss": CrossEntropyLoss,
}


@dataclass(frozen=True)
class Case:
    """A method with settings of its own."""

    method: type[Method]
    settings: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.method.__name__, *(value.__name__ for value in self.settings.values())])

    def make(self) -> Method:
        torch.manual_seed(0)
        arguments = dict(self.settings)
        for name, parameter in inspect.signature(self.method).parameters.items():
            if parameter.default is parameter.empty and name not in arguments:
                if name not in ARGUMENTS:
                    pytest.fail(f'{self.method.__name__} takes "{name}": add how to make one to ARGUMENTS here')
                arguments[name] = ARGUMENTS[name]()
        return self.method(**arguments)

    def views(self) -> list[Tensor]:
        generator = torch.Generator().manual_seed(1)
        return [torch.randn(ROWS, 3, 8, 8, generator=generator) for _ in range(self.method.num_views)]


def methods() -> list[type[Method]]:
    """Every concrete method of the package, whether it is exported or not."""
    for module in pkgutil.walk_packages(longtail.methods.__path__, "longtail.methods."):
        importlib.import_module(module.name)
    found, queue = [], [Method]
    while queue:
        for each in queue.pop().__subclasses__():
            queue.append(each)
            if each.__module__.startswith("longtail.methods.") and not inspect.isabstract(each):
                found.append(each)
    return sorted(found, key=lambda each: each.__qualname__)


def cases() -> list[Case]:
    plain = Case(Plain, {"loss": LogitAdjustedLoss, "classifier": CosineClassifier})
    return [*(Case(method) for method in methods()), plain]


every_case = pytest.mark.parametrize("case", cases(), ids=str)


def test_every_method_is_exported() -> None:
    assert {each.__name__ for each in methods()} | {"Method"} == set(longtail.methods.__all__)


@every_case
def test_a_plain_loop_lowers_the_loss(case: Case) -> None:
    method, views = case.make(), case.views()
    optimizer = torch.optim.SGD(method.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(20):
        loss = method(views, TARGETS)["loss"]
        optimizer.zero_grad()
        loss.backward()
        assert all(each.grad is not None and each.grad.isfinite().all() for each in method.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@every_case
def test_forward_gives_a_loss_and_detached_parts(case: Case) -> None:
    outputs = case.make()(case.views(), TARGETS)
    loss = outputs.pop("loss")
    assert loss.shape == ()
    assert loss.requires_grad
    assert outputs["logits"].shape == (ROWS, len(COUNTS))
    for name, value in outputs.items():
        assert not value.requires_grad, name
        assert name == "logits" or value.shape == (), name


@every_case
def test_classify_gives_the_logits_of_the_first_view(case: Case) -> None:
    method, views = case.make().eval(), case.views()
    assert method.num_classes == len(COUNTS)
    logits = method.classify(views[0])
    assert logits.shape == (ROWS, len(COUNTS))
    torch.testing.assert_close(logits.detach(), method(views, TARGETS)["logits"])
    torch.testing.assert_close(method.classify(views[0][:1]), logits[:1])


@every_case
@pytest.mark.parametrize("change", [-1, 1])
def test_another_number_of_views_is_refused(case: Case, change: int) -> None:
    wanted = case.method.num_views
    views = (case.views() * 2)[: wanted + change]
    with pytest.raises(ValueError, match=f"{case.method.__name__} trains on {wanted} views, got {wanted + change}"):
        case.make()(views, TARGETS)


@every_case
def test_state_dict_and_pickle_keep_the_logits(case: Case) -> None:
    method, views = case.make(), case.views()
    method(views, TARGETS)  # moves the running statistics
    again = case.make()
    for parameter in again.parameters():
        nn.init.normal_(parameter)
    again.load_state_dict(method.state_dict())
    logits = method.eval().classify(views[0])
    assert torch.equal(again.eval().classify(views[0]), logits)
    assert torch.equal(pickle.loads(pickle.dumps(method)).classify(views[0]), logits)


@every_case
def test_counts_that_are_no_counts_are_refused(case: Case) -> None:
    with pytest.raises(ValueError, match="class_counts must be positive"):
        Case(case.method, {**case.settings, "class_counts": [3, 0]}).make()


def test_bcl_is_the_weighted_sum_of_its_parts() -> None:
    """In training mode, view by view: the first is classified, the other two are contrasted."""
    torch.manual_seed(0)
    method = BCL(COUNTS, TinyBackbone(), 12, 8, temperature=0.2, classifier_weight=1.5, contrastive_weight=0.4, scale=9)
    views = [torch.randn(ROWS, 3, 8, 8) for _ in range(3)]
    outputs = method(views, TARGETS)

    features = method.backbone(torch.cat(views))
    unit = method.classifier.weight / method.classifier.weight.norm(dim=1, keepdim=True)
    first = features[:ROWS]
    logits = 9 * first / first.norm(dim=1, keepdim=True) @ unit.T
    logit_adjusted = LogitAdjustedLoss(COUNTS)(logits, TARGETS)
    projected = method.projection(features[ROWS:])
    embeddings = torch.stack([projected[:ROWS], projected[ROWS:]], dim=1)
    prototypes = method.prototypes(method.classifier.weight)
    contrastive = BalancedContrastiveLoss(0.2)(embeddings, TARGETS, prototypes)

    torch.testing.assert_close(outputs["logits"], logits.detach())
    torch.testing.assert_close(outputs["logit_adjusted"], logit_adjusted.detach())
    torch.testing.assert_close(outputs["contrastive"], contrastive.detach())
    torch.testing.assert_close(outputs["loss"], 1.5 * logit_adjusted + 0.4 * contrastive)


def test_plain_takes_a_loss_or_what_makes_it() -> None:
    made = Plain(COUNTS, TinyBackbone(), LogitAdjustedLoss).loss
    assert isinstance(made, LogitAdjustedLoss)
    torch.testing.assert_close(made.adjustment, LogitAdjustedLoss(COUNTS).adjustment)
    loss = CrossEntropyLoss()
    method = Plain(COUNTS, TinyBackbone(), loss).eval()
    assert method.loss is loss
    assert isinstance(method.classifier, nn.Linear)
    images = torch.randn(ROWS, 3, 8, 8)
    torch.testing.assert_close(method([images], TARGETS)["loss"], loss(method.classify(images), TARGETS))
