"""Every figure of an evaluation in plain Python loops, in float64."""

import math

from torch import Tensor

NAN = math.nan


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else NAN


def figures(
    logits: Tensor, targets: Tensor, counts: list[int], bins: int = 15
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Scalars and figures per class, as LongTailMetrics gives them."""
    rows, labels = logits.double().tolist(), targets.tolist()
    classes = range(len(counts))
    order = [sorted(classes, key=lambda c, row=row: -row[c]) for row in rows]
    hits = [ranking[0] == y for ranking, y in zip(order, labels, strict=True)]
    predictions = [sum(ranking[0] == c for ranking in order) for c in classes]
    images = [labels.count(c) for c in classes]
    right = [sum(h for h, y in zip(hits, labels, strict=True) if y == c) for c in classes]
    accuracy = [right[c] / images[c] if images[c] else NAN for c in classes]
    accuracies = [value for value in accuracy if not math.isnan(value)]
    floors = [max(value, 1e-3) for value in accuracies]

    def group(belongs) -> float:
        return mean([accuracy[c] for c in classes if belongs(counts[c]) and images[c]])

    in_bin: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for row, h in zip(rows, hits, strict=True):
        confidence = math.exp(max(row)) / sum(math.exp(value) for value in row)
        in_bin[max(math.ceil(confidence * bins), 1) - 1].append((confidence, h))
    error = sum(
        len(members) / len(rows) * abs(mean([h for _, h in members]) - mean([p for p, _ in members]))
        for members in in_bin
        if members
    )
    chance = sum(images[c] * predictions[c] for c in classes) / len(rows) ** 2 if rows else NAN
    scalars = {
        "top1": mean(hits),
        "top5": mean([y in ranking[:5] for ranking, y in zip(order, labels, strict=True)]),
        "balanced_accuracy": mean(accuracies),
        "macro_f1": mean([2 * right[c] / (images[c] + predictions[c]) for c in classes if images[c] + predictions[c]]),
        "mean_precision": mean([right[c] / predictions[c] if predictions[c] else 0.0 for c in classes if images[c]]),
        "cohen_kappa": (mean(hits) - chance) / (1 - chance) if chance != 1 else NAN,
        "many": group(lambda n: n > 100),
        "medium": group(lambda n: 20 <= n <= 100),
        "few": group(lambda n: n < 20),
        "worst_class": min(accuracies, default=NAN),
        "geometric_mean": math.prod(floors) ** (1 / len(floors)) if floors else NAN,
        "harmonic_mean": len(floors) / sum(1 / value for value in floors) if floors else NAN,
        "calibration_error": error if rows else NAN,
    }
    per_class = {
        "images": images,
        "accuracy": accuracy,
        "precision": [right[c] / predictions[c] if predictions[c] else NAN for c in classes],
    }
    return scalars, per_class
