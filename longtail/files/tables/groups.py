"""Groups of images that must not lie on both sides of a split."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from longtail.errors import InputError
from longtail.files.listing import Listing
from longtail.files.tables.labels import text
from longtail.messages import escape, plural, some
from longtail.plain import JSON

logger = logging.getLogger(__name__)

TIES = ("location", "seq_id")  # what camera traps say of an image that ties it to others


def with_groups(listing: Listing, pattern: str, source: str) -> Listing:
    """A listing with the groups that a regular expression finds in its paths, unless it has groups already.

    Args:
        listing: the images.
        pattern: with one group, such as ``(patient\\d+)_``.
        source: where the images come from, for people.

    Raises:
        InputError: there is no such column and the pattern is none of one group, or it finds nothing in a path.
    """
    if listing.groups is not None:
        return listing
    start = f"{escape(source)} has no column {escape(pattern)}, and "
    return replace(listing, groups=group_names(listing.paths, pattern, start))


def group_names(paths: Sequence[str], pattern: str, start: str = "--data.group ") -> list[str]:
    """The group of each path by a regular expression with one group; messages begin with ``start``.

    Raises:
        InputError: it is none, or finds nothing in a path.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--data.group {escape(pattern)} is no regular expression ({error})") from error
    if expression.groups != 1:
        raise InputError(
            f"{start}as a regular expression of the path it needs one group in brackets: give such as "
            "--data.group '(patient[0-9]+)_', or for tables --data.group COLUMN"
        )
    matches = [expression.search(path) for path in paths]
    if None in matches:
        path = paths[matches.index(None)]
        raise InputError(f"--data.group {escape(pattern)} is not found in {escape(path)}: correct the expression")
    return [match.group(1) or "" for match in matches if match is not None]


def is_pattern(group: str) -> bool:
    """Whether what was given is a regular expression of the path, and not the name of a column or a field."""
    return "(" in group


def values_of_field(
    file: Path,
    entries: Sequence[Mapping[str, JSON]],
    name: str,
    fields: Sequence[str] | None = None,
) -> list[str]:
    """What each image has in a field that groups them, as text; empty where it has nothing there.

    Args:
        file: where the images stand, for messages.
        entries: what the file says of each image.
        name: of the field.
        fields: those which are there; by default what the first entries have.

    Raises:
        InputError: no image has it.
    """
    if not any(name in entry for entry in entries):
        fields = sorted({key for entry in entries[:100] for key in entry}) if fields is None else fields
        there = some(fields, 12)
        raise InputError(f"{escape(file)}: no image has a {escape(name)}, they have {there}: give one as --data.group")
    return [text(entry.get(name)) for entry in entries]


def tell_ties(fields: Sequence[str]) -> None:
    """Say which fields of the images tie them together, where no groups are wanted."""
    if fields:
        logger.info(f"images have {some(fields)}: --data.group {fields[0]} keeps those of one on one side of a split")


def tell_shared(groups: Mapping[str, Sequence[str] | None], noun: str) -> None:
    """Say which groups lie in the training images and in those of another split that was given.

    Args:
        groups: of the images of each split, training first.
        noun: for an image.
    """
    train = next(iter(groups.values()), None)
    own = set(train or ()) - {""}
    for name, others in list(groups.items())[1:]:
        rows = [group for group in others or () if group in own]
        if rows:
            shared = list(dict.fromkeys(rows))
            count, images = plural(len(shared), "group"), plural(len(rows), noun)
            logger.info(f"{name} has {images} of {count} that training images have too: {some(shared)}")
