import pytest
import torch
from torch import Tensor


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(n: int, height: int, width: int, low: int = 0, high: int = 256) -> Tensor:
    generator = torch.Generator().manual_seed(n * height * width)
    return torch.randint(low, high, (n, 3, height, width), dtype=torch.uint8, generator=generator)


def mixed(n: int, height: int, width: int) -> Tensor:
    """Noise, images of low contrast, smooth ones, a grey, a constant and a black one."""
    images = noise(n, height, width)
    images[1] = noise(1, height, width, 90, 140)[0]
    images[2] = torch.linspace(0, 255, width).to(torch.uint8)
    images[3] = torch.linspace(200, 20, height).to(torch.uint8)[:, None]
    images[3, 1] = 70
    images[4] = images[5, :1]
    images[6] = 133
    images[7] = 0
    return images


@pytest.fixture(params=[(32, 32), (21, 34)], ids=["square", "oblong"])
def images(request: pytest.FixtureRequest) -> Tensor:
    return mixed(12, *request.param)
