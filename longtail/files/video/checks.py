"""Which videos can be used: each decoded once, and the good ones kept in mind in a hidden folder ``.longtail``."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from longtail.files.cache import cache_folder, keep
from longtail.files.progress import progress_bar
from longtail.files.video.reading import check_videos
from longtail.plain import JSON
from longtail.writing import write_atomically

_VERSION = 3  # a new one whenever the checks change

_MOST_FRAMES = 2**31  # more are a damaged number

State = tuple[int, int]


def checked_videos(
    paths: Sequence[str], root: Path, pattern: str | None = None, full: bool = False
) -> list[tuple[int, str]]:
    """Check videos as ``check_videos`` does, but for those that were found good before and have not changed since.

    Args:
        paths: of the files and folders of frames.
        root: folder of the set, below which it is kept which ones are good.
        pattern: what the names of frames in folders are like.
        full: whether to decode images of frames as well, also those of videos that were found good.

    Returns:
        For each the number of its frames and an empty text, or 0 and why it cannot be used.
    """
    file = cache_folder(root) / "videos.json"
    names, states = [os.path.relpath(path, root) for path in paths], [_state(path) for path in paths]
    good = _read(file, pattern)
    records = [good.get(name, (None, 0)) for name in names]
    anew = [full and Path(path).is_dir() for path in paths]
    results = [
        (frames, "") if state == then and not again else None
        for (then, frames), state, again in zip(records, states, anew, strict=True)
    ]
    rest = [row for row, result in enumerate(results) if result is None]
    if rest:
        try:
            with progress_bar(len(rest), "checking videos", "video") as bar:
                for row, result in zip(rest, check_videos([paths[row] for row in rest], pattern, full), strict=True):
                    results[row] = result
                    good[names[row]] = (states[row], result[0])
                    bar.update()
        finally:  # what was found until Ctrl-C as well
            _write(file, {name: value for name, value in good.items() if value[1]}, pattern)
    return [result for result in results if result is not None]


def _state(path: str) -> State | None:
    """Tells versions of a file or folder apart; None where there is none."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _read(file: Path, pattern: str | None) -> dict[str, tuple[State | None, int]]:
    """By name, what a good video was like and the number of its frames; nothing where the file is of no use."""
    try:
        content: dict[str, JSON] = json.loads(file.read_text(encoding="utf-8"))
        if (content["version"], content["pattern"]) != (_VERSION, pattern):
            return {}
        numbers = {name: (int(size), int(time), int(n)) for name, (size, time, n) in content["videos"].items()}
        return {name: ((size, time), n) for name, (size, time, n) in numbers.items() if 0 < n < _MOST_FRAMES}
    except Exception:  # whatever a missing or damaged file leads to
        return {}


def _write(file: Path, good: dict[str, tuple[State | None, int]], pattern: str | None) -> None:
    videos = {name: [*state, frames] for name, (state, frames) in good.items() if state is not None}
    content = json.dumps({"version": _VERSION, "pattern": pattern, "videos": videos})
    keep(file.parent, lambda: write_atomically(file, content), "the videos will be checked again next time")
