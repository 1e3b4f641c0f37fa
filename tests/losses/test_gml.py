"""Gaussian mixture likelihood loss against its formula and the released code."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torch.nn.functional import normalize

from longtail.losses import gml
from longtail.losses.gml import GaussianMixtureLoss

from . import naive
from .storages import Storages

# Inputs, value and gradients of the authors' released code (both contrastive terms), computed once in float32.
QUERIES = torch.tensor(
    [
        [-0.19846214, 0.20208646, -0.0005803612, 0.48805305, 0.09353564, 0.30612364, -0.4800006, -0.5905223],
        [-0.021145258, -0.584445, -0.06406772, 0.51936626, 0.52418864, -0.03427748, -0.3053369, 0.12227733],
        [-0.67482114, -0.17298041, 0.47205982, 0.20846444, 0.03870003, -0.42241508, -0.22648773, -0.13102476],
        [0.03311889, 0.14376436, -0.025702007, 0.25007078, -0.17722549, -0.5622587, 0.41559884, -0.6283094],
        [-0.31407604, 0.3776581, -0.23010969, -0.29499453, -0.12990133, 0.6447896, 0.17146057, -0.3958936],
        [-0.3208522, -0.33483213, -0.74993867, -0.06627908, -0.28882223, -0.09135175, -0.14340784, -0.32528627],
    ]
)
KEYS = torch.tensor(
    [
        [0.25711417, 0.59005964, -0.13125186, 0.54070306, -0.5229587, -0.044641968, 0.016973643, -0.019191016],
        [-0.34594983, 0.35024592, 0.13709025, 0.15021089, -0.71836287, -0.27436122, -0.31709746, 0.15626681],
        [0.2396645, 0.09289176, -0.59126246, 0.5335347, -0.19748172, 0.42447653, 0.119393185, 0.25738597],
        [0.37671265, 0.10668459, -0.4841529, 0.16238585, 0.0652888, 0.43278074, -0.62714213, 0.03261336],
        [-0.19635326, 0.65563005, -0.063011, -0.5461189, -0.08465056, 0.35361016, 0.27852654, -0.13998388],
        [-0.20992042, -0.3642718, 0.19401515, 0.20586056, 0.26881707, -0.816719, -0.019640652, 0.05950381],
        [0.4628393, 0.10076277, -0.020856181, 0.09513518, 0.10052664, 0.45063978, -0.19044426, -0.7188117],
        [-0.7148799, 0.4298804, 0.0539148, -0.059620492, 0.25007412, 0.42640898, 0.012870219, 0.23056653],
        [-0.38082135, 0.022401977, -0.2823782, -0.31421682, 0.17750275, -0.6290989, -0.14388838, 0.47752196],
        [-0.06512576, -0.05992181, 0.4129771, 0.38350627, -0.5648929, -0.34770554, -0.47072563, 0.11382017],
        [0.23288809, -0.23281199, -0.1865277, -0.36131722, -0.30693993, 0.111819796, -0.14307049, 0.7739729],
        [0.21858439, 0.35034004, 0.5825676, -0.18630444, 0.5372841, 0.3876366, 0.08846439, 0.09287715],
        [0.4612625, 0.19094284, 0.2761261, -0.28631926, -0.17190963, 0.4169454, -0.52244836, -0.34088826],
        [-0.18968041, -0.20769526, -0.89041054, -0.124955416, -0.053130157, 0.1585161, -0.27449977, -0.095598],
        [-0.13271658, 0.45648652, -0.31015694, -0.4186687, -0.45083246, -0.027601186, 0.2131758, -0.5030607],
        [0.82933545, -0.05218227, 0.22076148, 0.2917404, -0.3217923, 0.035257556, -0.0353566, -0.26379567],
        [0.022670353, -0.40374225, -0.38388273, -0.060858764, -0.081093505, 0.26896712, -0.4832173, -0.6107291],
        [-0.195906, -0.015304549, -0.13235725, -0.09286759, 0.59328073, -0.004228552, -0.76030856, 0.07193655],
        [0.07461003, -0.040025614, 0.7050286, 0.5152949, -0.10803665, -0.29293478, -0.21283606, -0.29572833],
        [-0.5789822, 0.0922663, -0.4051439, 0.088676885, -0.2936985, -0.21633309, -0.4878324, -0.33648476],
        [0.08693925, -0.08140173, 0.16137919, 0.7346732, -0.34244624, 0.19953446, 0.33275872, -0.39014804],
        [0.06870412, -0.03423283, 0.18004943, 0.84479046, 0.260041, -0.18295904, -0.15648066, -0.34991118],
        [0.16723898, 0.6207957, -0.07228746, 0.4091644, -0.6118859, -0.08061273, -0.17794286, 0.03789845],
        [-0.052317116, 0.101057045, -0.71201074, 0.14067064, -0.013432539, 0.4858458, -0.3392903, 0.33008847],
    ]
)
TARGETS = torch.tensor([3, 0, 1, 2, 3, 2])
KEY_TARGETS = torch.tensor([3, 0, 1, 1, 2, 2, 3, 3, 3, 2, 0, 1, 3, 3, 0, 2, 3, 1, 2, 1, 2, 0, 3, 1])
IDS = torch.tensor([961, 996, 126, 543, 712, 164])
KEY_IDS = torch.tensor(
    [
        961, 996, 126, 2240, 2126, 2791, 2305, 2208, 2826, 2123, 2804, 2901,
        2320, 2220, 2888, 2695, 2314, 2757, 2140, 2340, 2145, 2198, 2660, 2703,
    ]
)  # fmt: skip
COUNTS, TEMPERATURE = [203, 102, 52, 27], 0.1
LOSS, TEMPERATURE_GRADIENT = 6.2794685, -1.9812557
QUERIES_GRADIENT = torch.tensor(
    [
        [-0.459012, -0.0034261, 0.3329346, 1.0449914, 0.266305, -0.8178704, 0.1142914, 0.4882126],
        [-0.0786819, -0.0203724, -0.0888251, -0.2878104, 0.0623259, 0.0057942, -0.1323666, 0.1423756],
        [0.6180086, -0.3133711, 1.030224, 0.4390219, 0.2275086, -0.4971252, 0.553234, 0.3876312],
        [-0.2023372, 0.5116837, -0.5341318, -0.6889445, 0.0219587, -0.0581733, -0.1278122, -0.1678159],
        [0.3830886, 0.416878, -0.282266, -0.6885587, -0.7501158, -0.4369428, 0.5364956, -0.5531347],
        [-0.4740707, 0.0604262, -1.2896919, -0.5126227, -0.1248655, 0.3698116, -0.6900697, -0.2456562],
    ]
)
KEYS_GRADIENT = torch.tensor(
    [
        [0.0084169, -0.005591, 0.0014773, -0.0048528, -0.0048032, -0.02467, 0.0190199, 0.0059078],
        [-0.15961, -0.0363902, 0.1060325, 0.0580576, 0.0036827, -0.1110713, -0.0458284, -0.0527996],
        [-0.0024779, -0.0027999, -0.0039729, 0.0029445, 0.0009727, 0.0009879, -0.0027083, -0.0034469],
        [-0.0140106, 0.0020464, -0.004649, 0.0368453, 0.0124309, 0.0183648, -0.0340514, -0.0355575],
        [-0.1297474, 0.3383779, 0.0360393, -0.1823085, -0.0131772, 0.4588845, 0.149905, -0.1810347],
        [-0.2703136, 0.0098201, 0.767824, 0.1786598, 0.2749579, -0.1317987, -0.166872, 0.2300118],
        [0.2743814, -0.293755, 0.0583793, -0.4050953, -0.0596316, -0.4649205, 0.429889, 0.679134],
        [0.3438784, -0.4153115, 0.2521608, 0.3156886, 0.1405713, -0.7087685, -0.1810299, 0.4398036],
        [-0.0036799, -0.0014713, 0.0017419, 0.0013076, 0.0001683, -0.0024239, -0.0013691, -0.0009329],
        [-0.0203518, 0.0611305, 0.2782779, 0.0490118, 0.0880241, -0.0329057, -0.0044479, 0.0756776],
        [-0.0006163, -0.0002795, -0.0012472, -0.0003612, -0.0007445, -0.0001086, -0.0001021, -0.0006688],
        [0.0020664, 0.0011041, -0.0022221, -0.0006092, -3.45e-05, 0.0027431, 0.0006695, -0.0004784],
        [0.0387213, -0.0441043, 0.0185478, -0.0093564, 0.0041023, -0.0726782, 0.0187787, 0.0718834],
        [-0.1668485, -0.2613897, -0.4534021, -0.0114444, -0.1699951, -0.1372323, -0.1081219, -0.1564792],
        [-0.3055244, 0.4420799, -0.3109083, -0.0902287, -0.2899312, 0.1676084, 0.4737185, -0.903307],
        [0.0108119, 0.0025288, 0.034379, -0.0170513, 0.0274036, 0.0507823, -0.0288878, 0.0653105],
        [0.0782647, -0.1490073, -0.0515065, -0.1820847, -0.0537627, -0.1904151, 0.1701955, 0.2474778],
        [0.1180405, -0.0925139, -0.1051983, 0.0895059, 0.1119452, 0.0810888, -0.038276, 0.0357956],
        [-0.1980741, -0.0808611, 0.1467132, 0.0078553, 0.0643828, 0.0329046, -0.1798961, 0.1167617],
        [0.6358972, -0.0018958, -1.2314892, -0.2708339, -0.2722723, 0.5272816, 0.1442551, -0.1644047],
        [0.1235241, 0.0515535, 0.3855344, -0.1554789, 0.2855123, 0.5024747, -0.2760122, 0.647321],
        [-0.3577389, 0.4944003, 0.0999932, 0.5956224, -0.1422177, 0.0473526, -0.3442411, -1.1153728],
        [0.0078764, -0.0074881, 0.0017889, -0.0083504, -0.002436, -0.0169347, 0.0134404, 0.0143955],
        [-0.0128858, -0.0101829, -0.0242941, 0.002557, -0.0051484, 0.0034538, -0.0080275, -0.0149978],
    ]
)


def formula(
    queries: Tensor,
    targets: Tensor,
    keys: Tensor,
    key_targets: Tensor,
    ids: Tensor,
    key_ids: Tensor,
    counts: list[int],
    log_temperature: Tensor,
) -> Tensor:
    """Both terms of the docstring, query by query, class by class, key by key."""
    rows = []
    for query, y, number in zip(queries, targets.tolist(), ids, strict=True):
        row = 0 * (query.sum() + keys.sum() + log_temperature)
        first = query, keys, log_temperature.detach().exp(), torch.zeros(len(keys), dtype=torch.bool)
        second = query.detach(), keys.detach(), log_temperature.exp(), key_ids == number
        for q, k, temperature, left_out in (first, second):
            scores = {}  # S(q, c) + log p_c of the classes that have keys
            for c, count in enumerate(counts):
                members = [j for j in range(len(k)) if key_targets[j] == c and not left_out[j]]
                if members:
                    mean = sum((q @ k[j] / temperature).exp() for j in members) / len(members)
                    scores[c] = mean.log() + torch.tensor(count / sum(counts), dtype=q.dtype).log()
            if y in scores:
                row = row - scores[y] + sum(score.exp() for score in scores.values()).log()
        rows.append(row)
    return naive.stack(rows, queries)


def batch(m: int, k: int, counts: list[int], empty: float, seed: int) -> tuple[Tensor, ...]:
    """Queries, targets, keys, key targets, ids and key ids: a few samples, each with one class, and empty slots."""
    torch.manual_seed(seed)
    queries, keys = (normalize(torch.randn(n, 3, dtype=torch.float64), dim=1).requires_grad_() for n in (m, k))
    label = torch.randint(len(counts), (8,))
    ids, key_ids = torch.randint(8, (m,)), torch.randint(8, (k,))
    return queries, label[ids], keys, label[key_ids].where(torch.rand(k) >= empty, -1), ids, key_ids


batches = given(
    st.integers(0, 5),
    st.integers(0, 9),
    st.lists(st.integers(1, 500), min_size=1, max_size=5),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.05, 0.1, 1.0]),
    st.integers(0, 99),
)
CLOSE = {"rtol": 1e-5, "atol": 1e-5}  # the prior and the temperature are kept in float32


@batches
def test_value_and_gradients_are_the_formulas(
    m: int, k: int, counts: list[int], empty: float, temperature: float, seed: int
) -> None:
    inputs = batch(m, k, counts, empty, seed)
    loss = GaussianMixtureLoss(counts, temperature, reduction="none")
    trained = [inputs[0], inputs[2], loss.log_temperature]
    naive.assert_same_rows(loss(*inputs), formula(*inputs, counts, loss.log_temperature), trained, **CLOSE)
    nobody = torch.full_like(inputs[4], -1)  # without ids no key is left out
    expected = formula(*inputs[:4], nobody, inputs[5], counts, loss.log_temperature)
    naive.assert_same_rows(loss(*inputs[:4]), expected, trained, **CLOSE)


@batches
def test_blocks_change_nothing(m: int, k: int, counts: list[int], empty: float, temperature: float, seed: int) -> None:
    inputs = batch(m, k, counts, empty, seed)
    loss = GaussianMixtureLoss(counts, temperature, reduction="none").double()
    trained = [inputs[0], inputs[2], loss.log_temperature]
    for limit in (0, 100):  # the gradient made anew, block by block, or kept
        whole = loss(*inputs)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gml, "BLOCK", 20)  # two queries at a time with nine keys, all of them with three
            patch.setattr(gml, "KEPT", limit)
            naive.assert_same_rows(loss(*inputs), whole, trained, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("limit", "scores"), [(0, 4 * 96), (64 * 96 - 1, 4 * 96), (64 * 96, 64 * 96)])
def test_more_scores_than_are_kept_are_there_in_blocks_alone(
    limit: int, scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gml, "KEPT", limit)
    monkeypatch.setattr(gml, "BLOCK", 4 * 96)  # four queries of 64 with all keys
    queries, keys = (torch.randn(n, 3, requires_grad=True) for n in (64, 96))
    loss = GaussianMixtureLoss([50, 9, 1])
    with Storages() as storages:
        loss(queries, torch.arange(64) % 3, keys, torch.arange(96) % 3).backward()
    assert storages.largest() == 4 * scores  # bytes of a float32


def test_value_and_gradients_are_those_of_the_released_code() -> None:
    loss = GaussianMixtureLoss(COUNTS, TEMPERATURE)
    queries, keys = QUERIES.clone().requires_grad_(), KEYS.clone().requires_grad_()
    value = loss(queries, TARGETS, keys, KEY_TARGETS, IDS, KEY_IDS)
    value.backward()
    assert value.item() == pytest.approx(LOSS, rel=1e-5)
    assert loss.log_temperature.grad.item() == pytest.approx(TEMPERATURE_GRADIENT, rel=1e-5)
    torch.testing.assert_close(queries.grad, QUERIES_GRADIENT, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(keys.grad, KEYS_GRADIENT, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("counts", [[7, 7, 7], [90, 9, 1]])
def test_with_one_key_for_each_class_both_terms_are_logit_adjusted_cross_entropy(counts: list[int]) -> None:
    queries, keys = normalize(torch.randn(4, 5), dim=1), normalize(torch.randn(3, 5), dim=1)
    targets, prior = torch.tensor([0, 2, 1, 0]), torch.tensor(counts) / sum(counts)
    value = GaussianMixtureLoss(counts, 0.2)(queries, targets, keys, torch.arange(3))
    torch.testing.assert_close(value, 2 * F.cross_entropy(queries @ keys.T / 0.2 + prior.log(), targets))


def test_a_key_is_left_out_of_the_second_term_alone() -> None:
    """With its own key as the only one of its class, a query has the first term and no second."""
    queries, keys = QUERIES[:1], KEYS[:3]
    loss = GaussianMixtureLoss(COUNTS, 0.5)
    value = loss(queries, TARGETS[:1], keys, KEY_TARGETS[:3], IDS[:1], KEY_IDS[:3])
    without = loss(queries, TARGETS[:1], keys, KEY_TARGETS[:3])
    torch.testing.assert_close(value, without / 2)
    value.backward()
    assert loss.log_temperature.grad == 0


@pytest.mark.parametrize(("rows", "slots"), [(0, 24), (6, 0), (0, 0)])
def test_without_queries_or_keys_it_is_zero(rows: int, slots: int) -> None:
    loss = GaussianMixtureLoss(COUNTS)
    queries, keys = QUERIES[:rows].clone().requires_grad_(), KEYS[:slots].clone().requires_grad_()
    value = loss(queries, TARGETS[:rows], keys, KEY_TARGETS[:slots], IDS[:rows], KEY_IDS[:slots])
    value.backward()
    assert value == loss.log_temperature.grad == 0
    assert queries.grad.count_nonzero() == keys.grad.count_nonzero() == 0


def test_the_temperature_is_learned_and_saved() -> None:
    loss, copy = GaussianMixtureLoss(COUNTS, 0.07), GaussianMixtureLoss(COUNTS)
    assert [name for name, _ in loss.named_parameters()] == list(loss.state_dict()) == ["log_temperature"]
    copy.load_state_dict(loss.state_dict())
    assert copy.temperature.item() == pytest.approx(0.07)


def test_ids_of_one_side_alone_are_refused() -> None:
    loss = GaussianMixtureLoss(COUNTS)
    for ids, key_ids in [(IDS, None), (None, KEY_IDS)]:
        with pytest.raises(ValueError, match="ids and key_ids must be given together"):
            loss(QUERIES, TARGETS, KEYS, KEY_TARGETS, ids, key_ids)


def test_keys_below_an_empty_slot_or_above_the_classes_are_refused() -> None:
    for label in (-2, 4):
        key_targets = KEY_TARGETS.clone()
        key_targets[5] = label
        with pytest.raises(ValueError, match=r"key_targets must lie in -1\.\.3"):
            GaussianMixtureLoss(COUNTS)(QUERIES, TARGETS, KEYS, key_targets)
