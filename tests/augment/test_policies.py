"""AutoAugment and RandAugment against torchvision: tables, magnitudes, distribution and result."""

from collections import Counter

import pytest
import torch
from torchvision.transforms import AutoAugmentPolicy, InterpolationMode, autoaugment

from longtail.augment import AutoAugment, RandAugment
from longtail.augment.policies import CIFAR10_POLICY, IMAGENET_POLICY, OPERATIONS

NAMES = list(OPERATIONS)
THEIR_NAMES = {name: name.title().replace("_", "") for name in NAMES} | {
    "saturation": "Color",
    "autocontrast": "AutoContrast",
}
POLICIES = {"cifar10": CIFAR10_POLICY, "imagenet": IMAGENET_POLICY}


@pytest.mark.parametrize("name", ["cifar10", "imagenet"])
def test_tables_are_the_published_ones(name):
    theirs = autoaugment.AutoAugment(AutoAugmentPolicy(name)).policies
    ours = [tuple((THEIR_NAMES[s.operation], s.probability, s.level) for s in pair) for pair in POLICIES[name]]
    assert ours == [tuple((op, p, level or 0) for op, p, level in pair) for pair in theirs]


@pytest.mark.parametrize("size", [(32, 32), (28, 28), (64, 48), (224, 224), (331, 331)])
@pytest.mark.parametrize("bins", [10, 31])
def test_magnitudes_and_signs_are_those_of_torchvision(bins, size):
    space = autoaugment.AutoAugment()._augmentation_space(bins, size)
    for name, operation in OPERATIONS.items():
        if name == "identity":
            continue
        theirs, signed = space[THEIR_NAMES[name]]
        assert operation.signed == signed
        theirs = theirs.expand(bins).tolist()
        if name.startswith("translate"):
            theirs = [int(pixels) for pixels in theirs]
        ours = [operation.magnitude(level / (bins - 1), *size) for level in range(bins)]
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_randaugment_has_the_operations_of_torchvision():
    theirs = autoaugment.RandAugment()._augmentation_space(31, (32, 32))
    choice, _ = RandAugment().draw(5000, 32, 32, torch.Generator().manual_seed(0))
    assert {THEIR_NAMES[NAMES[i]] for i in choice.unique().tolist()} == set(theirs)


@pytest.mark.parametrize("name", ["cifar10", "imagenet"])
def test_autoaugment_frequencies(name):
    n = 40000
    choice, magnitude = AutoAugment(name).draw(n, 32, 32, torch.Generator().manual_seed(0))
    for step in (0, 1):
        expected = Counter()
        for pair in POLICIES[name]:
            expected[pair[step].operation] += pair[step].probability / 25
        expected["identity"] = 1 - sum(expected.values())
        for i, operation in enumerate(NAMES):
            p = expected[operation]
            rows = choice[step] == i
            assert abs(rows.sum().item() - n * p) <= 5 * (n * p * (1 - p)) ** 0.5 + 1e-6
            if OPERATIONS[operation].signed and p > 0:
                values = magnitude[step][rows]
                minus, plus = (values < 0).sum().item(), (values > 0).sum().item()
                assert abs(minus - plus) <= 5 * (minus + plus) ** 0.5
                assert set(values.abs().tolist()) <= set(magnitude[step][rows & (magnitude[step] >= 0)].tolist())


def test_autoaugment_steps_belong_to_one_subpolicy():
    choice, _ = AutoAugment("cifar10").draw(20000, 32, 32, torch.Generator().manual_seed(1))
    allowed = {tuple(step.operation for step in pair) for pair in CIFAR10_POLICY}
    allowed |= {(a, "identity") for a, _ in allowed} | {("identity", b) for _, b in allowed}
    pairs = {(NAMES[a], NAMES[b]) for a, b in choice.T.tolist()}
    assert pairs - {("identity", "identity")} <= allowed


def test_randaugment_frequencies():
    n = 40000
    choice, magnitude = RandAugment(n=3, magnitude=15).draw(n, 32, 32, torch.Generator().manual_seed(0))
    for step in range(3):
        counts = torch.bincount(choice[step], minlength=15)
        assert (counts[:14] - n / 14).abs().max() <= 5 * (n / 14) ** 0.5
        assert counts[14] == 0
    rotation = magnitude[choice == NAMES.index("rotate")]
    assert rotation.unique().tolist() == [-15.0, 15.0]
    assert (rotation > 0).float().mean().item() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("op", [AutoAugment("cifar10"), AutoAugment("imagenet"), RandAugment(), RandAugment(3, 30)])
def test_result_is_the_sequence_that_was_drawn(op, images):
    images = images.repeat(20, 1, 1, 1)
    choice, magnitude = op.draw(len(images), *images.shape[2:], torch.Generator().manual_seed(7))
    expected = []
    for image, steps, amounts in zip(images, choice.T.tolist(), magnitude.T.tolist(), strict=True):
        for step, amount in zip(steps, amounts, strict=True):
            image = autoaugment._apply_op(image, THEIR_NAMES[NAMES[step]], amount, InterpolationMode.NEAREST, None)
        expected.append(image)
    out = op(images, torch.Generator().manual_seed(7))
    differs = (out.int() - torch.stack(expected).int()).abs() > 1
    # Ties of a nearest-neighbour source, and single grey levels that an equalisation pulls apart.
    assert differs.float().mean() < 0.005
    assert (differs.flatten(1).float().mean(dim=1) < 0.001).float().mean() > 0.9


@pytest.mark.parametrize("arguments", [{"n": 0}, {"magnitude": -1}, {"magnitude": 31}])
def test_randaugment_refuses_what_is_out_of_range(arguments):
    with pytest.raises(ValueError, match=r"expected (n|magnitude) in \["):
        RandAugment(**arguments)


def test_autoaugment_refuses_an_unknown_policy():
    with pytest.raises(ValueError, match="expected policy as one of cifar10, imagenet, got 'svhn'"):
        AutoAugment("svhn")
