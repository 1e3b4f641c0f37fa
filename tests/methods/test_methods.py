"""What every method keeps to, and what each one computes.

A new concrete method is found by itself. It needs nothing here as long as its ``__init__`` uses the names in ARGUMENTS;
methods that take a loss are tried with more than one in ``cases``.
"""

import inspect
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from discovery import classes_of
from torch import Tensor, nn

import longtail.methods
from longtail.counts import Counts
from longtail.errors import InputError
from longtail.losses.bcl import BalancedContrastiveLoss
from longtail.losses.cdb import ClassDifficultyLoss
from longtail.losses.cibl import ClassInstanceBalancedLoss
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.logit_adjusted import LogitAdjustedLoss
from longtail.methods.base import Method
from longtail.methods.bcl import BCL
from longtail.methods.cibl import CIBL
from longtail.methods.distilled import Distilled
from longtail.methods.gml import GML, GMLTeacher
from longtail.methods.plain import Plain
from longtail.methods.probe import NearestClassMean, Probe
from longtail.models.classifiers import CosineClassifier

COUNTS = [50, 20, 5, 1]
ROWS = 6
TARGETS = torch.tensor([0, 1, 2, 3, 0, 1])
METHODS = classes_of(longtail.methods, Method)


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
    "teacher": TinyBackbone,
    "teachers": lambda: [Plain(COUNTS, TinyBackbone(), LogitAdjustedLoss)],
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
            optional = parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD
            if not optional and name not in arguments:
                if name not in ARGUMENTS:
                    pytest.fail(f'{self.method.__name__} takes "{name}": add how to make one to ARGUMENTS here')
                arguments[name] = ARGUMENTS[name]()
        if issubclass(self.method, Probe):
            arguments["backbone"].requires_grad_(False)
        return self.method(**arguments)

    def views(self) -> list[Tensor]:
        generator = torch.Generator().manual_seed(1)
        return [torch.randn(ROWS, 3, 8, 8, generator=generator) for _ in range(self.method.num_views)]


def cases() -> list[Case]:
    plain = Case(Plain, {"loss": LogitAdjustedLoss, "classifier": CosineClassifier})
    return [*(Case(method) for method in METHODS), plain]


every_case = pytest.mark.parametrize("case", cases(), ids=str)


def test_every_method_is_exported() -> None:
    exported = {name for name in longtail.methods.__all__ if issubclass(getattr(longtail.methods, name), Method)}
    assert {method.__name__ for method in METHODS} | {"Method"} == exported


@every_case
def test_a_plain_loop_lowers_the_loss(case: Case) -> None:
    method, views = case.make(), case.views()
    if case.method is NearestClassMean:
        pytest.skip("nothing of it is trained")
    optimizer = torch.optim.SGD(method.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(20):
        loss = method(views, TARGETS)["loss"]
        optimizer.zero_grad()
        loss.backward()
        learned = [parameter for parameter in method.parameters() if parameter.requires_grad]
        assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in learned)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@every_case
def test_forward_gives_a_loss_and_detached_parts(case: Case) -> None:
    outputs = case.make()(case.views(), TARGETS)
    loss = outputs.pop("loss")
    assert loss.shape == ()
    assert loss.requires_grad == (case.method is not NearestClassMean)
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
    count = case.method.num_views
    views = (case.views() * 2)[: count + change]
    with pytest.raises(ValueError, match=f"{case.method.__name__} trains on {count} views, got {count + change}"):
        case.make()(views, TARGETS)


@every_case
def test_state_dict_and_pickle_keep_the_logits(case: Case) -> None:
    method, views = case.make(), case.views()
    method(views, TARGETS)  # moves the running statistics
    copy = case.make()
    for parameter in copy.parameters():
        nn.init.normal_(parameter)
    copy.load_state_dict(method.state_dict())
    logits = method.eval().classify(views[0])
    assert torch.equal(copy.eval().classify(views[0]), logits)
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
    projections = method.projection(features[ROWS:])
    embeddings = torch.stack([projections[:ROWS], projections[ROWS:]], dim=1)
    prototypes = method.prototypes(method.classifier.weight)
    contrastive = BalancedContrastiveLoss(0.2)(embeddings, TARGETS, prototypes)

    torch.testing.assert_close(outputs["logits"], logits.detach())
    torch.testing.assert_close(outputs["classifier"], logit_adjusted.detach())
    torch.testing.assert_close(outputs["contrastive"], contrastive.detach())
    torch.testing.assert_close(outputs["loss"], 1.5 * logit_adjusted + 0.4 * contrastive)


