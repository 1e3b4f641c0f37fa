"""What the tests of several losses share: inputs, formulas as plain loops, and the comparison with them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize


def logits_and_targets(rows: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Logits (M, C) in float64 that want a gradient, and targets (M,)."""
    torch.manual_seed(seed)
    logits = (5 * torch.randn(rows, classes, dtype=torch.float64)).requires_grad_()
    return logits, torch.randint(classes, (rows,))


def logits_and_labels(rows: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Logits (M, C) in float64 that want a gradient, and labels (M, C), of which the first row has none."""
    logits, _ = logits_and_targets(rows, classes, seed)
    labels = torch.randint(2, (rows, classes))
    labels[:1] = 0
    return logits, labels


def sum_of_terms(logits: Tensor, labels: Tensor, term: Callable[[int, int, Tensor, int], Tensor]) -> Tensor:
    """The sum over the classes of what (row, class, logit, label) costs, for each row (M,)."""
    rows = []
    for i, (x, y) in enumerate(zip(logits, labels.tolist(), strict=True)):
        total = 0 * x.sum()
        for c in range(len(y)):
            total = total + term(i, c, x[c], y[c])
        rows.append(total)
    return stack(rows, logits)


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + (-x).exp())


def embeddings_and_targets(rows: int, views: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Embeddings (N, V, 3) in float64 that want a gradient, and targets (N,)."""
    torch.manual_seed(seed)
    embeddings = normalize(torch.randn(rows, views, 3, dtype=torch.float64), dim=2).requires_grad_()
    return embeddings, torch.randint(classes, (rows,))


def probability(logits: Tensor, label: Tensor | int) -> Tensor:
    """Softmax probability of a class, for one row of logits (C,)."""
    return logits[label].exp() / sum(logit.exp() for logit in logits)


def supervised_contrastive(embeddings: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """The supervised contrastive loss of each embedding (N V,)."""
    views = embeddings.shape[1]
    anchors = [embeddings[i // views, i % views] for i in range(len(targets) * views)]
    labels = [int(targets[i // views]) for i in range(len(anchors))]
    rows = []
    for i, anchor in enumerate(anchors):
        rest = [j for j in range(len(anchors)) if j != i]
        positives = [j for j in rest if labels[j] == labels[i]]
        total = 0 * anchor.sum()
        for p in positives:
            log_sum = sum((anchor @ anchors[j] / temperature).exp() for j in rest).log()
            total = total - (anchor @ anchors[p] / temperature - log_sum) / len(positives)
        rows.append(total)
    return stack(rows, embeddings)


def stack(rows: Sequence[Tensor], like: Tensor) -> Tensor:
    return torch.stack(list(rows)) if rows else like.new_zeros(0)


def assert_same_rows(values: Tensor, expected: Tensor, inputs: Sequence[Tensor], **close: Any) -> None:
    """The values are the same, and so is the gradient of every row, which random weights tell from their sum."""
    torch.testing.assert_close(values, expected, **close)
    if len(expected):
        weights = torch.rand(len(expected), dtype=expected.dtype)
        gradients = torch.autograd.grad(expected @ weights, inputs)
        torch.testing.assert_close(torch.autograd.grad(values @ weights, inputs), gradients, **close)
