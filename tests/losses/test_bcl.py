"""Balanced contrastive loss against its formula and the released code."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from longtail.losses.bcl import BalancedContrastiveLoss

# Inputs, value and gradient of the authors' released code (github.com/FlamieZhu/Balanced-Contrastive-Learning),
# computed once in float32.
EMBEDDINGS = torch.tensor(
    [
        [
            [0.31385094, -0.766539, 0.1452542, -0.48572573, 0.010478758, 0.23828033],
            [0.49223277, 0.25387824, -0.17523862, 0.5640616, -0.16121043, 0.5642605],
        ],
        [
            [0.15124671, 0.3542462, 0.6789014, -0.24882482, -0.5499842, -0.16226684],
            [-0.33054915, -0.6818673, 0.31517047, 0.48355484, 0.21866363, -0.2117138],
        ],
        [
            [-0.18491423, 0.5040901, 0.5521041, 0.019790912, 0.6220517, -0.13978876],
            [-0.012706849, -0.43325648, -0.815285, -0.2106463, -0.31916028, -0.03467732],
        ],
        [
            [0.6126079, -0.0038803082, 0.36930957, -0.15190656, 0.33952075, 0.5915716],
            [0.101990625, 0.57212013, 0.302471, -0.021176307, 0.16326955, -0.7373482],
        ],
        [
            [-0.22827744, 0.596499, 0.40143242, 0.5897626, 0.28656143, -0.031510465],
            [0.21271619, 0.120881975, -0.35936677, 0.78242826, -0.40949342, 0.17639743],
        ],
        [
            [0.30736583, -0.4109241, -0.3916667, 0.48237926, -0.53028476, -0.2633878],
            [0.33274713, -0.04833912, -0.24491578, -0.74631536, 0.5171068, -0.050724376],
        ],
        [
            [-0.009995121, 0.21737655, 0.9250499, 0.120314725, -0.21466243, 0.19072142],
            [0.47766924, -0.38280547, -0.07088553, -0.4958067, 0.02998206, 0.6111826],
        ],
        [
            [-0.45140317, 0.015477831, 0.30586964, 0.24576701, 0.7588719, -0.25719908],
            [-0.45725396, -0.5281345, 0.13204066, -0.24087894, -0.13889779, -0.6459433],
        ],
        [
            [0.6665002, 0.035898834, -0.053351738, 0.7205845, 0.12018143, -0.13400276],
            [0.26491585, 0.5230641, 0.10063347, -0.49555036, -0.46801135, -0.4260184],
        ],
        [
            [0.4750153, 0.4269647, -0.37477443, -0.558973, -0.34852642, -0.13298218],
            [-0.03571752, -0.3229633, -0.305537, 0.651265, -0.24606897, -0.5624678],
        ],
    ]
)
PROTOTYPES = torch.tensor(
    [
        [0.20055608, -0.044099167, -0.37119624, 0.6812987, 0.4377125, 0.40532184],
        [-0.49592906, -0.6131396, -0.34300557, 0.34803328, -0.3151763, 0.19999526],
        [-0.33615452, 0.6378157, 0.12306259, 0.5326223, -0.018193718, -0.42547542],
        [-0.798134, 0.056013416, -0.04912808, -0.37206078, 0.25591347, -0.39180356],
    ]
)
TARGETS = torch.tensor([1, 3, 0, 0, 3, 1, 3, 1, 3, 0])
TEMPERATURE, LOSS = 0.1, 6.6432257
PROTOTYPES_GRADIENT = torch.tensor(
    [
        [0.07596363, -0.024939876, -0.015370244, 0.211664, -0.033077978, 0.1462492],
        [-0.08589321, -0.060088567, -0.12501326, 0.0388047, -0.09831932, -0.021456547],
        [-0.10116269, 0.55094814, 0.39270243, 0.31666374, 0.29068664, -0.3601883],
        [-0.22088903, -0.20390847, -0.07364293, -0.15759395, 0.045066644, -0.19888811],
    ]
)


def naive(embeddings: Tensor, targets: Tensor, prototypes: Tensor, temperature: float) -> Tensor:
    """The formula of the docstring, term by term; one value per embedding."""
    views = embeddings.shape[1]
    anchors = [embeddings[i // views, i % views] for i in range(targets.numel() * views)]
    keys = anchors + list(prototypes)
    labels = [int(targets[i // views]) for i in range(len(anchors))] + list(range(len(prototypes)))
    rows = []
    for i, anchor in enumerate(anchors):
        rest = [j for j in range(len(keys)) if j != i]
        m = [sum(labels[k] == labels[j] for k in rest) for j in range(len(keys))]
        log_sum = sum((anchor @ keys[j] / temperature).exp() / m[j] for j in rest).log()
        positives = [j for j in rest if labels[j] == labels[i]]
        rows.append(-sum(anchor @ keys[p] / temperature - log_sum for p in positives) / len(positives))
    return torch.stack(rows) if rows else embeddings.sum((1, 2))


def batch(rows: int, views: int, classes: int, present: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings, targets among the first ``present`` classes, prototypes; all in float64."""
    torch.manual_seed(seed)
    embeddings = normalize(torch.randn(rows, views, 3, dtype=torch.float64), dim=2).requires_grad_()
    prototypes = normalize(torch.randn(classes, 3, dtype=torch.float64)).requires_grad_()
    return embeddings, torch.randint(min(present, classes), (rows,)), prototypes


