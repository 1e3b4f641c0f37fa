"""Class difficulty, the exponent tau, and the weights and probabilities made from them."""

import copy
import math
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longtail.difficulty import ClassDifficulty, dynamic_tau, dynamic_tau_cifar

ACCURACY = [
    0.16701774733668537,
    0.347939372737863,
    0.7487065787734528,
    0.17882770413589397,
    0.8249021693095425,
    0.7094796305746044,
    0.6503438559418536,
]
DYNAMIC_TAU = 1.9498259283320345
WEIGHTS = {  # of ACCURACY, from an independent implementation
    0.5: [
        1.3661619724204208,
        1.208727232651851,
        0.750368989588313,
        1.3564427313373377,
        0.6263609886997145,
        0.8068124886584074,
        0.8851255966439555,
    ],
    1.0: [
        1.728802555727392,
        1.3533110402961117,
        0.5215437753504348,
        1.7042917291975088,
        0.3634045938339314,
        0.6029568523790587,
        0.7256894532155629,
    ],
    1.5: [
        2.0519365915689423,
        1.4211577231321368,
        0.3400024073285635,
        2.0084533409169953,
        0.19775681632463718,
        0.42264447398433697,
        0.5580486467443883,
    ],
    2.0: [
        2.319674045501992,
        1.421449454130935,
        0.21111432564061064,
        2.254364019200933,
        0.10249837906092125,
        0.2821685729076112,
        0.4087312035569964,
    ],
    "dynamic": [
        2.2953682177163324,
        1.4239433852538483,
        0.22184846746782022,
        2.2323413172433346,
        0.10968015501219697,
        0.29436531180135,
        0.4224531455051168,
    ],
}
accuracies = given(
    st.lists(st.one_of(st.floats(0, 1, width=32), st.just(math.nan)), min_size=1, max_size=8),
    st.sampled_from([0.0, 0.7, 2.0, "dynamic", dynamic_tau_cifar]),
)


def difficulty_of(accuracy, tau="dynamic", **settings) -> ClassDifficulty:
    difficulty = ClassDifficulty(len(accuracy), tau, **settings)
    difficulty.update(accuracy)
    return difficulty


def figures(difficulty: ClassDifficulty) -> torch.Tensor:
    return torch.cat(
        [difficulty.difficulty(), difficulty.weights(), difficulty.sampling_probabilities(), difficulty.tau[None]]
    )


@pytest.mark.parametrize("tau", WEIGHTS)
def test_published_weights(tau: float | str) -> None:
    assert difficulty_of(ACCURACY, tau).weights().tolist() == pytest.approx(WEIGHTS[tau], rel=1e-5)


def test_published_dynamic_tau() -> None:
    assert float(difficulty_of(ACCURACY).tau) == pytest.approx(DYNAMIC_TAU, rel=1e-6)
    assert float(dynamic_tau(torch.tensor(ACCURACY))) == pytest.approx(DYNAMIC_TAU, rel=1e-6)


@accuracies
def test_figures_are_the_formulas(accuracy: list[float], tau) -> None:
    values = [a for a in accuracy if not math.isnan(a)]
    b = max(values) / (min(values) + 0.01) if values else 0
    number = {"dynamic": 2 / (1 + math.exp(1 - b)), dynamic_tau_cifar: 1 / (1 + math.exp(-b))}.get(tau, tau)
    mean = sum(max(1 - a, 0.01) for a in values) / len(values) if values else 1
    d = [mean if math.isnan(a) else max(1 - a, 0.01) for a in accuracy]
    powers = [value**number for value in d]

    difficulty = difficulty_of(accuracy, tau)
    assert difficulty.difficulty().tolist() == pytest.approx(d, rel=1e-5)
    assert difficulty.tau.shape == ()
    assert float(difficulty.tau) == pytest.approx(number, rel=1e-5)
    assert difficulty.weights().tolist() == pytest.approx([p / sum(powers) * len(d) for p in powers], rel=1e-4)
    assert difficulty.sampling_probabilities().tolist() == pytest.approx([p / sum(powers) for p in powers], rel=1e-4)


