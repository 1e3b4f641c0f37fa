import sys

import numpy as np
import pytest

from longtail.counts import exponential_counts
from longtail.errors import InputError
from longtail.files.video.reading import check_videos, read_frames
from longtail.generated import moving_shapes
from longtail.generated.moving_shapes import CLASSES, draw, write_moving_shapes

pytest.importorskip("av")

SMALL = {"train": 8, "val": 1, "test": 2, "size": 32, "frames": 6, "factor": 0.2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("moving") / "set"
    write_moving_shapes(target, **SMALL)
    return target


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(*args, **options):
    with pytest.raises(InputError) as error:
        write_moving_shapes(*args, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


def clip(label, frames=16, size=64, seed=0):
    return draw(label, size, frames, np.random.default_rng(seed)).astype(int)


def centres(frames):
    """Where the bright shape is in every frame, (T, 2) as x, y."""
    peak = frames.max(-1)
    shape = peak > (peak.min() + peak.max()) / 2 + 15
    return np.array([np.argwhere(mask).mean(0)[::-1] for mask in shape])


def test_counts_and_names(folder):
    counts = {
        split: [len(list((folder / split / "_".join(names)).glob("*.mp4"))) for names in CLASSES]
        for split in ("train", "val", "test")
    }
    assert counts == {"train": exponential_counts(8, 8, 0.2).tolist(), "val": [1] * 8, "test": [2] * 8}
    assert len(content(folder)) == sum(map(sum, counts.values()))
    assert (folder / "train" / "circle_across" / "000008.mp4").is_file()


def test_every_video_shows_what_was_drawn(folder):
    paths = [str(folder / path) for path in content(folder)]
    assert set(check_videos(paths)) == {(6, "")}
    for stream, split in ((0, "train"), (2, "test")):
        for label, names in enumerate(CLASSES):
            path = folder / split / "_".join(names) / "000001.mp4"
            frames = draw(label, 32, 6, np.random.default_rng((0, stream, label, 1)))
            pixels = read_frames(str(path), range(6)).permute(0, 2, 3, 1).numpy()
            assert np.abs(pixels.astype(int) - frames).mean() < 14  # few pixels, compressed, half the colours


def test_the_clip_shows_the_motion_and_a_frame_does_not():
    assert len(set(CLASSES)) == 8
    assert {len([0 for shape, _ in CLASSES if shape == kind]) for kind, _ in CLASSES} == {2}
    for label, (_, motion) in enumerate(CLASSES):
        for seed in range(5):
            extent = np.ptp(centres(clip(label, seed=seed)), axis=0)
            assert (extent[0] > extent[1]) == (motion == "across"), (label, seed)


def test_colour_gives_nothing_away():
    brightest = np.array([[clip(label, 2, seed=seed).max((0, 1, 2)) for seed in range(40)] for label in range(8)])
    between = brightest.mean(1).std(0)
    within = brightest.std(1).mean(0)
    assert (between < within / 2).all()


def test_same_seed_same_bytes(folder, tmp_path):
    write_moving_shapes(tmp_path / "again", **SMALL)
    assert content(tmp_path / "again") == content(folder)
    write_moving_shapes(tmp_path / "other", **SMALL, seed=1)
    files = content(tmp_path / "other")
    assert files.keys() == content(folder).keys()
    assert all(files[path] != data for path, data in content(folder).items())


def test_a_clip_depends_on_its_place_alone(folder, tmp_path):
    write_moving_shapes(tmp_path / "more", **SMALL | {"train": 10, "val": 2})
    files = content(tmp_path / "more")
    assert all(files[path] == data for path, data in content(folder).items())


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("train", 0, "train must be at least 1, got 0"),
        ("val", 0, "val must be at least 1"),
        ("test", -1, "test must be at least 1"),
        ("size", 14, "size must be at least 16"),
        ("size", 33, "size must be even, got 33"),
        ("frames", 1, "frames must be at least 2"),
        ("seed", -1, "seed must be at least 0"),
        ("factor", 0, r"factor must be in (0, 1], got 0"),
        ("factor", 1.5, r"factor must be in (0, 1], got 1.5"),
    ],
)
def test_bad_arguments(tmp_path, option, value, message):
    assert message in refusal(tmp_path / "set", **SMALL | {option: value})
    assert list(tmp_path.iterdir()) == []


def test_written_whole_or_not_at_all(tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert "is not an empty folder" in refusal(tmp_path / "full", **SMALL)

    paths = []

    def fail(path, frames):
        paths.append(path)
        path.touch()
        if len(paths) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(moving_shapes, "_encode", fail)
    assert "cannot be written (No space left on device)" in refusal(tmp_path / "set", **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_without_pyav(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert refusal(tmp_path / "set", **SMALL) == 'writing videos needs PyAV: pip install "longtail[clips]"'
    assert list(tmp_path.iterdir()) == []


def test_command_line(folder, tmp_path, capsys):
    arguments = [text for name, value in SMALL.items() for text in (f"--{name}", str(value))]
    assert moving_shapes.main([str(tmp_path / "set"), *arguments]) == 0
    clips = sum(exponential_counts(8, 8, 0.2).tolist())
    assert capsys.readouterr().out == f"{tmp_path / 'set'}: {clips} clips in train, 8 clips in val, 16 clips in test\n"
    assert content(tmp_path / "set") == content(folder)
    assert moving_shapes.main([str(tmp_path / "set")]) == 2
    assert capsys.readouterr().err.startswith("longtail: error: ")
