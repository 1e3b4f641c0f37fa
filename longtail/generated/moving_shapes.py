"""A small set of generated videos of moving shapes in class folders: clip recognition without a download.

``python -m longtail.generated.moving_shapes FOLDER`` writes a set.
"""

import argparse
import colorsys
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from longtail.counts import exponential_counts
from longtail.errors import InputError
from longtail.generated import drawing
from longtail.plain import AnyPath
from longtail.writing import whole_folder

# From the most frequent class to the rarest: a shape, and the way it moves. Each shape is frequent with one way of
# moving and rare with the other. A mirrored clip keeps its class.
CLASSES = (
    ("circle", "across"),
    ("triangle", "upright"),
    ("cross", "across"),
    ("ring", "upright"),
    ("circle", "upright"),
    ("triangle", "across"),
    ("cross", "upright"),
    ("ring", "across"),
)
_DRAWN = {shape.name: label for label, shape in enumerate(drawing.CLASSES)}
_SPLITS = ("train", "val", "test")


def write_moving_shapes(
    folder: AnyPath,
    train: int = 100,
    val: int = 10,
    test: int = 20,
    size: int = 64,
    frames: int = 16,
    factor: float = 0.05,
    seed: int = 0,
) -> None:
    """Write a long-tailed set of short videos, one moving shape in each.

    ``folder/train/circle_across/000001.mp4`` is the first training clip of the most frequent class; ``folder/val`` and
    ``folder/test`` look alike. A class is a shape and whether it swings from side to side or up and down, which no
    frame shows alone; colour, size, place, speed and background are drawn. In training the number of clips falls
    exponentially over the classes; validation and test are balanced. The folder is written whole or not at all, and
    the same call with the same versions of numpy and PyAV gives the same bytes.

    Args:
        folder: a folder that does not exist yet, or is empty.
        train: training clips of the most frequent class.
        val: validation clips of each class.
        test: test clips of each class.
        size: side of a frame, in pixels: even, at least 16.
        frames: of a clip, at least 2.
        factor: imbalance factor of the training clips, rarest over most frequent class, in (0, 1].
        seed: another seed gives other clips.

    Raises:
        InputError: if the folder is not empty or cannot be written, an argument is out of its range, or PyAV is not
            installed.
    """
    least = (("train", train, 1), ("val", val, 1), ("test", test, 1), ("size", size, 16), ("frames", frames, 2))
    for name, value, bound in (*least, ("seed", seed, 0)):
        if value < bound:
            raise InputError(f"{name} must be at least {bound}, got {value}")
    if size % 2:
        raise InputError(f"size must be even, got {size}: videos hold colours for every second pixel")
    if not 0 < factor <= 1:
        raise InputError(f"factor must be in (0, 1], got {factor}")
    counts = (
        exponential_counts(train, len(CLASSES), factor).tolist(),
        [val] * len(CLASSES),
        [test] * len(CLASSES),
    )
    with whole_folder(folder) as inside:
        for stream, (split, per_class) in enumerate(zip(_SPLITS, counts, strict=True)):
            for label, clips in enumerate(per_class):
                place = inside / split / "_".join(CLASSES[label])
                place.mkdir(parents=True)
                for number in range(1, clips + 1):
                    random = np.random.default_rng((seed, stream, label, number))
                    _encode(place / f"{number:06d}.mp4", draw(label, size, frames, random))


def draw(label: int, size: int, frames: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a clip, uint8 (frames, size, size, 3).

    Args:
        label: row of CLASSES.
        size: side of a frame, in pixels.
        frames: T.
        random: draws all that the class leaves open.
    """
    shape, motion = CLASSES[label]
    radius, swing = size * random.uniform(0.15, 0.22), size * random.uniform(0.18, 0.26)
    rests, moves = random.uniform(0.3, 0.7, 2) * size
    phase, swings = random.uniform(0, math.tau), random.uniform(0.8, 1.5)
    angle, turn = random.uniform(0, math.tau), random.uniform(-0.1, 0.1)
    colour = 255 * np.array(colorsys.hsv_to_rgb(random.random(), random.uniform(0.3, 1), random.uniform(0.8, 1)))
    background = _background(size, random)
    clip = np.repeat(background[None], frames, axis=0)
    for time, frame in enumerate(clip):
        along = moves + swing * math.sin(phase + math.tau * swings * time / frames)
        x, y = (along, rests) if motion == "across" else (rests, along)
        frame[drawing.shape_mask(_DRAWN[shape], size, size, x, y, radius, angle + turn * time)] = colour
    clip += random.normal(0, 4, clip.shape)
    return clip.clip(0, 255).astype(np.uint8)


def _background(size: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Dark, from one colour to another, (size, size, 3)."""
    angle = random.uniform(0, math.tau)
    down, right = (np.indices((size, size)) / size) - 0.5
    part = (right * math.cos(angle) + down * math.sin(angle) + 1)[..., None] / 2
    one, other = random.uniform(20, 110, (2, 3))
    background: NDArray[np.float64] = part * one + (1 - part) * other
    return background


def _encode(path: Path, clip: NDArray[np.uint8]) -> None:
    try:
        import av
    except ImportError as error:
        raise InputError('writing videos needs PyAV: pip install "longtail[clips]"') from error
    # MPEG-4 is in every build of FFmpeg. With one thread and without the encoder's name the bytes repeat.
    options = {"g": "8", "bf": "2", "qmin": "2", "qmax": "5", "flags": "+bitexact"}
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("mpeg4", rate=16, options=options)
        stream.height, stream.width = clip.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        for frame in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode())


def main(argv: Sequence[str] | None = None) -> int:
    """Write a set from the command line; returns the exit code: 0, or 2 for what the user can put right."""
    name = "python -m longtail.generated.moving_shapes"
    parser = argparse.ArgumentParser(name, description="Write a small set of videos of moving shapes.")
    parser.add_argument("folder", type=Path, help="a new folder")
    for option, default, text in (
        ("train", 100, "training clips of the most frequent class"),
        ("val", 10, "validation clips of each class"),
        ("test", 20, "test clips of each class"),
        ("size", 64, "side of a frame in pixels"),
        ("frames", 16, "frames of a clip"),
        ("seed", 0, "another seed gives other clips"),
    ):
        parser.add_argument(f"--{option}", type=int, default=default, help=f"{text} (default {default})")
    parser.add_argument("--factor", type=float, default=0.05, help="rarest over most frequent class (default 0.05)")
    options = vars(parser.parse_args(argv))
    try:
        write_moving_shapes(**options)
    except InputError as error:
        sys.stderr.write(f"longtail: error: {error}\n")
        return 2
    clips = {split: sum(1 for _ in (options["folder"] / split).rglob("*.mp4")) for split in _SPLITS}
    sys.stdout.write(f"{options['folder']}: " + ", ".join(f"{n} clips in {split}" for split, n in clips.items()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