@given(
    st.integers(0, 6),
    st.integers(1, 3),
    st.integers(1, 7),
    st.integers(1, 7),
    st.sampled_from([0.05, 0.1, 1.0]),
    st.integers(0, 99),
)
def test_value_and_gradients_are_the_formulas(
    rows: int, views: int, classes: int, present: int, temperature: float, seed: int
) -> None:
    embeddings, targets, prototypes = batch(rows, views, classes, present, seed)
    values = BalancedContrastiveLoss(temperature, reduction="none")(embeddings, targets, prototypes)
    expected = naive(embeddings, targets, prototypes, temperature)
    torch.testing.assert_close(values, expected)
    if rows:
        weights = torch.rand(len(values), dtype=torch.float64)  # the gradient of every row, not only of their sum
        reference = torch.autograd.grad(expected @ weights, [embeddings, prototypes])
        gradients = torch.autograd.grad(values @ weights, [embeddings, prototypes])
        torch.testing.assert_close(gradients, reference)


def test_value_and_gradient_are_those_of_the_released_code() -> None:
    prototypes = PROTOTYPES.clone().requires_grad_()
    value = BalancedContrastiveLoss(TEMPERATURE)(EMBEDDINGS, TARGETS, prototypes)
    value.backward()
    assert value.item() == pytest.approx(LOSS, rel=1e-5)
    torch.testing.assert_close(prototypes.grad, PROTOTYPES_GRADIENT, rtol=1e-4, atol=1e-5)


@given(st.integers(1, 6), st.integers(1, 3))
def test_one_class_all_alike_costs_nothing(rows: int, views: int) -> None:
    """The keys of the one class are averaged, so that -log(e^s / m * m) + s = 0, whatever their number."""
    unit = normalize(torch.ones(1, 4))
    value = BalancedContrastiveLoss()(unit.expand(rows, views, 4), torch.zeros(rows, dtype=torch.int64), unit)
    assert value.item() == pytest.approx(0, abs=1e-5)


@given(st.integers(1, 6), st.integers(1, 7))
def test_when_all_keys_are_alike_every_class_weighs_the_same(rows: int, classes: int) -> None:
    unit = normalize(torch.ones(1, 4))
    targets = torch.arange(rows) % classes
    value = BalancedContrastiveLoss()(unit.expand(rows, 2, 4), targets, unit.expand(classes, 4))
    assert value.item() == pytest.approx(math.log(classes), abs=1e-5)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.sampled_from([0.01, 0.1, 1.0]))
def test_collapsed_classes_are_all_alike_whatever_their_number(labels: list[int], temperature: float) -> None:
    """With every embedding on its prototype, the vertices of a simplex, each class has the same pull on the others and
    each row the same loss, as in an infinite balanced batch."""
    classes = 4
    vertices = normalize(torch.eye(classes, dtype=torch.float64) - 1 / classes)
    targets = torch.tensor(labels)
    rows = BalancedContrastiveLoss(temperature, reduction="none")(vertices[targets][:, None], targets, vertices)
    rest = (classes - 1) * math.exp((-1 / (classes - 1) - 1) / temperature)
    torch.testing.assert_close(rows, torch.full_like(rows, math.log1p(rest)))


def test_a_single_embedding_is_classified_by_the_prototypes() -> None:
    embedding, prototypes = normalize(torch.randn(1, 4)), normalize(torch.randn(5, 4))
    value = BalancedContrastiveLoss(0.2)(embedding[:, None], torch.tensor([3]), prototypes)
    torch.testing.assert_close(value, -(embedding @ prototypes.T / 0.2).log_softmax(1)[0, 3])


@pytest.mark.parametrize("temperature", [0.0, -0.1])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature must be positive"):
        BalancedContrastiveLoss(temperature)


def test_prototypes_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"prototypes must have shape \(C, 6\), got \(4, 5\)"):
        BalancedContrastiveLoss()(EMBEDDINGS, TARGETS, PROTOTYPES[:, :5])
