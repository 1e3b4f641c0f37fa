import re
import shutil
import subprocess
import sys
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from longtail.errors import InputError
from longtail.files.images.folder import VIDEO_SUFFIXES, VIDEOS, is_sample
from longtail.files.video import reading
from longtail.files.video.reading import check_videos, count_frames, other_images, read_frames, segment_indices

av = pytest.importorskip("av")
pyav = pytest.importorskip("longtail.files.video.pyav")

FRAMES = 60
H264 = {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=2:threads=1"}
OPEN = {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:open-gop=1:threads=1"}
REFRESH = {"x264-params": "keyint=12:intra-refresh=1:bframes=0:threads=1"}
KINDS = {  # file: codec, its options, pixel format, and whether the packets tell the frames
    "h264.mp4": ("libx264", H264, "yuv420p", True),
    "h264.mkv": ("libx264", H264, "yuv420p", True),
    "h264.ts": ("libx264", H264, "yuv420p", True),
    "h264.flv": ("libx264", H264, "yuv420p", True),
    "h264.avi": ("libx264", H264, "yuv420p", False),  # no times to show in the file
    "open.mp4": ("libx264", OPEN, "yuv420p", True),
    "refresh.mkv": ("libx264", REFRESH, "yuv420p", True),  # key frames that are not whole images
    "ten_bits.mp4": ("libx264", H264, "yuv420p10le", True),
    "mpeg4.mp4": ("mpeg4", {"bf": "2", "g": "12"}, "yuv420p", True),
    "mpeg4.avi": ("mpeg4", {"bf": "2", "g": "12"}, "yuv420p", False),
    "mjpeg.avi": ("mjpeg", {}, "yuvj420p", True),
    "mpeg2.mpg": ("mpeg2video", {"bf": "2", "g": "12"}, "yuv420p", False),
}


def picture(number, width, height):
    """Noise that moves, under a brightness that grows: no two frames are alike."""
    noise = np.random.default_rng(0).integers(0, 120, (height, width, 3), dtype=np.uint8)
    return np.roll(noise, number, axis=1) + np.uint8(2 * number)


def encode(
    path, codec="libx264", options=H264, pix="yuv420p", times=None, size=(64, 48), frames=FRAMES, faststart=True
):
    header = {"movflags": "faststart"} if path.suffix == ".mp4" and faststart else {}
    with av.open(str(path), "w", options=header) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pix
        stream.time_base = stream.codec_context.time_base = Fraction(1, 25)
        stream.thread_count = 1
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, *size))
            frame.pts = number if times is None else times[number]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def every_frame(path):
    """A plain decode of the whole file, (frames, 3, H, W)."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(container.streams.video[0])]
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


def assert_every_frame(path, whole):
    assert count_frames(str(path)) == count_frames(path) == len(whole)
    order = np.random.default_rng(0).permutation(len(whole)).tolist()
    assert torch.equal(read_frames(str(path), order), whole[order])
    assert torch.equal(read_frames(path, [0]), whole[[0]])
    for index in range(0, len(whole), 7):
        assert torch.equal(read_frames(str(path), [index]), whole[[index]]), index
    assert list(check_videos([str(path)])) == [(len(whole), "")]


def refusal(path, indices=(0,)):
    with pytest.raises(InputError) as error:
        read_frames(str(path), indices)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    assert message.endswith("; replace or remove the file")
    return message[len(f"{path}: ") : -len("; replace or remove the file")]


def reason(path):
    frames, fault = reading.checked(str(path), None, False)
    assert frames == 0
    assert "\n" not in fault
    return fault


@pytest.fixture
def pyav_alone(monkeypatch):
    monkeypatch.setattr(reading, "_decoder", {"pyav": pyav}.get)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def mp4(folder):
    return encode(folder / "shared.mp4")


@pytest.mark.parametrize("name", KINDS)
def test_a_frame_is_that_of_a_whole_decode(name, folder, pyav_alone):
    codec, options, pix, plain = KINDS[name]
    path = encode(folder / name, codec, options, pix)
    whole = every_frame(path)
    assert len(whole) == FRAMES
    assert pyav.is_plain(str(path)) == plain
    assert_every_frame(path, whole)


def test_odd_size(folder, pyav_alone):
    path = encode(folder / "odd.mp4", pix="yuv444p", size=(65, 49))
    assert every_frame(path).shape[1:] == (3, 49, 65)
    assert_every_frame(path, every_frame(path))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_indices_count_frames_not_time(folder, suffix, pyav_alone):
    times = np.cumsum(np.random.default_rng(0).integers(1, 9, FRAMES)).tolist()
    path = encode(folder / f"variable{suffix}", times=times)
    assert_every_frame(path, every_frame(path))


def test_frames_cut_off_by_an_edit_list_do_not_count(folder, mp4, pyav_alone):
    path = folder / "edited.mp4"
    with av.open(str(mp4)) as source, av.open(str(path), "w") as target:
        old = source.streams.video[0]
        new = target.add_stream_from_template(old)
        packets = [packet for packet in source.demux(old) if packet.size]
        first = sorted(packet.pts for packet in packets)[17]  # between the key frames 12 and 24
        start = next(i for i, packet in enumerate(packets) if packet.is_keyframe and packet.pts > packets[0].pts)
        for packet in packets[start:]:
            packet.pts, packet.dts, packet.stream = packet.pts - first, packet.dts - first, new
            target.mux(packet)
    whole = every_frame(path)
    assert len(whole) == FRAMES - 17
    assert torch.equal(whole, every_frame(mp4)[17:])
    assert pyav.is_plain(str(path))
    assert_every_frame(path, whole)


def with_matrix(source, path, matrix):
    """A copy of an mp4 file with other first five entries of the display matrix in the header of its track."""
    data = bytearray(source.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    rows = (*matrix, 0, 0, 0, 0x4000)
    data[at : at + 36] = b"".join((value * 65536).to_bytes(4, "big", signed=True) for value in rows)
    path.write_bytes(data)
    return path


def upright_frames(path):
    """Every frame as the ffmpeg program shows it, by the filters that it puts in (ffmpeg_filter.c, autorotate)."""
    frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            theta = -round(frame.rotation) % 360
            side = frame.side_data.get("DISPLAYMATRIX")
            m = [65536, 0, 0, 0, 65536] if side is None else np.frombuffer(bytes(side), np.int32).tolist()
            filters = {
                0: ["vflip"] * (m[4] < 0),
                90: [("transpose", "cclock_flip" if m[3] > 0 else "clock")],
                180: ["hflip"] * (m[0] < 0) + ["vflip"] * (m[4] < 0),
                270: [("transpose", "clock_flip" if m[3] < 0 else "cclock")],
            }[theta]
            graph = av.filter.Graph()
            plain = av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"))
            chain = [
                graph.add_buffer(width=plain.width, height=plain.height, format=plain.format, time_base=Fraction(1, 25))
            ]
            chain += [graph.add(*((item,) if isinstance(item, str) else item)) for item in filters]
            chain.append(graph.add("buffersink"))
            for node, successor in pairwise(chain):
                node.link_to(successor)
            graph.configure()
            graph.push(plain)
            frames.append(graph.pull().to_ndarray(format="rgb24"))
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((1, 0, 0, 0, 1), (0, 0)),
        ((-1, 0, 0, 0, 1), (0, 1)),
        ((1, 0, 0, 0, -1), (1, 0)),
        ((-1, 0, 0, 0, -1), (1, 1)),
        ((0, 1, 0, 1, 0), (0, 0)),
        ((0, 1, 0, -1, 0), (0, 1)),
        ((0, -1, 0, 1, 0), (1, 0)),
        ((0, -1, 0, -1, 0), (1, 1)),
    ],
)
def test_orientations(tmp_path, matrix, corner, pyav_alone):
    """``corner``: row and column to which the upper left corner comes, by the definition of the matrix."""
    path = with_matrix(encode(tmp_path / "stored.mp4", frames=5), tmp_path / "shown.mp4", matrix)
    frames, original = read_frames(str(path), range(5)), every_frame(tmp_path / "stored.mp4")
    assert torch.equal(frames, upright_frames(path))
    assert torch.equal(frames[0, :, -corner[0], -corner[1]], original[0, :, 0, 0])
    assert frames.shape[2:] == (original.shape[2:] if matrix[0] else original.shape[:1:-1])
    assert pyav.is_plain(str(path)) == (matrix == (1, 0, 0, 0, 1))  # torchcodec knows no mirrored videos


def test_a_tilted_video_is_shown_by_the_nearest_quarter_turn(tmp_path, pyav_alone):
    source = encode(tmp_path / "stored.mp4", frames=3)
    data = bytearray(source.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    tilt = [round(65536 * value) for value in (np.sin(0.1), np.cos(0.1), 0, -np.cos(0.1), np.sin(0.1))]
    data[at : at + 20] = b"".join(value.to_bytes(4, "big", signed=True) for value in tilt)
    (tmp_path / "tilted.mp4").write_bytes(data)
    clockwise = torch.rot90(every_frame(source), -1, (2, 3))
    assert torch.equal(read_frames(str(tmp_path / "tilted.mp4"), range(3)), clockwise)


def test_frames_that_change_size_are_found_by_the_check(tmp_path, pyav_alone):
    parts = [encode(tmp_path / "a.ts", frames=9), encode(tmp_path / "b.ts", frames=9, size=(48, 64))]
    whole = tmp_path / "changes.ts"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    with av.open(str(whole)) as container:
        sizes = {(frame.width, frame.height) for frame in container.decode(video=0)}
    assert sizes == {(64, 48), (48, 64)}
    assert reason(whole) == "its frames differ in size (48 x 64 and 64 x 48)"
    assert refusal(whole, range(12)) == reason(whole)


FLOW = {
    "flow_x": ["flow_x_00001.jpg", "flow_x_00002.jpg", "flow_y_00001.jpg", "flow_y_00002.jpg"],
    "xy": ["x_00001.jpg", "y_00001.jpg", "x_00002.jpg", "y_00002.jpg"],
    "uv": ["frame_u_1.png", "frame_v_1.png"],
    "colour": ["Flow0001.png"],
    "after": ["00001_x.jpg", "00001_y.jpg"],
}


@pytest.mark.parametrize("kind", FLOW)
def test_flow_beside_the_frames_is_no_frame(tmp_path, kind):
    for number in (1, 2, 10):
        Image.new("RGB", (6, 4), (number, 0, 0)).save(tmp_path / f"img_{number:05}.png")
    for name in FLOW[kind]:
        Image.new("L", (3, 2)).save(tmp_path / name)
    assert count_frames(str(tmp_path)) == 3
    assert read_frames(str(tmp_path), [0, 1, 2])[:, 0, 0, 0].tolist() == [1, 2, 10]
    assert list(check_videos([str(tmp_path)])) == [(3, "")]
    assert reading.other_images(str(tmp_path)) == len(FLOW[kind])


@pytest.mark.parametrize(
    "names", [FLOW["flow_x"], ["x_1.png", "x_2.png"], ["x1_y2.png", "x2_y2.png"], ["flower_1.png", "other_1.png"]]
)
def test_frames_alone_are_frames_whatever_they_are_called(tmp_path, names):
    for name in names:
        Image.new("RGB", (3, 2)).save(tmp_path / name)
    assert count_frames(str(tmp_path)) == len(names)
    assert reading.other_images(str(tmp_path)) == 0


def damage(data, random):
    """A file cut off, with bytes changed, or with a piece taken out."""
    data, kind = bytearray(data), random.integers(3)
    if kind == 0:
        return data[: random.integers(1, len(data))]
    if kind == 1:
        for at in random.integers(0, min(len(data), 1500), 6):  # the headers
            data[at] ^= 1 << int(random.integers(8))
        return data
    start = int(random.integers(len(data)))
    del data[start : start + int(random.integers(1, 400))]
    return data


@pytest.mark.parametrize("name", ["h264.mp4", "h264.mkv", "mpeg4.avi", "mpeg2.mpg"])
def test_damage_leads_to_our_error_alone(tmp_path, name, pyav_alone, capfd):
    codec, options, *_ = KINDS[name]
    whole = encode(tmp_path / name, codec, options, frames=8, size=(32, 24))
    random, refusals = np.random.default_rng(0), 0
    for number in range(40):
        path = tmp_path / f"{number}{whole.suffix}"
        path.write_bytes(damage(whole.read_bytes(), random))
        frames, fault = reading.checked(str(path), None, False)
        assert (frames > 0) != bool(fault)
        refusals += bool(fault)
        with suppress(InputError):
            read_frames(str(path), range(count_frames(str(path))))
    assert refusals > 5
    assert capfd.readouterr() == ("", "")


def test_a_codec_that_nobody_knows(tmp_path, pyav_alone):
    path = encode(tmp_path / "odd.avi", "mpeg4", {"bf": "0"}, frames=3)
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"QQQQ"))
    assert reason(path) == refusal(path) == "damaged, or of a codec that FFmpeg does not know"


def test_any_order_and_repeats(mp4):
    whole = every_frame(mp4)
    indices = [59, 0, 30, 30, 0, 13]
    frames = read_frames(str(mp4), indices)
    assert frames.dtype == torch.uint8
    assert frames.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(frames, whole[indices])
    assert torch.equal(read_frames(str(mp4), np.array([5, 4])), whole[[5, 4]])


@pytest.mark.parametrize("indices", [[], [-1], [60], [0, 1000]])
@pytest.mark.parametrize("name", ["h264.mp4", "mpeg4.avi"])
def test_indices_outside(folder, indices, name):
    path = encode(folder / f"outside_{name}", *KINDS[name][:2])
    with pytest.raises(ValueError, match=r"indices must|60 frames") as error:
        read_frames(str(path), indices)
    assert not isinstance(error.value, InputError)


def test_little_else_is_decoded(folder, monkeypatch, pyav_alone):
    path = encode(folder / "long.mp4", frames=120)
    whole = every_frame(path)
    times = []
    after = pyav._after

    def counting(*args, **options):
        for frame in after(*args, **options):
            times.append(frame.pts)
            yield frame

    monkeypatch.setattr(pyav, "_after", counting)
    assert torch.equal(read_frames(str(path), [110]), whole[[110]])
    assert len(times) <= 3  # of the 12 in its group: the key frame is 108
    times.clear()
    assert torch.equal(read_frames(str(path), [119, 114, 109]), whole[[119, 114, 109]])
    assert len(times) <= 12  # in one go


def test_packets_are_read_once(mp4, tmp_path, pyav_alone):
    path = Path(shutil.copy(mp4, tmp_path))
    before = pyav._read_index.cache_info().misses
    for index in range(5):
        read_frames(str(path), [index])
    assert count_frames(str(path)) == FRAMES
    assert pyav._read_index.cache_info().misses - before == 1
    path.touch()
    count_frames(str(path))
    assert pyav._read_index.cache_info().misses - before == 2


def test_folder_of_frames(tmp_path):
    for number in (10, 9, 100, 1):
        Image.new("RGB", (6, 4), (number, 0, 0)).save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("no frame")
    assert count_frames(str(tmp_path)) == 4
    frames = read_frames(str(tmp_path), [3, 0, 1, 2, 0])
    assert frames.shape == (5, 3, 4, 6)
    assert frames.is_contiguous(memory_format=torch.channels_last)
    assert frames[:, 0, 0, 0].tolist() == [100, 1, 9, 10, 1]
    assert list(check_videos([str(tmp_path)])) == [(4, "")]
    with pytest.raises(ValueError, match="4 frames"):
        read_frames(str(tmp_path), [4])


def test_bad_folder_of_frames(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert refusal(empty) == reason(empty) == "the folder holds no images"
    with pytest.raises(InputError, match="holds no images"):
        count_frames(str(empty))
    sizes = tmp_path / "sizes"
    sizes.mkdir()
    Image.new("RGB", (6, 4)).save(sizes / "1.png")
    Image.new("RGB", (8, 4)).save(sizes / "2.png")
    assert refusal(sizes, [0, 1]) == "its frames differ in size (6 x 4 and 8 x 4)"
    assert reason(sizes) == "its frames differ in size (1.png is 6 x 4, 2.png is 8 x 4)"
    (sizes / "3.png").write_bytes(b"no image")
    assert reason(sizes).startswith("3.png: not an image")


def test_missing_empty_and_no_video(tmp_path, capfd):
    missing, empty, text = tmp_path / "missing.mp4", tmp_path / "empty.mp4", tmp_path / "text.mp4"
    empty.touch()
    text.write_text("this is not a video\n" * 100)
    assert refusal(missing) == reason(missing) == "no such file or directory"
    assert refusal(empty) == reason(empty) == "empty file"
    assert refusal(text) == reason(text) == "not a video in a known format"
    for path in (missing, empty, text):
        with pytest.raises(InputError, match=path.name):
            count_frames(str(path))
    assert capfd.readouterr() == ("", "")


def test_a_playlist_fetches_nothing(mp4, tmp_path):
    playlist = tmp_path / "list.mp4"
    playlist.write_text(f"ffconcat version 1.0\nfile '{mp4}'\n")
    assert refusal(playlist)


def test_audio_only(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), dtype=np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert refusal(path) == reason(path) == "no video stream, audio only"


@pytest.mark.parametrize(
    ("name", "part", "message"),
    [
        ("h264.mp4", 0.6, r"truncated: holds \d+ of 60 frames"),
        ("mpeg4.avi", 0.6, r"truncated: holds \d+ of 60 frames"),
        ("h264.mkv", 0.4, r"truncated: holds 0\.. of 2\.4 seconds"),
        ("late.mp4", 0.6, "truncated or damaged: its index .* is missing"),
    ],
)
def test_truncated(tmp_path, name, part, message, capfd):
    codec, options, *_ = KINDS.get(name, KINDS["h264.mp4"])
    path = encode(tmp_path / name, codec, options, faststart=name != "late.mp4")
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    assert re.match(message, reason(path))
    assert capfd.readouterr() == ("", "")


def test_corrupt_in_the_middle(folder, mp4, capfd, pyav_alone):
    whole = every_frame(mp4)
    with av.open(str(mp4)) as container:
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
        keys = [packet for packet in packets if packet.is_keyframe]
        start, end = keys[2].pos, keys[3].pos
    data = bytearray(mp4.read_bytes())
    data[start:end] = bytes([255]) * (end - start)
    path = folder / "corrupt.mp4"
    path.write_bytes(data)
    assert re.match(r"cannot be decoded around frame 2\d \(", reason(path))
    assert torch.equal(read_frames(str(path), [0, 20, 36, 59]), whole[[0, 20, 36, 59]])
    assert refusal(path, [30]).startswith("cannot be decoded around frame 30 (")
    assert re.match(r"cannot be decoded around frame 2\d \(", refusal(path, range(FRAMES)))
    path.write_bytes(bytes(data[: keys[4].pos]) + bytes(len(data) - keys[4].pos))
    assert re.match(r"cannot be decoded around frame 2\d \(", reason(path))
    assert capfd.readouterr() == ("", "")


def test_concealed_damage_is_an_error(tmp_path, pyav_alone):
    path = encode(tmp_path / "h264.avi")
    data = path.read_bytes()
    path.write_bytes(data[: int(0.6 * len(data))])
    last = len(every_frame(path)) - 1  # a player shows a damaged image
    assert read_frames(str(path), [last - 10]).shape == (1, 3, 48, 64)
    assert refusal(path, [last]).endswith("(damaged data)")


def test_check_keeps_the_order(mp4, tmp_path):
    answers = list(check_videos([str(tmp_path / "b.mp4"), str(mp4), str(tmp_path / "a.mp4")]))
    missing = (0, "no such file or directory")
    assert answers == [missing, (FRAMES, ""), missing]


def test_neither_decoder(mp4, monkeypatch):
    for name in ("av", "torchcodec"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("pyav", "torchcodec"):
        monkeypatch.delitem(sys.modules, f"longtail.files.video.{name}", raising=False)
    monkeypatch.setattr(reading, "_decoder", reading._decoder.__wrapped__)  # not what is kept of earlier imports
    for use in (lambda: count_frames(str(mp4)), lambda: list(check_videos([str(mp4)]))):
        with pytest.raises(InputError, match=r'videos need torchcodec or PyAV: pip install "longtail\[clips\]"'):
            use()


def test_decoders_are_imported_when_needed():
    code = "import sys, longtail.files.video.reading; assert not {'av', 'torchcodec'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def fake_torchcodec(fails):
    class Fake:
        calls: list[list[int]] = []  # noqa: RUF012

        @staticmethod
        def read(path, indices):
            Fake.calls.append(list(indices))
            if fails:
                raise InputError("it cannot")
            return torch.zeros(len(indices), 3, 1, 1, dtype=torch.uint8)

    return Fake


@pytest.mark.parametrize("fails", [False, True])
def test_torchcodec_reads_what_it_can(mp4, folder, monkeypatch, fails):
    fake = fake_torchcodec(fails)
    monkeypatch.setattr(reading, "_decoder", {"pyav": pyav, "torchcodec": fake}.get)
    assert read_frames(str(mp4), [1, 2]).shape[2:] == ((48, 64) if fails else (1, 1))
    assert fake.calls == [[1, 2]]
    avi = encode(folder / "both.avi", *KINDS["mpeg4.avi"][:2])
    assert torch.equal(read_frames(str(avi), [1, 2]), every_frame(avi)[1:3])
    assert len(fake.calls) == 1


@pytest.fixture
def torchcodec_alone(monkeypatch):
    try:
        from longtail.files.video import torchcodec
    except (ImportError, OSError, RuntimeError):
        pytest.skip("torchcodec is not installed or does not load")
    monkeypatch.setattr(reading, "_decoder", {"torchcodec": torchcodec}.get)


@pytest.mark.parametrize("name", ["h264.mp4", "h264.mkv", "open.mp4", "mpeg4.mp4"])
def test_torchcodec_reads_the_same(name, folder, torchcodec_alone):
    path = encode(folder / f"torchcodec_{name}", *KINDS[name][:2])
    assert_every_frame(path, every_frame(path))


def test_torchcodec_refuses(folder, mp4, tmp_path, torchcodec_alone):
    avi = encode(folder / "refused.avi", *KINDS["mpeg4.avi"][:2])
    assert reason(avi) == refusal(avi)
    assert reason(avi).startswith("only PyAV (pip install av) reads")
    for path, size in ((tmp_path / "short.mp4", 0.6), (tmp_path / "empty.mp4", 0)):
        path.write_bytes(mp4.read_bytes()[: int(size * mp4.stat().st_size)])
        assert reason(path)
    with pytest.raises(ValueError, match="60 frames"):
        read_frames(str(mp4), [60])


@pytest.mark.parametrize("frames", [1, 2, 5, 8, 9, 100])
@pytest.mark.parametrize("segments", [1, 3, 8])
def test_training_segments(frames, segments):
    draws = np.stack([segment_indices(frames, segments, np.random.default_rng(seed)) for seed in range(300)])
    assert draws.dtype == np.int64
    assert draws.shape == (300, segments)
    assert (np.diff(draws) >= 0).all()
    for part in range(segments):
        # every frame that the part touches, and no other
        first, last = part * frames // segments, -(-(part + 1) * frames // segments) - 1
        assert draws[:, part].min() >= first
        assert draws[:, part].max() <= last
        if frames <= 9:
            assert set(draws[:, part].tolist()) == set(range(first, last + 1))


def test_test_segments():
    assert segment_indices(100, 4, None).tolist() == [12, 37, 62, 87]
    assert segment_indices(8, 8, None).tolist() == list(range(8))
    assert segment_indices(3, 6, None).tolist() == [0, 0, 1, 1, 2, 2]
    assert segment_indices(1, 3, None).tolist() == [0, 0, 0]
    clips = [segment_indices(120, 3, None, clip, 3).tolist() for clip in range(3)]
    assert clips == [[10, 50, 90], [20, 60, 100], [30, 70, 110]]


def test_segments_repeat_with_the_generator():
    first, copy = (segment_indices(50, 8, np.random.default_rng(7)).tolist() for _ in range(2))
    assert first == copy


@pytest.mark.parametrize(("args", "message"), [((0, 3), "frames"), ((3, 0), "segments")])
def test_segments_of_nothing(args, message):
    with pytest.raises(ValueError, match=message):
        segment_indices(*args, None)


@pytest.mark.parametrize(("clip", "clips"), [(3, 3), (-1, 2), (0, 0)])
def test_no_such_clip(clip, clips):
    with pytest.raises(ValueError, match="clip"):
        segment_indices(10, 2, None, clip, clips)


def test_suffixes():
    assert {".mp4", ".avi", ".mkv", ".webm", ".gif"} <= VIDEO_SUFFIXES
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in VIDEO_SUFFIXES)


def test_an_animated_gif_is_a_video(tmp_path):
    frames = [Image.new("RGB", (32, 24), (40 * i, 0, 0)) for i in range(5)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=50)
    assert count_frames(str(tmp_path / "a.gif")) == 5
    assert read_frames(str(tmp_path / "a.gif"), [0, 2, 4])[:, 0, 0, 0].tolist() == [0, 80, 160]


@pytest.fixture
def webp(tmp_path):
    """Five frames, of which the last is transparent."""
    frames = [Image.new("RGBA", (32, 24), (40 * i, 0, 0, 255 * (i < 4))) for i in range(5)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=50, lossless=True)
    return tmp_path / "a.webp"


def test_an_animated_webp_is_a_video(webp):
    assert count_frames(str(webp)) == 5
    assert read_frames(str(webp), [4, 2, 0, 2])[:, 0, 0, 0].tolist() == [255, 80, 0, 80]
    assert list(check_videos([str(webp)])) == [(5, "")]
    with pytest.raises(ValueError, match="has 5 frames and none of number 5"):
        read_frames(str(webp), [5])
    webp.write_bytes(webp.read_bytes()[:-20])
    assert [reason.split(" ")[0] for _, reason in check_videos([str(webp)])] == ["truncated:"]


def test_a_still_webp_is_a_frame(webp):
    folder = webp.parent / "still"
    folder.mkdir()
    for i in range(3):
        Image.new("RGB", (32, 24), (40 * i, 0, 0)).save(folder / f"{i}.webp", lossless=True)
    assert VIDEOS.has(str(webp))
    assert not VIDEOS.has(str(folder / "0.webp"))
    assert is_sample(str(folder), VIDEOS)
    assert not is_sample(str(webp.parent), VIDEOS)
    assert read_frames(str(folder), [2])[0, 0, 0, 0] == 80


def test_frames_of_a_pattern(tmp_path):
    for name in ("img_1.png", "img_2.png", "depth_1.png"):
        Image.new("RGB", (8, 8), (10 * len(name), 0, 0)).save(tmp_path / name)
    path = str(tmp_path)
    assert (count_frames(path), count_frames(path, "img_*"), other_images(path, "img_*")) == (3, 2, 1)
    assert read_frames(path, [1], pattern="img*.png")[0, 0, 0, 0] == 90
    with pytest.raises(InputError, match=r"no image in it is called rgb_\*, as frame_pattern has it"):
        count_frames(path, "rgb_*")
    assert next(check_videos([path], pattern="rgb_*"))[0] == 0


def test_a_frame_of_another_size_is_named(tmp_path):
    for name, side in (("1.png", 8), ("2.png", 8), ("10.png", 9)):
        Image.new("RGB", (side, 8)).save(tmp_path / name)
    assert list(check_videos([str(tmp_path)])) == [(0, "its frames differ in size (1.png is 8 x 8, 10.png is 9 x 8)")]