def test_plain_takes_a_loss_or_what_makes_it() -> None:
    instance = Plain(COUNTS, TinyBackbone(), LogitAdjustedLoss).loss
    assert isinstance(instance, LogitAdjustedLoss)
    torch.testing.assert_close(instance.adjustment, LogitAdjustedLoss(COUNTS).adjustment)
    loss = CrossEntropyLoss()
    method = Plain(COUNTS, TinyBackbone(), loss).eval()
    assert method.loss is loss
    assert isinstance(method.classifier, nn.Linear)
    images = torch.randn(ROWS, 3, 8, 8)
    torch.testing.assert_close(method([images], TARGETS)["loss"], loss(method.classify(images), TARGETS))


def test_keys_of_gml_follow_with_momentum_and_fill_the_queue() -> None:
    torch.manual_seed(0)
    method = GML(COUNTS, TinyBackbone(), queue_size=12, momentum=0.9)
    before = [parameter.clone() for parameter in method.key_encoder.parameters()]
    with torch.no_grad():
        for parameter in method.backbone.parameters():
            parameter.add_(1.0)
    rows = torch.arange(10, 10 + ROWS)
    method(Case(GML).views(), TARGETS, rows)
    for old, new in zip(before, method.key_encoder.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.1)
    slots = method.queue.targets >= 0
    assert sorted(method.queue.ids[slots].tolist()) == rows.tolist()
    assert torch.equal(TARGETS[method.queue.ids[slots] - 10], method.queue.targets[slots])


def test_gml_is_its_terms() -> None:
    case = Case(GML, {"classifier_weight": 1.5, "contrastive_weight": 0.4})
    method, views = case.make(), case.views()
    outputs = method(views, TARGETS)
    expected = 1.5 * outputs["classifier"] + 0.4 * outputs["contrastive"]
    torch.testing.assert_close(outputs["loss"].detach(), expected)
    assert method.contrastive.log_temperature.requires_grad
    assert not any(parameter.requires_grad for parameter in method.key_encoder.parameters())


def test_a_queue_too_small_for_the_classes_is_refused() -> None:
    with pytest.raises(InputError, match="queue_size 7 does not fit: size must be at least 8"):
        GML(COUNTS, TinyBackbone(), queue_size=7)


def test_a_teacher_stays_as_it_is_and_comes_from_its_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained = Plain(COUNTS, TinyBackbone(), LogitAdjustedLoss, CosineClassifier)
    state = {f"method.{name}": value for name, value in trained.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "last.ckpt")
    method = GMLTeacher(COUNTS, TinyBackbone(), TinyBackbone(), tmp_path / "last.ckpt", queue_size=12)
    by_text = GMLTeacher(COUNTS, TinyBackbone(), TinyBackbone(), str(tmp_path / "last.ckpt"), queue_size=12)
    for name, value in by_text.key_encoder.state_dict().items():
        assert torch.equal(value, method.key_encoder.state_dict()[name]), name
    views = Case(GMLTeacher).views()
    trained.eval()
    assert not any(module.training for module in method.key_encoder.modules()), "from the start"
    method.train()
    before = {name: value.clone() for name, value in method.key_encoder.state_dict().items()}
    outputs = method(views, TARGETS)
    outputs["loss"].backward()
    for name, value in method.key_encoder.state_dict().items():
        assert torch.equal(value, before[name]), name
    student, teacher = outputs["logits"] / 4, trained.classify(views[0]).detach() / 4
    divergence = (teacher.softmax(1) * (teacher.log_softmax(1) - student.log_softmax(1))).sum(1).mean()
    torch.testing.assert_close(outputs["distillation"], 16 * divergence)
    assert all(parameter.grad is not None for parameter in method.key_projection.parameters())


def test_without_distillation_the_teacher_looks_at_its_keys_alone() -> None:
    method = Case(GMLTeacher, {"distillation_weight": 0.0, "queue_size": 12}).make()
    inputs: list[Tensor] = []
    method.key_encoder.register_forward_hook(lambda module, images, out: inputs.append(images[0]))
    views = Case(GMLTeacher).views()
    outputs = method(views, TARGETS)
    assert len(inputs) == 1
    assert inputs[0] is views[2]
    torch.testing.assert_close(outputs["loss"].detach(), outputs["classifier"] + outputs["contrastive"])


