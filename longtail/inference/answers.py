"""What a classifier says of files: the most probable classes, and sets of classes."""

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from torch import Tensor

from longtail.inference.posterior import Posterior
from longtail.inference.rejection import Rejection
from longtail.posthoc.conformal import ConformalSets

Batch = tuple[list[str], Tensor, Tensor | None]  # names of files, their logits (N, C), their scores of rejection (N,)


def answers(
    posterior: Posterior,
    batches: Iterable[Batch],
    top_k: int,
    sets: ConformalSets | None = None,
    rejection: Rejection | None = None,
) -> Iterator[dict[str, Any]]:  # JSON
    """Yield {"path", "top": [{"class", "probability"}, ...]} for every file, most probable class first, with sets
    "set": the classes in it, most probable first, and with a rejection its score by name, and "rejected"."""
    for names, logits, scores in batches:
        probabilities = posterior(logits)
        top = probabilities.topk(top_k)
        inside = None
        if sets is not None and posterior.calibration is not None:
            inside = sets(posterior.calibration.log_probabilities(logits).exp())
        for row, name in enumerate(names):
            ranked = zip(top.indices[row].tolist(), top.values[row].tolist(), strict=True)
            answer: dict[str, Any] = {  # JSON
                "path": name,
                "top": [{"class": posterior.classes[c], "probability": round(p, 6)} for c, p in ranked],
            }
            if inside is not None:
                order = probabilities[row].argsort(descending=True, stable=True).tolist()
                answer["set"] = [posterior.classes[c] for c in order if inside[row, c]]
            if rejection is not None and scores is not None:
                score = float(scores[row])
                answer |= {rejection.score: round(score, 6), "rejected": score > rejection.threshold}
            yield answer


def write_rows(rows: Iterator[dict[str, Any]], style: str, top_k: int, stream: TextIO) -> None:  # JSON
    """Write answers as "csv" (a column pair for each rank, then the set with | between its classes, the score of a
    rejection, and true or false for rejected) or "jsonl"."""
    if style == "jsonl":
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    table = csv.writer(stream, lineterminator="\n")
    header = ["path", *(f"{name}_{k + 1}" for k in range(top_k) for name in ("class", "probability"))]
    for number, row in enumerate(rows):
        path, top = row.pop("path"), row.pop("top")
        if number == 0:
            table.writerow([*header, *row])
        further = ["|".join(value) if isinstance(value, list) else _written(value) for value in row.values()]
        table.writerow([path, *(value for entry in top for value in entry.values()), *further])


def _written(value: float | bool) -> str:
    """A value as JSON has it."""
    return json.dumps(value)
