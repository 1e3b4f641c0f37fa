"""How well a score tells images of the classes from others."""

import math

import torch

from longtail.checks import Numbers, check_shape

KEPT = 0.95  # share of the known images that are kept where the outsiders among the kept are counted


def separation(known: Numbers, outsiders: Numbers) -> dict[str, float]:
    r"""What a score that is larger for outsiders is worth: two fractions, NaN where either has no image.

    - "auroc": the probability that an outsider has the larger score of the two, ties counted by half: the area under
      the curve of outsiders refused over known images refused. 0.5 is chance, more is better.
    - "fpr95": the share of outsiders that are kept where 95 % of the known images are, up to the
      :math:`\lceil 0.95 n \rceil`-th smallest of their n scores; less is better.

    Args:
        known: scores of images of the classes (n,).
        outsiders: scores of other images (m,).

    Source: Hendrycks and Gimpel, A baseline for detecting misclassified and out-of-distribution examples in neural
    networks, ICLR 2017 (AUROC); Liang et al., Enhancing the reliability of out-of-distribution image detection in
    neural networks, ICLR 2018 (FPR at 95 % TPR).
    """
    from sklearn.metrics import roc_auc_score

    own, others = check_shape("known", known, "n").double(), check_shape("outsiders", outsiders, "m").double()
    if not len(own) or not len(others):
        return {"auroc": math.nan, "fpr95": math.nan}
    is_outsider = torch.cat([torch.zeros(len(own)), torch.ones(len(others))])
    threshold = own.sort().values[math.ceil(KEPT * len(own) - 1e-9) - 1]
    return {
        "auroc": float(roc_auc_score(is_outsider.numpy(), torch.cat([own, others]).numpy())),
        "fpr95": float((others <= threshold).double().mean()),
    }
