"""What a network costs to train."""

import pytest
import torch

from longtail.errors import InputError
from longtail.models.effort import training_work


def test_operations_are_counted_layer_by_layer():
    """ResNet-8 for CIFAR: its nine 3x3 convolutions, each of two operations for a weight and a position."""
    layers = [(3, 16, 32), (16, 16, 32), (16, 16, 32), (16, 32, 16), (32, 32, 16), (32, 64, 8), (64, 64, 8)]
    forward = sum(2 * 9 * inputs * outputs * side**2 for inputs, outputs, side in layers)
    assert training_work("resnet8_cifar", 32) == 3 * forward
    assert training_work("resnet8_cifar", 64) == 4 * training_work("resnet8_cifar", 32)


def test_the_size_is_that_of_the_weights_and_the_random_state_is_left_alone():
    before = torch.random.get_rng_state()
    assert training_work("test_vit.r160_in1k") == training_work("test_vit", 160) > training_work("test_vit", 96)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_cannot_be_had_gets_one_line():
    with pytest.raises(InputError, match='unknown backbone "resnet18a"'):
        training_work("resnet18a", 64)
    with pytest.raises(InputError, match="100 pixels"):
        training_work("test_vit", 100)
    with pytest.raises(InputError, match="takes no images of 200 pixels"):
        training_work("halonet26t", 200)
