"""What a classifier says of files: the most probable classes, and sets of classes."""

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from torch import Tensor

from longtail.inference.posterior import Posterior
from longtail.posthoc.conformal import ConformalSets

Batch = tuple[list[str], Tensor]  # names of files and their logits (N, C)


def answers(
    posterior: Posterior, batches: Iterable[Batch], top_k: int, sets: ConformalSets | None = None
) -> Iterator[dict[str, Any]]:  # JSON
    """Yield {"path", "top": [{"class", "probability"}, ...]} for every file, most probable class first, and with sets
    "set": the classes in it, most probable first."""
    for names, logits in batches:
        probabilities = posterior(logits)
        top = probabilities.topk(top_k)
        inside = None
        if sets is not None and posterior.calibration is not None:
            inside = sets(posterior.calibration.log_probabilities(logits).exp())
        for row, name in enumerate(names):
            ranked = zip(top.indices[row].tolist(), top.values[row].tolist(), strict=True)
            answer = {
                "path": name,
                "top": [{"class": posterior.classes[c], "probability": round(p, 6)} for c, p in ranked],
            }
            if inside is not None:
                order = probabilities[row].argsort(descending=True, stable=True).tolist()
                answer["set"] = [posterior.classes[c] for c in order if inside[row, c]]
            yield answer


def write_rows(rows: Iterator[dict[str, Any]], style: str, top_k: int, stream: TextIO) -> None:  # JSON
    """Write answers as "csv" (a column pair for each rank, and the set with | between its classes) or "jsonl"."""
    if style == "jsonl":
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    table = csv.writer(stream, lineterminator="\n")
    header = ["path", *(f"{name}_{k + 1}" for k in range(top_k) for name in ("class", "probability"))]
    for number, row in enumerate(rows):
        if number == 0:
            table.writerow([*header, "set"] if "set" in row else header)
        inside = ["|".join(row["set"])] if "set" in row else []
        table.writerow([row["path"], *(value for entry in row["top"] for value in entry.values()), *inside])
