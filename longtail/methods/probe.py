"""A classifier on the features of a frozen network."""

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor, nn

from longtail.counts import Counts
from longtail.errors import InputError
from longtail.losses.base import Loss
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.methods.base import cosine_config
from longtail.methods.plain import Plain
from longtail.models.classifiers import CosineClassifier
from longtail.plain import JSON


class Probe(Plain):
    """A classifier that is trained on the features of a network that is not.

    The engine computes the features once and trains on them; see ``longtail.tasks.Classification``. In any other loop
    ``forward`` and ``classify`` take images as well as features.

    Args:
        class_counts: training images of each class (C,).
        backbone: images to features, with an attribute ``num_features``; frozen, such as
            ``longtail.models.Backbone`` with ``tuning="none"``.
        loss: as of ``Plain``.
        classifier: called with (features, classes) to make the classifier.
        copies: augmented views of each training image that features are made of, of which each epoch draws one; 1 for
            the image as evaluation shows it.

    Raises:
        InputError: if the backbone is trained, or ``copies`` is below 1.
    """

    def __init__(
        self,
        class_counts: Counts,
        backbone: nn.Module,
        loss: Loss | Callable[[Counts], Loss],
        classifier: Callable[[int, int], nn.Module] = nn.Linear,
        copies: int = 1,
    ) -> None:
        super().__init__(class_counts, backbone, loss, classifier)
        if copies < 1:
            raise InputError(f"copies must be at least 1, got {copies}")
        if any(parameter.requires_grad for parameter in backbone.parameters()):
            raise InputError("a probe wants a frozen backbone: give --model.method.backbone.tuning none")
        self.copies = copies

    @property
    def takes_soft_targets(self) -> bool:
        return False  # features are computed once, and images are mixed anew in each epoch

    def features(self, images: Tensor) -> Tensor:
        """Features (N, D) of images (N, 3, H, W), of clips, or of features (N, D), which stay as they are."""
        return images if images.ndim == 2 else super().features(images)


class NearestClassMean(Probe):
    r"""The class whose mean feature is nearest by the angle; nothing is trained.

    The logit of class c is :math:`\mathrm{scale} \cos(f, \mu_c)`. The means :math:`\mu_c` come from the start of the
    classifier, ``longtail.methods.ClassMeans``.

    Args:
        class_counts: training images of each class (C,).
        backbone: as of ``Probe``.
        scale: of the logits, which changes probabilities and no prediction.

    Source: Mensink et al., Metric learning for large scale image classification, ECCV 2012, with the angle as distance.
    """

    def __init__(self, class_counts: Counts, backbone: nn.Module, scale: float = 25.0) -> None:
        super().__init__(class_counts, backbone, CrossEntropyLoss(), partial(CosineClassifier, scale=scale))
        self.classifier.requires_grad_(False)
        self.prior_strength = None  # it is not trained by its loss

    @classmethod
    def classifier_config(cls, options: Mapping[str, JSON]) -> JSON:
        return cosine_config(options)
