"""Groups of images that must not lie on both sides of a split."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from longtail.errors import InputError
from longtail.files.listing import Listing
from longtail.messages import plural, shown, some

logger = logging.getLogger(__name__)


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
    start = f"{shown(source)} has no column {shown(pattern)}, and "
    return replace(listing, groups=group_names(listing.paths, pattern, start))


def group_names(paths: Sequence[str], pattern: str, start: str = "--data.group ") -> list[str]:
    """The group of each path by a regular expression with one group; messages begin with ``start``.

    Raises:
        InputError: it is none, or finds nothing in a path.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--data.group {shown(pattern)} is no regular expression ({error})") from error
    if expression.groups != 1:
        raise InputError(
            f"{start}as a regular expression of the path it needs one group in brackets: give such as "
            "--data.group '(patient[0-9]+)_', or for tables --data.group COLUMN"
        )
    found = [expression.search(path) for path in paths]
    if None in found:
        path = paths[found.index(None)]
        raise InputError(f"--data.group {shown(pattern)} is not found in {shown(path)}: correct the expression")
    return [match.group(1) or "" for match in found if match is not None]


def tell_shared(listings: Mapping[str, Listing], noun: str) -> None:
    """Say which groups lie in the training images and in those of another split that was given."""
    train = next(iter(listings.values()))
    own = set(train.groups or ()) - {""}
    for name, listing in list(listings.items())[1:]:
        rows = [group for group in listing.groups or () if group in own]
        if rows:
            shared = list(dict.fromkeys(rows))
            groups, images = plural(len(shared), "group"), plural(len(rows), noun)
            logger.info(f"{name} has {images} of {groups} that training images have too: {some(shared)}")
