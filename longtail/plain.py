"""Plain values, as files of JSON and YAML hold them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

# What such a file may hold, which is anything. It is Any by another name: whoever takes a part of it checks that part,
# where it can say what is wrong with the file, and a type of all that may stand there would ask for more at every step.
JSON: TypeAlias = Any

# A path as people give it, made a Path where it comes in. When the package runs it is Path alone, which the options are
# read as: of a union with a text jsonargparse may keep the text, and the records of runs have the paths as Path.
if TYPE_CHECKING:
    AnyPath: TypeAlias = str | os.PathLike[str]
else:
    AnyPath = Path


class Input(TypedDict, total=False):
    """What the network takes: the side of the images in pixels, mean and deviation of the channels in [0, 1], how
    images are resized, the part of them that the central crop takes, and how it takes it; how many bits of images of 16
    count, where that was given; of clips their frames, and what these are called in folders, where that was given; of a
    detector, the category id of each class; of segmentation, the label that does not count."""

    size: int
    mean: list[float]
    std: list[float]
    interpolation: str
    crop: float
    crop_mode: str
    bit_depth: int
    frames: int
    frame_pattern: str
    category_ids: list[int]
    ignore_index: int
