"""Images of optical flow that lie beside the frames of a video, as tools that compute flow leave them there."""

import re
from collections.abc import Sequence
from pathlib import Path

_WORDS = {"flow", "flowx", "flowy", "flowu", "flowv", "optflow", "opticalflow"}
_OTHER = {"x": "y", "y": "x", "u": "v", "v": "u"}


def without_flow(names: Sequence[str]) -> list[str]:
    """Names of images less those of optical flow, which are recognised where other images lie beside them.

    Flow are images whose name has the word "flow", such as flow_x_00001.jpg, and pairs of images that are called alike
    but for an x and a y or a u and a v, such as x_00001.jpg and y_00001.jpg. Numbers in the names do not matter.
    """
    series = {name: tuple(re.findall(r"[a-z]+", Path(name).stem.lower())) for name in names}
    flow = {words for words in set(series.values()) if _is_flow(words, set(series.values()))}
    frames = [name for name in names if series[name] not in flow]
    return frames or list(names)


def _is_flow(words: tuple[str, ...], others: set[tuple[str, ...]]) -> bool:
    """Whether a series of images, by the words in their names, is flow; ``others`` are all series beside it."""
    pairs = [(*words[:i], _OTHER[word], *words[i + 1 :]) for i, word in enumerate(words) if word in _OTHER]
    return not _WORDS.isdisjoint(words) or any(pair in others for pair in pairs)