@pytest.mark.parametrize("tau", [0.0, 2, "dynamic", dynamic_tau_cifar])
def test_uniform_before_the_first_update(tau) -> None:
    difficulty = ClassDifficulty(7, tau)
    assert difficulty.accuracy.isnan().all()
    assert difficulty.tau.isfinite()
    assert difficulty.difficulty().tolist() == difficulty.weights().tolist() == [1] * 7
    assert difficulty.sampling_probabilities().tolist() == pytest.approx([1 / 7] * 7)


def test_a_class_that_is_nan_keeps_what_it_had() -> None:
    difficulty = difficulty_of([0.5, math.nan, 0.25])
    buffer = difficulty.accuracy
    difficulty.update(torch.tensor([math.nan, math.nan, 0.75], dtype=torch.float64))
    torch.testing.assert_close(difficulty.accuracy, torch.tensor([0.5, math.nan, 0.75]), equal_nan=True)
    assert difficulty.accuracy is buffer, "updated in place"


def test_floor_and_classes_never_seen() -> None:
    difficulty = difficulty_of([1.0, 0.2, math.nan], 1, floor=0.2)
    assert difficulty.difficulty().tolist() == pytest.approx([0.2, 0.8, 0.5])


def test_perfect_classes_and_a_large_tau_do_not_underflow() -> None:
    assert difficulty_of([1.0, 1.0], 1000).weights().tolist() == [1, 1]


def test_a_function_for_tau_gets_the_accuracies() -> None:
    difficulty = difficulty_of([0.5, math.nan], lambda accuracy: 1 + accuracy.nanmean())
    assert float(difficulty.tau) == 1.5


@accuracies
def test_state_survives(accuracy: list[float], tau) -> None:
    difficulty = difficulty_of(accuracy, tau)
    twin = ClassDifficulty(len(accuracy), tau)
    twin.load_state_dict(difficulty.state_dict())
    for duplicate in (twin, pickle.loads(pickle.dumps(difficulty)), copy.deepcopy(difficulty)):
        assert torch.equal(figures(duplicate), figures(difficulty))


@pytest.mark.parametrize("tau", [0.5, "dynamic", dynamic_tau_cifar])
def test_compiles_without_a_graph_break_and_follows_updates(tau) -> None:
    difficulty = ClassDifficulty(7, tau)
    compiled = torch.compile(lambda: figures(difficulty), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(), figures(difficulty))
    difficulty.update(ACCURACY)
    torch.testing.assert_close(compiled(), figures(difficulty))


@pytest.mark.parametrize("tau", [0.5, "dynamic", dynamic_tau_cifar])
def test_nothing_is_read_by_the_host(tau) -> None:
    figures(ClassDifficulty(7, tau).to("meta"))  # a tensor without values: reading one would raise


def test_cast_with_its_model() -> None:
    difficulty = difficulty_of([0.5, 0.25]).to(torch.bfloat16)
    assert figures(difficulty).dtype == torch.float32
    difficulty.update([0.25, math.nan])
    assert difficulty.accuracy.tolist() == [0.25, 0.25]


@pytest.mark.parametrize(
    ("accuracy", "problem"),
    [
        ([0.5], r"shape \(2,\), got \(1,\)"),
        (torch.zeros(2, 1), r"shape \(2,\), got \(2, 1\)"),
        ([0.5, 1.5], "got 1.5 for class 1"),
        ([-0.25, 0.5], "got -0.25 for class 0"),
        ([0.5, math.inf], "got inf for class 1"),
    ],
)
def test_accuracies_that_are_none_are_refused(accuracy, problem: str) -> None:
    difficulty = difficulty_of([0.5, 0.25])
    with pytest.raises(ValueError, match=problem):
        difficulty.update(accuracy)
    assert difficulty.accuracy.tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((0,), "num_classes must be at least 1, got 0"),
        ((2, -1.0), "tau must be .* got -1.0"),
        ((2, math.nan), "tau must be .* got nan"),
        ((2, "fixed"), "tau must be .* got 'fixed'"),
        ((2, 1.0, 0.0), "floor must be .* got 0.0"),
        ((2, 1.0, 1.1), "floor must be .* got 1.1"),
    ],
)
def test_settings_that_make_no_difficulty_are_refused(arguments, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ClassDifficulty(*arguments)
