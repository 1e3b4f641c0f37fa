"""What a network costs to train, counted before it is trained."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from longtail.models.backbones import Backbone

SIDE = 224  # of an image in pixels, where neither the user nor the weights say one


def training_work(backbone: str, size: int | None = None) -> float:
    """Floating-point operations of one training step for an image: three times those of a forward pass.

    They are counted in a pass of one image through the network with random weights; the random state of torch is the
    same afterwards.

    Args:
        backbone: as ``Backbone`` takes it.
        size: side of the images in pixels; by default that of its published weights.

    Raises:
        InputError: for an unknown name, or a size that the network cannot have.
    """
    expected = Backbone.expected({"name": backbone, "pretrained": True})
    side = size or expected.size or SIDE
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network = Backbone(backbone, image_size=side if expected.fixed else None).eval()
        network.check_size((side, side))
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 3, side, side))
    return 3.0 * float(counter.get_total_flops())
