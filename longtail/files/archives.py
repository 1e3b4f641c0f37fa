"""Archives in the place of what should have been unpacked from them."""

from pathlib import Path

from longtail.errors import InputError
from longtail.messages import escape, some

_ARCHIVES = frozenset(".zip .tar .gz .tgz .bz2 .xz .7z .rar".split())  # noqa: SIM905


def refuse_archive(file: Path) -> None:
    """Make sure that a path is not that of an archive, whose name may end in any case.

    Raises:
        InputError: it is.
    """
    if file.suffix.lower() in _ARCHIVES and not file.is_dir():
        shard = ", or the folder that it lies in if it is a shard" if file.suffix.lower() == ".tar" else ""
        raise InputError(f"{escape(file)} is an archive: unpack it, and give the folder{shard}")


def refuse_archives(folder: Path) -> None:
    """Make sure that a folder in which nothing was found, and ``data/`` in it, do not hold what was to be unpacked.

    Raises:
        InputError: it holds archives.
    """
    for place in (folder, folder / "data"):
        paths = place.iterdir() if place.is_dir() else ()
        archives = sorted(path.name for path in paths if path.suffix.lower() in _ARCHIVES and path.is_file())
        if archives:
            raise InputError(f"{escape(place)} holds archives, {some(archives)}: unpack them there")
