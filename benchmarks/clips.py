"""Frames of videos on one core, some against all: ``python -m benchmarks.clips [VIDEO ...] [--json FILE]``."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.augmentation import photos
from benchmarks.measure import CPU, race, save, table
from longtail.files.video.reading import count_frames, read_frames, segment_indices

Record = dict[str, Any]


def measure(path: Path, segments: int, repeats: int) -> Record:
    """Reading the middle frame of every part of a video against reading every frame and keeping those."""
    frames = count_frames(str(path))
    indices = segment_indices(frames, segments, None).tolist()

    def some() -> Tensor:
        return read_frames(str(path), indices)

    def every() -> Tensor:
        return read_frames(str(path), range(frames))

    shuffled = np.random.default_rng(0).permutation(frames).tolist()
    if not torch.equal(read_frames(str(path), shuffled), every()[shuffled]):
        raise AssertionError(f"{path}: frames read out of order are not those of the whole video")
    times = race({"some": some, "every": every}, CPU, repeats)
    return {
        "video": path.name,
        "frames": frames,
        "size": list(every().shape[:1:-1]),
        "wanted": segments,
        "some_ms": 1000 * times["some"].least,
        "every_ms": 1000 * times["every"].least,
        "ratio": times["every"].least / times["some"].least,
        "ratio_of_medians": times["every"].median / times["some"].median,
    }


def write_video(path: Path, frames: int = 300, width: int = 320, height: int = 240) -> Path:
    """A window that wanders over a picture with as much detail at every scale, as in photos."""
    import av

    picture = photos(1, 2 * height, 2 * width)[0].permute(1, 2, 0).contiguous().numpy()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30, options={"g": "60", "bf": "2"})
        stream.width, stream.height, stream.bit_rate = width, height, 1_000_000
        stream.pix_fmt = "yuv420p"
        for time in range(frames):
            x = int(width * (1 + np.sin(time / 40)) / 2)
            y = int(height * (1 + np.cos(time / 25)) / 2)
            window = np.ascontiguousarray(picture[y : y + height, x : x + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(window)))
        container.mux(stream.encode())
    return path


def line(record: Record) -> list[str]:
    width, height = record["size"]
    video = f"{record['video']}: {record['frames']} frames of {width} x {height}"
    times = [f"{record[key]:.0f}" for key in ("some_ms", "every_ms")]
    return [video, str(record["wanted"]), *times, f"{record['ratio']:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="*", type=Path, help="files or folders of frames; one is generated if none")
    parser.add_argument("--frames", type=int, default=10, help="frames to read of each (default 10)")
    parser.add_argument("--repeats", type=int, default=10, help="runs of each (default 10)")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        videos: Sequence[Path] = options.videos or [write_video(Path(folder) / "generated.mp4")]
        records = [measure(path, options.frames, options.repeats) for path in videos]
    save(options.json, CPU, clips=records)
    print(table(["Video", "Wanted", "Wanted only, ms", "Every frame, ms", "Ratio"], [line(clip) for clip in records]))


if __name__ == "__main__":
    main()
