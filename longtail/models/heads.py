"""Heads that only training needs."""

from torch import Tensor, nn
from torch.nn import functional as F


class ProjectionHead(nn.Module):
    """Linear, BatchNorm, ReLU, Linear; the output is L2-normalised.

    Shapes: features (M, in_features) to embeddings (M, out_features).

    Args:
        in_features: length of a feature.
        hidden_features: width of the hidden layer.
        out_features: length of an embedding, D.
    """

    def __init__(self, in_features: int, hidden_features: int, out_features: int) -> None:
        super().__init__()
        self.out_features = out_features
        self.layers = nn.Sequential(
            nn.Linear(in_features, hidden_features),
            nn.BatchNorm1d(hidden_features),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_features, out_features),
        )

    def forward(self, features: Tensor) -> Tensor:
        return F.normalize(self.layers(features).float())


class ClassPrototypes(ProjectionHead):
    """Class prototypes: a projection with weights of its own, applied to the raw weight rows of the classifier.

    Shapes: classifier weight (C, in_features) to prototypes (C, out_features), L2-normalised.

    Source: Zhu et al., Balanced contrastive learning, CVPR 2022, section 3.3.
    """
