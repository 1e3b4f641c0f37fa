"""Groups of images with boxes, which must not lie on both sides of a split."""

from collections.abc import Mapping

from longtail.data.boxes.dataset import Part
from longtail.files.boxes.base import BoxSet
from longtail.files.tables.groups import group_names, is_pattern, tell_shared, tell_ties


def groups_of(parts: Mapping[str, Part], files: BoxSet, group: str | None, source: str) -> dict[str, list[str]]:
    """The group of each image of every split. Those that lie in several splits are told, and where there are none
    wanted and images are to be held out the fields that could be groups.

    Args:
        parts: the splits as they were read.
        files: what they were read from.
        group: a field of the images, or a regular expression of their paths; None for no groups.
        source: the set, for messages.

    Raises:
        InputError: there is no such field, or the expression finds nothing in a path.
    """
    if group is None:
        tell_ties([] if "val" in parts else files.ties())
        return {}
    groups = {}
    for name, part in parts.items():
        values = None if is_pattern(group) else files.groups(name, group)
        if values is None:
            start = f"{source}: {files.format} has no fields of images, and --data.group "
            groups[name] = group_names(part.paths(), group, start)
        else:
            groups[name] = [values[row] for row in part.rows.tolist()]
    tell_shared(groups, "image")
    return groups
