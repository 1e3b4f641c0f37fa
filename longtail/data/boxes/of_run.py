"""The images of a run with boxes, found again by its record."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from longtail.data.boxes.dataset import Part
from longtail.data.record import Recall, SplitFiles, names_below


def files_of(part: Part, root: Path, split: str, ends: bool) -> SplitFiles:
    """The images of a split of the set in ``root``, and checksums of their annotations; see ``SplitFiles``."""
    paths = part.paths()
    return SplitFiles.of(names_below(paths, root, split, part.folder), part.checksums(), paths, ends)


def parts_of_run(parts: Mapping[str, Part], recall: Recall, root: Path, ends: bool) -> dict[str, Part]:
    """The splits of a run: its images that are as they were, each in its own.

    Args:
        parts: the set as it is now.
        recall: of the run.
        root: of the set.
        ends: whether to look into the files.

    Raises:
        InputError: an annotation is of a class that the run does not have.
    """
    trained = recall.record.trained
    classes, ids = trained.classes, list(trained.input["category_ids"])
    now = {
        name: part
        if part.categories == (classes, ids)
        else replace(part, annotations=part.annotations.of_classes(classes, ids))
        for name, part in parts.items()
    }
    rows = recall.rows({name: files_of(part, root, name, ends) for name, part in now.items()})
    origins = {name: now.get(name, now["train"]) for name in rows}
    own = {name: replace(part, rows=part.rows[rows[name]]) for name, part in origins.items()}
    return {name: part for name, part in own.items() if len(part.rows) or name == "train"}
