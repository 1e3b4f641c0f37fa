"""Groups of images that must not lie on both sides of a split, by a pattern of their paths."""

import re
from dataclasses import replace

from longtail.errors import InputError
from longtail.files.listing import Listing
from longtail.messages import shown


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
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--data.group {shown(pattern)} is no regular expression ({error})") from error
    if expression.groups != 1:
        raise InputError(
            f"{shown(source)} has no column {shown(pattern)}, and as a regular expression of the path it needs one "
            f"group in brackets: give --data.group COLUMN, or such as --data.group '(patient[0-9]+)_'"
        )
    found = [expression.search(path) for path in listing.paths]
    if None in found:
        path = listing.paths[found.index(None)]
        raise InputError(f"--data.group {shown(pattern)} is not found in {shown(path)}: correct the expression")
    return replace(listing, groups=[match.group(1) or "" for match in found if match is not None])
