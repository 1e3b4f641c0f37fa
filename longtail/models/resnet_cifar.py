"""The ResNets of the CIFAR experiments."""

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
        self.padding = (channels - channels_in) // 2
        self.projection: nn.Module | None = None
        if projection and (stride > 1 or self.padding):
            convolution = nn.Conv2d(channels_in, channels, 1, bias=False)
            self.projection = nn.Sequential(nn.AvgPool2d(stride), convolution, nn.BatchNorm2d(channels))

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.projection is not None:
            projected: Tensor = self.projection(x)
            return projected
        if self.stride > 1 or self.padding:
            return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding))
        return x

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self._shortcut(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class CifarResNet(nn.Module):
    """ResNet of depth 6 n + 2 with 16, 32 and 64 channels, or k times as many, for images of 32x32 pixels.

    Shapes: images (N, 3, H, W) to pooled features (N, 64 k).

    Args:
        depth: 20, 32, 56, ...; 6 n + 2.
        width: k, a multiple of the channels.
        projection: whether shortcuts that change size or channels are projections, as in ResNet-D, and not option A.

    Raises:
        ValueError: if depth is not 6 n + 2, or width is below 1.

    Source: He et al., Deep residual learning, CVPR 2016, section 4.2, shortcut option A; projections: He et al., Bag of
    tricks for image classification, CVPR 2019, figure 2c.
    """

    def __init__(self, depth: int, width: int = 1, projection: bool = False) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"depth must be 6 n + 2, got {depth}")
        if width < 1:
            raise ValueError(f"width must be at least 1, got {width}")
        blocks, stem, self.num_features = (depth - 2) // 6, 16 * width, 64 * width
        self.conv = nn.Conv2d(3, stem, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(stem)
        self.stages = nn.Sequential(
            *(
                BasicBlock(
                    channels // 2 if i == 0 and stride == 2 else channels, channels, stride if i == 0 else 1, projection
                )
                for channels, stride in ((stem, 1), (2 * stem, 2), (4 * stem, 2))
                for i in range(blocks)
            )
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        x: Tensor = self.stages(F.relu(self.bn(self.conv(images))))
        return torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
