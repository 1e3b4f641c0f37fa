"""Clips: which frames and crops a sample has, and what the data modules say of videos that they cannot use."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from discovery import classes_of
from PIL import Image

import longtail.augment
from longtail.augment import PlainView, ResizedCrop, View
from longtail.data.clips import dataset
from longtail.data.clips.dataset import ClipFiles
from longtail.data.clips.egtea import EGTEA
from longtail.data.clips.folder import VideoFolder, VideoTable
from longtail.errors import InputError
from longtail.files.images import crops as decoding
from longtail.files.listing import Listing
from longtail.files.video import checks, clips
from longtail.files.video.checks import checked_videos
from longtail.files.video.clips import read_clips
from longtail.files.video.reading import check_videos
from longtail.recipes import load_recipe

av = pytest.importorskip("av")
pytestmark = pytest.mark.usefixtures("checked_here")
FRAMES = 24
VIEWS = classes_of(longtail.augment, View)


def encode(path: Path, frames: int = FRAMES, options: dict[str, str] | None = None) -> Path:
    """A video of grey frames whose brightness tells their number."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options=options or {"g": "6", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = 48, 32, "yuv420p", 1
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((32, 48, 3), 10 + 10 * number, dtype=np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def numbers(images: torch.Tensor) -> list[Any]:
    """The numbers of the frames of clips (..., 3, T, H, W) of ``encode``."""
    values: list[Any] = ((images.double().mean((-1, -2)).mean(-2) - 10) / 10).round().long().tolist()
    return values


def frame_folder(folder: Path, frames: int, still: bool = False) -> Path:
    """Frames as images: red tells x, green y, and blue the number of the frame unless they are all alike."""
    folder.mkdir(parents=True)
    y, x = np.indices((32, 40))
    for number in range(frames):
        blue = np.full_like(x, 0 if still else 10 * number)
        Image.fromarray(np.stack([6 * x, 7 * y, blue], -1).astype(np.uint8)).save(folder / f"{number + 1}.png")
    return folder


def listing(*paths: Path) -> Listing:
    return Listing([str(path) for path in paths], np.zeros(len(paths), dtype=np.int64), ["a", "b"])


def refusal(data: Any) -> str:
    with pytest.raises(InputError) as error:
        _ = data.splits
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files to copy: a good video, a short one, and what can be wrong with one."""
    store = tmp_path_factory.mktemp("videos")
    data = encode(store / "good.mp4").read_bytes()
    encode(store / "short.mp4", 3)
    (store / "truncated.mp4").write_bytes(data[: len(data) // 3])
    (store / "empty.mp4").touch()
    (store / "text.mp4").write_text("this is not a video\n" * 100)
    with av.open(str(store / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), dtype=np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(str(store / "good.mp4")) as container:
        keys = [packet.pos for packet in container.demux(container.streams.video[0]) if packet.is_keyframe]
    (store / "corrupt.mp4").write_bytes(data[: keys[1]] + b"\xff" * (keys[3] - keys[1]) + data[keys[3] :])
    return store


def videos(root: Path, store: Path, **classes: list[str]) -> Path:
    """A folder of class folders with copies from the store, named by their number."""
    for name, files in classes.items():
        (root / name).mkdir(parents=True)
        for number, file in enumerate(files):
            shutil.copy(store / f"{file}.mp4", root / name / f"{number}-{file}.mp4")
    return root


def test_videos_whose_frames_differ_in_size_and_flow_are_told(tmp_path: Path, store: Path, log: Any) -> None:
    root = videos(tmp_path / "set", store, a=["good"] * 4, b=["good"] * 3)
    folder = frame_folder(root / "b" / "bad", 4)
    Image.new("RGB", (8, 8)).save(folder / "5.png")
    flow = frame_folder(root / "b" / "flow", FRAMES)
    for number in range(FRAMES):
        Image.new("L", (20, 16)).save(flow / f"flow_x_{number + 1}.png")
    assert "its frames differ in size (1.png is 40 x 32, 5.png is 8 x 8)" in refusal(
        VideoFolder(root=root, batch_size=2)
    )
    data = VideoFolder(root=root, batch_size=2, skip_bad_images=True)
    assert sum(len(part) for part in (data.splits.train, data.splits.val) if part is not None) == 8
    assert "left out 1 of 9 video files that cannot be read" in log.text
    assert f"left out {FRAMES} images of optical flow, which are no frames, beside those of 1 video: " in log.text


def test_training_draws_one_frame_of_each_part(store: Path) -> None:
    files = ClipFiles(listing(store / "good.mp4"), 6, 16, [ResizedCrop()])
    frames = np.array([numbers(files[0, draw]["images"])[0] for draw in range(30)])
    assert (frames // 4 == np.arange(6)).all()
    assert all(len(set(part)) == 4 for part in frames.T)


def test_evaluation_takes_the_middle_and_test_clips_lie_evenly(store: Path) -> None:
    path = listing(store / "good.mp4")
    middle = ClipFiles(path, 6, 16)[0, 5]["images"]
    assert (middle.shape, middle.dtype) == ((1, 3, 6, 16, 16), torch.uint8)
    assert numbers(middle) == [[2, 6, 10, 14, 18, 22]]
    views = ClipFiles(path, 3, 16, clips=3)[0, 5]["images"]
    assert views.shape == (3, 3, 3, 16, 16)
    assert numbers(views) == [[2, 10, 18], [4, 12, 20], [6, 14, 22]]


def test_a_crop_is_the_same_for_every_frame_and_each_view_has_its_own(tmp_path: Path) -> None:
    files = ClipFiles(listing(frame_folder(tmp_path / "clip", 12)), 4, 16, [ResizedCrop()] * 2)
    images = files[0, 7]["images"]
    assert (images.shape, images.dtype) == ((2, 3, 4, 16, 16), torch.uint8)
    red, green, blue = images.unbind(1)  # (V, T, 16, 16)
    for place in (red, green):
        assert torch.equal(place, place[:, :1].expand_as(place))
        assert not torch.equal(place[0], place[1])
    times = blue[:, :, 0, 0]
    assert torch.equal(blue, times[..., None, None].expand_as(blue))
    assert torch.equal(times[0], times[1])
    assert (times[0] // 30).tolist() == [0, 1, 2, 3]


def test_the_crop_of_egtea_is_a_square_of_the_full_height(tmp_path: Path) -> None:
    [view] = load_recipe("egtea/cdb_w")["data"]["init_args"]["views"]
    crop = ResizedCrop(**view["init_args"]["crop"]["init_args"])
    frames = torch.zeros(1, 3, 480, 640, dtype=torch.uint8)
    boxes = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_cut", lambda pixels, size, box, *_: boxes.append(box))
        for draw in range(50):
            decoding.random_crop(frames, 224, crop, np.random.default_rng(draw))
    left, top, right, bottom = np.array(boxes).T
    assert set(right - left) == set(bottom) == {480}
    assert not top.any()
    assert left.min() < 20
    assert left.max() > 140


def test_evaluation_crops_the_centre(tmp_path: Path) -> None:
    path = str(frame_folder(tmp_path / "clip", 2))
    clip = read_clips(path, 2, 14)  # resized to 16 x 20, of which 14 x 14 are cut out
    assert clip.shape == (1, 3, 2, 14, 14)
    red, green = clip[0, 0, 0, 0].double(), clip[0, 1, 0, :, 0].double()
    assert red.numpy() == pytest.approx(6 * (2 * np.arange(3, 17) + 0.5), abs=1)
    assert green.numpy() == pytest.approx(7 * (2 * np.arange(1, 15) + 0.5), abs=1)


def test_a_sample_depends_on_its_row_and_draw_alone(store: Path, tmp_path: Path) -> None:
    files = ClipFiles(listing(store / "good.mp4", frame_folder(tmp_path / "clip", 12)), 4, 16, [ResizedCrop()] * 2)
    first = [files[row, draw]["images"] for row in (0, 1) for draw in (3, 4)]
    copies = [files[row, draw]["images"] for row in (1, 0) for draw in (4, 3)][::-1]
    assert all(torch.equal(clip, copy) for clip, copy in zip(first, copies, strict=True))
    assert not torch.equal(first[2], first[3])


def test_worker_processes_give_the_same_batches(store: Path, tmp_path: Path) -> None:
    root = videos(tmp_path / "set", store, a=["good"] * 4, b=["good", "short"])

    def batches(workers: int) -> list[dict[str, Any]]:
        data = VideoFolder(root=root, batch_size=2, num_workers=workers, image_size=16, val_fraction=0)
        return list(data.train_dataloader())  # after the check, which has decoded in this process

    for batch, copy in zip(batches(0), batches(2), strict=True):
        assert batch["seed"] == copy["seed"]
        assert all(torch.equal(batch[name], copy[name]) for name in ("images", "rows", "targets"))


@pytest.mark.parametrize("kind", VIEWS)
def test_augmentation_is_the_same_for_every_frame_of_a_clip(kind: type[View]) -> None:
    data = VideoFolder(root=Path("unread"))
    view = kind()  # type: ignore[call-arg]
    frame = torch.randint(256, (3, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    batch = frame[None, :, None].expand(8, 3, 5, 32, 32)
    generator = torch.Generator().manual_seed(2)
    first, second = (data.augment(view, batch, generator) for _ in range(2))
    assert first.shape == batch.shape
    assert torch.equal(first, first[:, :, :1].expand_as(first))
    assert len({clip.numpy().tobytes() for clip in first}) > 1
    assert not torch.equal(first, second)
    alone = view(batch[:, :, 0], torch.Generator().manual_seed(2))
    assert torch.equal(first[:, :, 0], alone)


def test_views_of_a_batch_are_clips(store: Path, tmp_path: Path) -> None:
    root = videos(tmp_path / "set", store, a=["good"] * 2, b=["good"])
    options: dict[str, Any] = {"batch_size": 3, "num_workers": 0, "image_size": 16, "frames": 4, "val_fraction": 0}
    data = VideoFolder(root=root, views=[PlainView(), PlainView()], **options)
    channels = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    assert data.input == {
        "size": 16,
        **channels,
        "interpolation": "bilinear",
        "crop": 0.875,
        "crop_mode": "center",
        "frames": 4,
    }

    class Training:
        world_size, global_rank, training, testing = 1, 0, True, False

    batch = next(iter(data.train_dataloader()))
    data.trainer = Training()  # type: ignore[assignment]
    views = data.on_after_batch_transfer(batch, 0)["views"]
    assert [(view.shape, view.dtype) for view in views] == [((3, 3, 4, 16, 16), torch.float32)] * 2


def test_short_videos_repeat_frames_and_are_told(store: Path, tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    files = ClipFiles(listing(store / "short.mp4"), 8, 16, [ResizedCrop()])
    for draw in range(5):
        (frames,) = numbers(files[0, draw]["images"])
        assert frames == sorted(frames)
        assert set(frames) <= {0, 1, 2}
    assert numbers(read_clips(str(store / "short.mp4"), 6, 16)) == [[0, 0, 1, 1, 2, 2]]
    root = videos(tmp_path / "set", store, a=["good", "short"], b=["good"])
    _ = VideoFolder(root=root, batch_size=2, val_fraction=0).splits
    assert f"1 video of fewer than 8 frames, some come twice: {root}/a/1-short.mp4 (3)" in log.text


def test_class_folders_hold_videos_and_folders_of_frames(store: Path, tmp_path: Path) -> None:
    root = videos(tmp_path / "set", store, a=["good"], b=["good"])
    frame_folder(root / "a" / "frames", 9)
    data = VideoFolder(root=root, batch_size=2, val_fraction=0, num_workers=0)
    assert data.image_counts == [2, 1]
    assert data.image_size == 32
    assert data.picture("train", 1).getpixel((0, 0)) == (0, 0, 40)  # the middle one of nine
    batch = next(iter(data.train_dataloader()))
    assert batch["images"].shape == (2, 1, 3, 8, 32, 32)


def test_a_table_names_files_and_folders_of_frames(store: Path, tmp_path: Path) -> None:
    shutil.copy(store / "good.mp4", tmp_path / "one.mp4")
    frame_folder(tmp_path / "deep" / "two", 9)
    table = tmp_path / "table.csv"
    table.write_text("path,label\none.mp4,cook\ndeep/two,eat\n")
    options: dict[str, Any] = {"batch_size": 2, "val_fraction": 0, "num_workers": 0}
    data = VideoTable(table=table, **options)
    assert (data.classes, data.image_counts) == (["cook", "eat"], [1, 1])
    assert next(iter(data.train_dataloader()))["images"].shape == (2, 1, 3, 8, 32, 32)
    table.write_text("path,label\none.mp4,cook\ndeep/three,eat\n")
    assert "deep/three" in refusal(VideoTable(table=table, **options))
    table.write_text("path,label\none.mp4,cook\ndeep,eat\n")
    assert f"{tmp_path}/deep: the folder holds no images" in refusal(VideoTable(table=table, **options))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("truncated", "truncated"),
        ("sound", "no video stream, audio only"),
        ("empty", "empty file"),
        ("text", "not a video in a known format"),
    ],
)
def test_a_bad_video_gives_one_line(
    fault: str, reason: str, store: Path, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    root = videos(tmp_path / "set", store, a=["good", fault], b=["good"])
    options: dict[str, Any] = {"batch_size": 2, "val_fraction": 0}
    message = refusal(VideoFolder(root=root, **options))
    assert message.startswith(f"{root}/a/1-{fault}.mp4: {reason}")
    assert message.endswith("leave such files out by --skip-bad-videos")
    data = VideoFolder(root=root, skip_bad_images=True, **options)
    assert data.image_counts == [1, 1]
    assert "left out 1 of 3 video files that cannot be read" in log.text


def test_many_bad_videos_are_counted_and_a_class_may_be_left_without_any(store: Path, tmp_path: Path) -> None:
    root = videos(tmp_path / "set", store, a=["good", "good", "empty"], b=["text", "sound"])
    assert "(and 2 more bad files)" in refusal(VideoFolder(root=root, batch_size=2, val_fraction=0))
    message = refusal(VideoFolder(root=root, batch_size=2, val_fraction=0, skip_bad_images=True))
    assert message == f"{root}: no training video of b: add some or remove the class"
    for file in (root / "a").glob("*good*"):
        file.unlink()
    message = refusal(VideoFolder(root=root, batch_size=2, val_fraction=0, skip_bad_images=True))
    assert "no video can be read, such as" in message


def test_more_videos_than_the_batch_are_wanted(store: Path, tmp_path: Path) -> None:
    root = videos(tmp_path / "set", store, a=["good"], b=["good"])
    assert "larger than the training set of 2 videos" in refusal(VideoFolder(root=root, batch_size=4, val_fraction=0))


@pytest.mark.parametrize("workers", [0, 1])
def test_damage_in_the_middle_is_one_line(workers: int, store: Path, tmp_path: Path) -> None:
    root = videos(tmp_path / "set", store, a=["corrupt", "good"], b=["good"])
    options: dict[str, Any] = {"root": root, "batch_size": 2, "num_workers": workers, "val_fraction": 0}
    start = f"{root}/a/0-corrupt.mp4: cannot be decoded around frame "
    assert refusal(VideoFolder(**options)).startswith(start)
    assert VideoFolder(skip_bad_images=True, **options).image_counts == [1, 1]
    unchecked = VideoFolder(check_images=False, frames=FRAMES, image_size=16, **{**options, "batch_size": 3})
    with pytest.raises(InputError) as error:
        list(unchecked.train_dataloader())
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(start)
    assert message.endswith("; replace or remove the file")


def test_what_the_check_has_found_is_kept(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    names: list[str] = []
    check = checks.check_videos

    def spy(paths: list[str], pattern: str | None, full: bool) -> Iterator[tuple[int, str]]:
        for path, fault in zip(paths, check(paths, pattern, full), strict=True):
            names.append(Path(path).name)
            yield fault

    def checked() -> list[str]:
        names.clear()
        data = VideoFolder(root=root, batch_size=2, val_fraction=0, num_workers=0, skip_bad_images=True)
        assert data.image_counts == [2, 1]
        assert sorted(data._frame_counts.values()) == [3, 24, 24]
        return sorted(names)

    monkeypatch.setattr(checks, "check_videos", spy)
    root = videos(tmp_path / "set", store, a=["good", "short", "corrupt"], b=["good"])
    files = ["0-good.mp4", "0-good.mp4", "1-short.mp4", "2-corrupt.mp4"]
    assert checked() == files
    assert checked() == ["2-corrupt.mp4"]  # perhaps it is better now
    root = root.rename(tmp_path / "moved")
    os.utime(root / "b" / "0-good.mp4", ns=(1, 1))
    assert checked() == ["0-good.mp4", "2-corrupt.mp4"]
    file = root / ".longtail" / "videos.json"
    for content in ("{", "[]", '{"version": 0, "videos": {}}', '{"version": 1, "videos": {"a": 1}}'):
        file.write_text(content)
        assert checked() == files
    file.unlink()
    file.mkdir()
    assert checked() == files
    assert "the videos will be checked again next time" in log.text


def test_a_check_that_is_stopped_goes_on_later(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(shutil.copy(store / "good.mp4", tmp_path / f"{number}.mp4")) for number in range(3)]
    check = checks.check_videos

    def interrupt(rest: list[str], pattern: str | None, full: bool) -> Iterator[tuple[int, str]]:
        yield from check(rest[:2], pattern, full)
        raise KeyboardInterrupt

    monkeypatch.setattr(checks, "check_videos", interrupt)
    with pytest.raises(KeyboardInterrupt):
        checked_videos(paths, tmp_path)
    monkeypatch.setattr(checks, "check_videos", lambda rest, pattern, full: [(len(rest), "")] * len(rest))
    assert checked_videos(paths, tmp_path) == [(24, ""), (24, ""), (1, "")]


def test_videos_are_counted_from_what_the_check_has_read(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyav = pytest.importorskip("longtail.files.video.pyav")
    root = videos(tmp_path / "set", store, a=["good"] * 3, b=["good"])
    before = pyav._read_index.cache_info().misses
    data = VideoFolder(root=root, batch_size=2, val_fraction=0)
    _ = data.splits
    assert pyav._read_index.cache_info().misses - before == 4


def test_only_the_frames_that_are_needed_are_decoded(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[list[int]] = []
    real = clips.read_frames

    def spy(path: str, indices: list[int], bit_depth: int | None, pattern: str | None) -> torch.Tensor:
        requests.append(indices)
        return real(path, indices, bit_depth)

    monkeypatch.setattr(clips, "read_frames", spy)
    monkeypatch.setattr(dataset, "read_frames", spy)
    path = listing(store / "good.mp4")
    _ = ClipFiles(path, 4, 16, [ResizedCrop()] * 3)[0, 1], ClipFiles(path, 4, 16, clips=2)[0, 1]
    assert [len(indices) for indices in requests] == [4, 8]  # once for all views


@pytest.mark.parametrize("options", [{"frames": 0}, {"test_clips": 0}])
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="at least 1"):
        VideoFolder(root=Path(), **options)


SESSION = "P01-R01-Salad"
CLIPS = [f"{SESSION}-{number}-{number + 9}-F0{number}-F1{number}" for number in (10, 20, 30)]


@pytest.fixture
def egtea(store: Path, tmp_path: Path) -> Path:
    """A clip in the folder of its session, one in the root, and one as a folder of frames; two classes of three."""
    root = tmp_path / "egtea"
    (root / SESSION).mkdir(parents=True)
    shutil.copy(store / "good.mp4", root / SESSION / f"{CLIPS[0]}.mp4")
    shutil.copy(store / "good.mp4", root / f"{CLIPS[1]}.mp4")
    frame_folder(root / CLIPS[2], 5)
    lines = [f"{CLIPS[0]} 106 2 53\n", f"{CLIPS[1]} 1 1 1 \n", f"{CLIPS[2]} 7 19 3 15\n", "\n"]
    (root / "EGTEA_train_split.txt").write_text("".join(lines))
    (root / "EGTEA_val_split.txt").write_text(lines[1])
    (root / "EGTEA_test_split.txt").write_text(lines[2])
    return root


@pytest.mark.parametrize(
    ("label", "classes", "targets"),
    [("action", [1, 7, 106], [2, 0, 1]), ("verb", [1, 2, 19], [1, 0, 2]), ("noun", [1, 3, 53], [2, 0, 1])],
)
def test_egtea(egtea: Path, label: Any, classes: list[int], targets: list[int]) -> None:
    listings = EGTEA(root=egtea, label=label).list_images()
    assert listings["train"].targets.tolist() == targets
    assert listings["val"].targets.tolist() == targets[1:2]
    assert listings["test"].targets.tolist() == targets[2:]
    assert listings["train"].classes == [f"{label} {number}" for number in classes]
    places = [egtea / SESSION / f"{CLIPS[0]}.mp4", egtea / f"{CLIPS[1]}.mp4", egtea / CLIPS[2]]
    assert listings["train"].paths == [str(path) for path in places]
    assert [reason for _, reason in check_videos(listings["train"].paths)] == ["", "", ""]


def test_egtea_pictures_are_middle_frames(egtea: Path) -> None:
    data = EGTEA(root=egtea)
    assert data.picture("train", 2).getpixel((0, 0)) == (0, 0, 20)
    assert numbers(torch.from_numpy(np.array(data.picture("val", 0))).permute(2, 0, 1)[:, None]) == [12]


def test_egtea_lists_may_lie_elsewhere(egtea: Path, tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    for file in egtea.glob("*.txt"):
        file.rename(lists / file.name)
    assert len(EGTEA(root=egtea, lists=lists).list_images()["train"]) == 3
    with pytest.raises(InputError, match=r"EGTEA_train_split\.txt") as error:
        EGTEA(root=egtea).list_images()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (f"{CLIPS[0]} 1 2", "expected a clip and at least three numbers, got"),
        (f"{CLIPS[0]} 1 2 3 x", "expected a clip and at least three numbers, got"),
        (f"{CLIPS[0]} 1 take 3", "expected a clip and at least three numbers, got"),
        (f"{CLIPS[0]} 1 -2 3", "expected a clip and at least three numbers, got"),
        (f"{CLIPS[0]} 1 0 3", "verb 0 is not one of 1 to 19"),
        (f"{CLIPS[0]} 1 20 3", "verb 20 is not one of 1 to 19"),
        (f"{SESSION}-99 1 2 3", f"there is no {SESSION}/{SESSION}-99.mp4 in"),
    ],
)
def test_egtea_says_which_line_is_wrong(egtea: Path, line: str, fault: str) -> None:
    file = egtea / "EGTEA_train_split.txt"
    file.write_text(f"{file.read_text()}{line}\n")
    with pytest.raises(InputError) as error:
        EGTEA(root=egtea).list_images()
    assert str(error.value).startswith(f"{file}, line 5: {fault}")
    assert "\n" not in str(error.value)


def test_egtea_without_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no folder at .*--data\.root FOLDER"):
        EGTEA(root=tmp_path / "none").list_images()


def test_frames_of_a_pattern_are_counted_and_kept_for_prediction(tmp_path: Path, log: Any) -> None:
    root = tmp_path / "set"
    for name in "ab":
        for number in range(2):
            video = frame_folder(root / name / str(number), 3)
            Image.new("RGB", (8, 8)).save(video / "poster.jpg")
    data = VideoFolder(root=root, batch_size=1, num_workers=0, frame_pattern="*.png")
    _ = data.splits
    assert set(data._frame_counts.values()) == {3}
    assert "left out 4 images of other names than *.png, which are no frames, beside those of 4 videos: " in log.text
    assert data.input["frame_pattern"] == "*.png"
    assert "(1.png is 40 x 32, poster.jpg is 8 x 8)" in refusal(VideoFolder(root=root, batch_size=1))