def test_a_checkpoint_of_another_teacher_is_refused(tmp_path: Path) -> None:
    state = {
        f"method.{name}": value for name, value in Plain([3, 2], TinyBackbone(), CrossEntropyLoss).state_dict().items()
    }
    torch.save({"state_dict": state}, tmp_path / "last.ckpt")
    with pytest.raises(InputError, match=r"last.ckpt is of another model"):
        GMLTeacher(COUNTS, TinyBackbone(), TinyBackbone(), tmp_path / "last.ckpt")


def test_cibl_is_its_loss_on_the_views() -> None:
    method, views = Case(CIBL, {"trade_off": 2.0}).make(), Case(CIBL).views()
    outputs = method(views, TARGETS)
    first, second, third = method.backbone(torch.cat(views)).chunk(3)
    embeddings = torch.stack(method.projection(torch.cat([second, third])).chunk(2), dim=1)
    expected = ClassInstanceBalancedLoss(2.0)(method.classifier(first), embeddings, TARGETS)
    torch.testing.assert_close(outputs["loss"], expected)


@pytest.mark.parametrize("method", [BCL, CIBL, GML])
def test_the_logit_part_takes_difficulty_weights(method: type[Method]) -> None:
    instance = Case(method, {"logit_loss": weighted}).make()
    (loss,) = [module for module in instance.modules() if isinstance(module, ClassDifficultyLoss)]
    before = instance(Case(method).views(), TARGETS)["loss"]
    loss.difficulty.update([0.9, 0.5, 0.1, 0.0])
    assert instance(Case(method).views(), TARGETS)["loss"] != before


def weighted(class_counts: Counts) -> ClassDifficultyLoss:
    return ClassDifficultyLoss(class_counts, LogitAdjustedLoss)


def test_distillation_is_the_divergence_from_the_mean_prediction_of_the_teachers() -> None:
    plain = Case(Plain, {"loss": CrossEntropyLoss}).make()
    adjusted = Case(Plain, {"loss": LogitAdjustedLoss, "classifier": CosineClassifier}).make()
    options = {"teachers": [plain, adjusted], "temperature": 3.0, "classifier_weight": 0.5, "distillation_weight": 2.0}
    method, views = Case(Distilled, options).make(), Case(Distilled).views()
    before = {name: value.clone() for name, value in method.teachers.state_dict().items()}
    outputs = method(views, TARGETS)
    prior = np.log(np.array(COUNTS) / sum(COUNTS))
    softened = []
    for teacher, shift in ((plain, -prior), (adjusted, 0.0)):  # the student's logits imply equal classes
        logits = teacher.classify(views[0]).detach().double().numpy() + shift
        softened.append(np.exp(logits / 3) / np.exp(logits / 3).sum(1, keepdims=True))
    expected = np.mean(softened, axis=0)
    student = outputs["logits"].double().softmax(1).numpy() ** (1 / 3)
    student /= student.sum(1, keepdims=True)
    total = 0.0
    for row in range(len(expected)):
        for label in range(len(COUNTS)):
            total += expected[row, label] * (np.log(expected[row, label]) - np.log(student[row, label]))
    assert float(outputs["distillation"]) == pytest.approx(9 * total / len(expected), rel=1e-4)
    torch.testing.assert_close(outputs["loss"].detach(), outputs["classifier"] / 2 + 2 * outputs["distillation"])
    outputs["loss"].backward()
    method.train()
    assert not any(module.training for module in method.teachers.modules())
    for name, value in method.teachers.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in method.teachers.parameters())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"teachers": []}, "there is no teacher"),
        ({"teacher_checkpoints": ["a.ckpt", "b.ckpt"]}, "1 teacher and 2 checkpoints: give one for each"),
        ({"teacher_checkpoints": ["missing.ckpt"]}, r"no checkpoint at missing\.ckpt"),
        ({"class_counts": [3, 2]}, "a teacher knows 4 classes, and the data has 2"),
    ],
)
def test_teachers_that_do_not_fit_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Case(Distilled, options).make()


def test_a_temperature_is_above_0() -> None:
    with pytest.raises(ValueError, match=r"expected a temperature above 0, got 0\.0"):
        Case(Distilled, {"temperature": 0.0}).make()
