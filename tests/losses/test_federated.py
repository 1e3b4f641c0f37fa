"""Federated loss against its formula, and its draws against sampling one class after another."""

import itertools
import math
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from longtail.losses.federated import FederatedLoss

from . import naive

NOTHING = torch.zeros(0, dtype=torch.int64)
COUNTS = [900, 100, 25, 9, 1]
DRAWS = 4000


def draws(loss: FederatedLoss, targets: Tensor) -> Tensor:
    torch.manual_seed(0)
    return torch.stack([loss.sample(targets) for _ in range(DRAWS)])


def background_of(place: int | None, classes: int) -> int | None:
    return None if place is None else range(classes)[place]


places = st.sampled_from([None, 0, -1])


@given(st.integers(0, 6), st.integers(1, 9), st.integers(1, 6), places, st.booleans(), st.integers(0, 99))
def test_value_and_gradient_are_the_formulas(
    rows: int, classes: int, num_sampled: int, place: int | None, training: bool, seed: int
) -> None:
    logits, targets = naive.logits_and_targets(rows, classes, seed)
    counts = torch.randint(1, 1000, (classes,))
    background = background_of(place, classes)
    loss = FederatedLoss(counts, num_sampled, background=background, reduction="none").train(training)
    torch.manual_seed(seed)
    mask = loss.sample(targets).tolist() if training else [True] * classes
    expected = []
    for x, y in zip(logits, targets.tolist(), strict=True):
        total = 0 * x.sum()
        for c in range(classes):
            if mask[c]:
                total = total + (1 + (-x[c] if c == y else x[c]).exp()).log()
        expected.append(total)
    torch.manual_seed(seed)
    naive.assert_same_rows(loss(logits, targets), naive.stack(expected, logits), [logits])


@given(st.lists(st.integers(0, 8), max_size=12), st.integers(1, 12), places, st.integers(0, 99))
def test_what_is_in_the_batch_counts_and_the_sample_fills_up(
    labels: list[int], num_sampled: int, place: int | None, seed: int
) -> None:
    background = background_of(place, 9)
    torch.manual_seed(seed)
    mask = FederatedLoss(range(1, 10), num_sampled, background=background).sample(torch.tensor(labels).long())
    present = {*labels} - {background}
    total = 9 if background is None else 8
    assert mask.shape == (9,)
    assert all(mask[c] for c in present)
    assert background is None or mask[background]
    assert mask.sum() == min(total, max(len(present), num_sampled)) + (background is not None)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("labels", "background"), [([], None), ([3, 3], None), ([], 0), ([0, 2], 0)], ids=lambda value: f"{value}"
)
def test_the_rest_is_drawn_one_after_another(labels: list[int], background: int | None, power: float) -> None:
    present = {*labels} - {background}
    rest = [c for c in range(5) if c not in present and c != background]
    expected = dict.fromkeys(itertools.combinations(rest, 3 - len(present)), 0.0)
    for order in itertools.permutations(rest, 3 - len(present)):
        probability, weights = 1.0, {c: COUNTS[c] ** power for c in rest}
        for c in order:
            probability *= weights[c] / sum(weights.values())
            del weights[c]
        expected[tuple(sorted(order))] += probability
    masks = draws(FederatedLoss(COUNTS, 3, power, background), torch.tensor(labels).long())
    for draw, probability in expected.items():
        mask = torch.zeros(5, dtype=torch.bool)
        mask[[*draw, *present, *([] if background is None else [background])]] = True
        deviation = math.sqrt(probability * (1 - probability) / DRAWS)
        assert abs((masks == mask).all(1).double().mean() - probability) <= 4 * deviation + 1e-9, draw


def test_classes_are_drawn_as_often_as_by_multinomial() -> None:
    counts = torch.tensor([3000, 1000, 800, 300, 100, 80, 30, 10, 8, 3, 1, 1])
    shares = draws(FederatedLoss(counts, 5), NOTHING).double().mean(0)
    weights = counts.double().sqrt().expand(DRAWS, -1)
    expected = torch.zeros(DRAWS, 12).scatter(1, torch.multinomial(weights, 5), 1).double().mean(0)
    torch.testing.assert_close(shares, expected, rtol=0, atol=4 * math.sqrt(2 * 0.25 / DRAWS))


def test_the_count_of_the_background_is_not_used() -> None:
    losses = [FederatedLoss([n, *COUNTS], 2, background=0) for n in (1, 10**6)]
    assert torch.equal(*(draws(loss, NOTHING) for loss in losses))


def test_outside_training_all_classes_count_and_nothing_is_drawn() -> None:
    loss, logits, targets = FederatedLoss(COUNTS, 1).eval(), torch.randn(4, 5), torch.tensor([0, 2, 1, 1])
    before = torch.get_rng_state()
    expected = F.binary_cross_entropy_with_logits(logits, F.one_hot(targets, 5).float(), reduction="sum") / 4
    torch.testing.assert_close(loss(logits, targets), expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_seed_repeats_the_draws_whatever_the_order_of_the_rows() -> None:
    loss, logits, targets = FederatedLoss(range(1, 101), 20), torch.randn(6, 100), torch.arange(0, 60, 10)
    copy = pickle.loads(pickle.dumps(loss))
    copy.load_state_dict(loss.state_dict())
    values = []
    for instance, order in [(loss, torch.arange(6)), (copy, torch.arange(6).flip(0))]:
        torch.manual_seed(0)
        values.append(instance(logits[order], targets[order]))
    torch.testing.assert_close(*values)
    assert not torch.isclose(loss(logits, targets), values[0])  # the next draw


def test_columns_left_out_and_columns_masked_are_the_same() -> None:
    """Compiled code and accelerators mask, a CPU leaves out."""
    torch.compiler.reset()
    loss, targets = FederatedLoss(range(1, 101), 20, background=7), torch.arange(0, 60, 10)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    results = []
    for function in (loss, compiled):
        torch.manual_seed(0)
        logits = torch.randn(6, 100, requires_grad=True)
        value = function(logits, targets)
        value.backward()
        results.append((value, logits.grad))
        assert logits.grad.any(0).sum() == 21
    torch.testing.assert_close(*results)


def test_an_accelerator_is_not_waited_for() -> None:
    """Tensors without values refuse whatever would read one."""
    logits = torch.zeros(6, 5, device="meta", requires_grad=True)
    targets = torch.zeros(6, dtype=torch.int64, device="meta")
    for background in (None, 0):
        value = FederatedLoss(COUNTS, 2, background=background).to("meta")(logits, targets)
        value.backward()
        assert value.shape == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_sampled": 0}, "num_sampled must be at least 1"),
        ({"power": -1}, "power must be at least 0"),
        ({"background": -1}, r"background must be in 0\.\.4, got -1"),
        ({"background": 5}, r"background must be in 0\.\.4, got 5"),
    ],
    ids=str,
)
def test_options_outside_their_range_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FederatedLoss(COUNTS, **options)
