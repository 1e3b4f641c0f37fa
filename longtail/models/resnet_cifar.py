"""The ResNets of the CIFAR experiments."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, and a shortcut. Where size or number of channels change, it subsamples and pads channels
    with zeros, without parameters, or it is a projection: average pooling, a 1x1 convolution and a normalisation."""

    def __init__(self, channels_in: int, channels: int, stride: int, projection: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride = stride
        more = channels - channels_in
        self.padding = (more // 2, more - more // 2)
        self.projection: nn.Module | None = None
        if projection and (stride > 1 or more):
            convolution = nn.Conv2d(channels_in, channels, 1, bias=False)
            pool = nn.AvgPool2d(stride, ceil_mode=True)  # odd sides are rounded up, as by the convolution
            self.projection = nn.Sequential(pool, convolution, nn.BatchNorm2d(channels))

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.projection is not None:
            projected: Tensor = self.projection(x)
            return projected
        if self.stride > 1 or any(self.padding):
            return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, *self.padding))
        return x

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self._shortcut(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class CifarResNet(nn.Module):
    """ResNet for images of 32x32 pixels: a convolution, then stages of n blocks, all but the first at half the size.

    Shapes: images (N, 3, H, W) to pooled features (N, channels[-1]).

    Args:
        depth: layers, 2 n for each stage and 2; with three stages 20, 32, 56, ...
        channels: of every stage.
        projection: whether shortcuts that change size or channels are projections, as in ResNet-D, and not option A.

    Raises:
        ValueError: if there is no n of the depth, no stage, or a number of channels is below 1.

    Source: He et al., Deep residual learning, CVPR 2016, section 4.2, shortcut option A; projections: He et al., Bag of
    tricks for image classification, CVPR 2019, figure 2c.
    """

    def __init__(self, depth: int, channels: Sequence[int] = (16, 32, 64), projection: bool = False) -> None:
        super().__init__()
        if not channels or min(channels) < 1:
            raise ValueError(f"expected a stage or more of one channel or more, got {list(channels)}")
        layers = 2 * len(channels)
        if depth < layers + 2 or (depth - 2) % layers:
            raise ValueError(f"depth must be {layers} n + 2 with {len(channels)} stages, got {depth}")
        stem, self.num_features = channels[0], channels[-1]
        self.conv = nn.Conv2d(3, stem, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(stem)
        blocks, before = [], stem
        for stage, width in enumerate(channels):
            for i in range((depth - 2) // layers):
                blocks.append(BasicBlock(before, width, 2 if stage and i == 0 else 1, projection))
                before = width
        self.stages = nn.Sequential(*blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        x: Tensor = self.stages(F.relu(self.bn(self.conv(images))))
        return torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
