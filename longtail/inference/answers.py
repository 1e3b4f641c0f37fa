"""What a classifier says of files: the most probable classes, and sets of classes."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator

from torch import Tensor

from longtail.inference.posterior import Posterior
from longtail.inference.rejection import Rejection
from longtail.plain import JSON, AnyPath
from longtail.posthoc.conformal import ConformalSets
from longtail.writing import write_atomically

Batch = tuple[list[str], Tensor, Tensor | None]  # names of files, their logits (N, C), their scores of rejection (N,)


def answers(
    posterior: Posterior,
    batches: Iterable[Batch],
    top_k: int,
    sets: ConformalSets | None = None,
    rejection: Rejection | None = None,
) -> Iterator[dict[str, JSON]]:
    """Yield {"path", "top": [{"class", "probability"}, ...]} for every file, most probable class first, with sets
    "set": the classes in it, most probable first, and with a rejection its score by name, and "rejected"."""
    for names, logits, scores in batches:
        probabilities = posterior(logits)
        ranks = probabilities.argsort(descending=True, stable=True)  # of equals the first class first, as in the sets
        top = ranks[:, :top_k]
        values = probabilities.gather(1, top)
        inside = None
        if sets is not None and posterior.calibration is not None:
            inside = sets(posterior.calibration.log_probabilities(logits).exp())
        for row, name in enumerate(names):
            ranked = zip(top[row].tolist(), values[row].tolist(), strict=True)
            answer: dict[str, JSON] = {
                "path": name,
                "top": [{"class": posterior.classes[c], "probability": round(p, 6)} for c, p in ranked],
            }
            if inside is not None:
                answer["set"] = [posterior.classes[c] for c in ranks[row].tolist() if inside[row, c]]
            if rejection is not None and scores is not None:
                score = float(scores[row])
                answer |= {rejection.score: round(score, 6), "rejected": score > rejection.threshold}
            yield answer


def columns(rows: Iterable[dict[str, JSON]], top_k: int) -> Iterator[list[JSON]]:
    """Answers as the rows of a table, its header first: a column pair for each rank, then the set with | between its
    classes, the score of a rejection, and true or false for rejected."""
    header = ["path", *(f"{name}_{k + 1}" for k in range(top_k) for name in ("class", "probability"))]
    for number, row in enumerate(rows):
        path, top = row.pop("path"), row.pop("top")
        if number == 0:
            yield [*header, *row]
        further = ["|".join(value) if isinstance(value, list) else json.dumps(value) for value in row.values()]
        yield [path, *(value for entry in top for value in entry.values()), *further]


def write_answers(
    rows: Iterator[dict[str, JSON]],
    table: Callable[[Iterator[dict[str, JSON]]], Iterable[list[JSON]]],
    style: str,
    output: AnyPath | None,
) -> None:
    """Write answers, as they come where no file is given; a file is written whole or not at all.

    Args:
        rows: the answers.
        table: the rows of a table of them, its header first.
        style: "csv" for that table, or "jsonl".
        output: the file; None prints them.

    Raises:
        InputError: if it cannot be written.
    """
    stream = sys.stdout if output is None else io.StringIO()
    if style == "jsonl":
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    else:
        csv.writer(stream, lineterminator="\n").writerows(table(rows))
    if output is not None and isinstance(stream, io.StringIO):
        write_atomically(output, stream.getvalue().encode("utf-8", "backslashreplace"))  # names of classes too
