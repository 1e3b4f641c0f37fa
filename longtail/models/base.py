"""What a method and a task ask of the networks that make features, the package's or the user's."""

from collections.abc import Mapping
from typing import ClassVar

from torch import nn

from longtail.models.inputs import NetworkInput
from longtail.plain import JSON


class WithInput:
    """Base of what is made from weights that expect some kind of images."""

    @classmethod
    def expected(cls, options: Mapping[str, JSON]) -> NetworkInput:
        """The images that it and the weights it starts from expect, as far as that is known.

        Args:
            options: those of the class.
        """
        return NetworkInput()


class FeatureNetwork(nn.Module, WithInput):
    """Base of the networks from images, or clips, to features. A backbone may be any module with ``num_features``; one
    that is derived from this is asked the rest too.

    Shapes: images (N, 3, H, W), or clips (N, 3, T, H, W), to features (N, num_features).

    Attributes:
        num_features: D.
        takes_clips: whether it takes clips, not images.
    """

    num_features: int
    takes_clips: ClassVar[bool] = False

    def tune(self, num_classes: int) -> None:
        """Put in what is trained of the network, for C classes; by default all of it is."""
        return

    def check_size(self, size: tuple[int, ...]) -> None:
        """Check that the network takes images of a size (H, W), or clips of a size (T, H, W); by default it does.

        Raises:
            InputError: if it does not.
        """
        return
