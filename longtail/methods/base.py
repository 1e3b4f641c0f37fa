"""What a method is: a network and its losses, usable in any training loop."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import index
from typing import ClassVar

from torch import Tensor, nn

from longtail.counts import Counts, counts_tensor
from longtail.models.base import FeatureNetwork
from longtail.models.classifiers import CosineClassifier
from longtail.plain import JSON


class Method(nn.Module, ABC):
    """A network with its losses.

    Attributes:
        num_views: views of every image that a training step wants.
        wants_rows: whether ``forward`` also takes ``rows`` (N,), int64, which training images these are, for methods
            that remember images.
        num_classes: C.
        prior_strength: that of the loss its logits are trained by, see ``longtail.losses.Loss``; None where not known.
    """

    num_views: ClassVar[int] = 1
    wants_rows: ClassVar[bool] = False
    num_classes: int
    prior_strength: float | None = None

    @property
    def takes_soft_targets(self) -> bool:
        """Whether ``forward`` also takes distributions over the classes (N, C), in floating point, as targets."""
        return False

    @abstractmethod
    def forward(self, views: Sequence[Tensor], targets: Tensor) -> dict[str, Tensor]:
        """Compute the training loss.

        Args:
            views: ``num_views`` batches of images (N, 3, H, W), the same images in the same order.
            targets: labels (N,).

        Returns:
            "loss", a scalar to minimise; its parts by name, detached; "logits" (N, C), detached.

        Raises:
            ValueError: on another number of views.
        """

    @abstractmethod
    def classify(self, images: Tensor) -> Tensor:
        """Return the logits (N, C) for images (N, 3, H, W), as they are used to predict."""

    def check_views(self, views: Sequence[Tensor]) -> None:
        """Raise ValueError unless there are ``num_views`` views."""
        if len(views) != self.num_views:
            raise ValueError(f"{type(self).__name__} trains on {self.num_views} views, got {len(views)}")

    @classmethod
    def classifier_config(cls, options: Mapping[str, JSON]) -> JSON:
        """The configuration of the classifier that the method makes by its options; a second stage goes on from it."""
        return options.get("classifier", "torch.nn.Linear")


def feature_count(network: nn.Module) -> int:
    """D, the number of features that a backbone says it makes of an image; raises ValueError where it does not."""
    try:
        return index(getattr(network, "num_features", None))  # type: ignore[arg-type]  # TypeError where it is no number
    except TypeError:
        raise ValueError(f"{type(network).__name__} is no backbone, as it has no whole number num_features") from None


class OneNetwork(Method):
    """A method that classifies by one backbone and one classifier.

    Args:
        class_counts: training images of each class (C,).
        backbone: images to features, with an attribute ``num_features``.
        classifier: called with (features, classes) to make the classifier.
    """

    def __init__(
        self, class_counts: Counts, backbone: nn.Module, classifier: Callable[[int, int], nn.Module] = nn.Linear
    ) -> None:
        super().__init__()
        self.num_classes = len(counts_tensor(class_counts))
        self.num_features = feature_count(backbone)
        self.backbone = backbone
        if isinstance(backbone, FeatureNetwork):
            backbone.tune(self.num_classes)
        self.classifier = classifier(self.num_features, self.num_classes)

    def features(self, images: Tensor) -> Tensor:
        """Features (N, D) of images (N, 3, H, W), of which the classifier makes the logits."""
        features: Tensor = self.backbone(images)
        return features

    def classify(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(images))
        return logits


class OneCosine(OneNetwork):
    """A method that classifies by one backbone and a cosine classifier.

    Args:
        class_counts: training images of each class (C,).
        backbone: images to features, with an attribute ``num_features``.
        scale: of the classifier.
    """

    def __init__(self, class_counts: Counts, backbone: nn.Module, scale: float) -> None:
        super().__init__(class_counts, backbone, partial(CosineClassifier, scale=scale))

    @classmethod
    def classifier_config(cls, options: Mapping[str, JSON]) -> JSON:
        return cosine_config(options)


def cosine_config(options: Mapping[str, JSON]) -> JSON:
    """The configuration of the cosine classifier of a method with an option ``scale``."""
    return {"class_path": "longtail.models.CosineClassifier", "init_args": {"scale": options["scale"]}}
