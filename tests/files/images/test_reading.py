import io
import os
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from endless import endless_jpeg
from PIL import Image, features

from longtail.errors import InputError
from longtail.files import apart, threads
from longtail.files.images import checks as image_checks
from longtail.files.images import reading as images
from longtail.files.images.checks import check_images
from longtail.files.images.formats import AVIF, HEIF, formats
from longtail.files.images.reading import SUFFIXES, decode
from longtail.files.threads import NoAnswer

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)
NOISE = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)


def pixels(path):
    image = decode(str(path))
    assert decode(path).tobytes() == image.tobytes()
    assert image.mode == "RGB"
    return np.asarray(image)


def refusal(path):
    with pytest.raises(InputError) as error:
        decode(str(path))
    message = str(error.value)
    assert "\n" not in message
    assert message.endswith("; replace or remove the file")
    assert message.startswith(f"{path}: ")
    return message[len(f"{path}: ") : -len("; replace or remove the file")]


def save(path, image, **options):
    image.save(path, **options)
    return path


def rgb(grey):
    return np.repeat(np.asarray(grey, dtype=np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm"])
def test_rgb(tmp_path, suffix):
    path = save(tmp_path / f"x.{suffix}", Image.fromarray(NOISE))
    assert np.array_equal(pixels(path), NOISE)
    assert check_images([str(path)]) == []


@pytest.mark.skipif(not AVIF, reason="Pillow is built without it")
def test_avif(tmp_path):
    Image.new("RGB", (8, 6), (200, 30, 40)).save(tmp_path / "a.avif", quality=100)
    assert np.abs(np.asarray(decode(str(tmp_path / "a.avif"))).astype(int) - (200, 30, 40)).max() < 4
    assert check_images([str(tmp_path / "a.avif")]) == []
    assert ".avif" in SUFFIXES


# The first bytes of a photo as phones write it.
HEIC = bytes.fromhex("0000002466747970686569630000000068656963") + bytes(64)


@pytest.mark.skipif(HEIF, reason="pillow-heif is installed")
def test_heic_names_its_package(tmp_path):
    (tmp_path / "a.jpg").write_bytes(HEIC)
    assert refusal(tmp_path / "a.jpg") == 'HEIC needs pip install "longtail[heif]"'


@pytest.mark.skipif(not HEIF, reason="pillow-heif is not installed")
def test_heic(tmp_path):
    formats()
    Image.new("RGB", (64, 48), (200, 30, 40)).save(tmp_path / "a.heic")
    image = decode(str(tmp_path / "a.heic"))
    assert image.size == (64, 48)
    assert np.abs(np.asarray(image).astype(int) - (200, 30, 40)).max() < 8


def test_suffix_does_not_matter(tmp_path):
    assert np.array_equal(pixels(save(tmp_path / "x.jpg", Image.fromarray(NOISE), format="PNG")), NOISE)


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tif", "pgm", "jp2"])
def test_grey(tmp_path, suffix):
    if suffix == "jp2" and not features.check("jpg_2000"):
        pytest.skip("no JPEG 2000")
    path = save(tmp_path / f"x.{suffix}", Image.fromarray(GREY))
    assert np.array_equal(pixels(path), rgb(GREY))
    assert check_images([str(path)]) == []


@pytest.mark.parametrize("suffix", ["png", "tif", "pbm", "gif", "bmp"])
def test_bilevel(tmp_path, suffix):
    path = save(tmp_path / f"x.{suffix}", Image.fromarray(GREY > 100))
    assert np.array_equal(pixels(path), rgb((GREY > 100) * 255))


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_lossy(tmp_path, suffix):
    if suffix == "webp" and not features.check("webp"):
        pytest.skip("no WebP")
    path = save(tmp_path / f"x.{suffix}", Image.new("RGB", (40, 30), (200, 100, 50)), quality=95)
    assert np.abs(pixels(path).astype(int) - (200, 100, 50)).max() < 8
    assert check_images([str(path)]) == []


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_laid_on_white(tmp_path, mode):
    color = np.zeros((2, 2, len(mode)), dtype=np.uint8)
    color[..., -1] = [[0, 255], [51, 204]]
    path = save(tmp_path / "x.png", Image.fromarray(color))
    assert np.array_equal(pixels(path), rgb([[255, 0], [204, 51]]))


def palette_image():
    image = Image.fromarray(np.array([[0, 1], [2, 1]], dtype=np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    return image


@pytest.mark.parametrize("suffix", ["png", "gif", "tif", "bmp"])
def test_palette(tmp_path, suffix):
    path = save(tmp_path / f"x.{suffix}", palette_image())
    red, green, blue = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    assert pixels(path).tolist() == [[list(red), list(green)], [list(blue), list(green)]]


@pytest.mark.parametrize(
    ("suffix", "transparency"), [("png", 1), ("png", bytes([255, 0, 255])), ("gif", 1), ("png", bytes([255, 0]))]
)
def test_palette_with_transparency(tmp_path, suffix, transparency):
    path = save(tmp_path / f"x.{suffix}", palette_image(), transparency=transparency)
    white = [255, 255, 255]
    assert pixels(path).tolist() == [[[255, 0, 0], white], [[0, 0, 255], white]]


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", (7, 7, 7))])
def test_transparent_colour(tmp_path, mode, key):
    path = save(tmp_path / "x.png", Image.fromarray(GREY).convert(mode), transparency=key)
    expected = GREY.copy()
    expected[GREY == 7] = 255
    assert np.array_equal(pixels(path), rgb(expected))


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk(tmp_path, suffix):
    path = save(tmp_path / f"x.{suffix}", Image.new("CMYK", (16, 16), (0, 255, 255, 0)))  # red
    assert np.abs(pixels(path).astype(int) - (255, 0, 0)).max() < 8


def test_inverted_cmyk_of_adobe(tmp_path):
    buffer = io.BytesIO()
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(buffer, "JPEG")
    data = buffer.getvalue()
    assert b"Adobe" in data  # Pillow writes the inverted kind with its marker, and turns it back
    (tmp_path / "x.jpg").write_bytes(data)
    assert np.abs(pixels(tmp_path / "x.jpg").astype(int) - (255, 0, 0)).max() < 8


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits(tmp_path, suffix):
    path = save(tmp_path / f"x.{suffix}", Image.fromarray(GREY.astype(np.uint16) * 257))
    assert np.array_equal(pixels(path), rgb(GREY))


def test_16_bits_of_netpbm(tmp_path):
    data = (GREY.astype(np.uint16) * 257).astype(">u2").tobytes()  # by hand, as older Pillow reads it alone
    (tmp_path / "x.pgm").write_bytes(b"P5 16 16 65535\n" + data)
    assert np.array_equal(pixels(tmp_path / "x.pgm"), rgb(GREY))


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_16_bits_of_both_byte_orders(tmp_path, dtype):
    data = (GREY.astype(np.uint16) * 257).astype(dtype)
    mode = "I;16" if dtype == "<u2" else "I;16B"
    path = save(tmp_path / "x.tif", Image.frombytes(mode, (16, 16), data.tobytes()))
    assert np.array_equal(pixels(path), rgb(GREY))


@pytest.mark.parametrize("factor", [1, 257])
def test_32_bits(tmp_path, factor):
    path = save(tmp_path / "x.tif", Image.fromarray(GREY.astype(np.int32) * factor))
    assert np.array_equal(pixels(path), rgb(GREY))


def test_32_bits_are_clipped(tmp_path):
    values = np.array([[-5, 0, 65535, 2**30]], dtype=np.int32)
    assert np.array_equal(pixels(save(tmp_path / "x.tif", Image.fromarray(values))), rgb([[0, 0, 255, 255]]))


@pytest.mark.parametrize("top", [1, 255])
def test_floating_point(tmp_path, top):
    path = save(tmp_path / "x.tif", Image.fromarray(GREY.astype(np.float32) / 255 * top))
    assert np.array_equal(pixels(path), rgb(GREY))


def test_floating_point_that_is_not_finite(tmp_path):
    values = np.array([[np.nan, np.inf, -np.inf, 1]], dtype=np.float32)
    assert np.array_equal(pixels(save(tmp_path / "x.tif", Image.fromarray(values))), rgb([[0, 255, 0, 255]]))


@pytest.mark.parametrize("suffix", ["gif", "tif", "png", "webp"])
def test_first_of_several_frames(tmp_path, suffix):
    if suffix == "webp" and not features.check("webp"):
        pytest.skip("no WebP")
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "lime", "blue")]
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(tmp_path / f"x.{suffix}", frames[0], save_all=True, append_images=frames[1:], **options)
    assert (pixels(path) == (255, 0, 0)).all()
    assert check_images([str(path)]) == []


@pytest.mark.parametrize(
    ("suffix", "options", "orientation"),
    [(suffix, {}, orientation) for suffix in ("png", "tif", "jpg") for orientation in range(10)]
    + [("tif", {"compression": "tiff_lzw"}, orientation) for orientation in range(1, 9)],
)
def test_orientation(tmp_path, suffix, options, orientation):
    upright = np.zeros((16, 32), dtype=np.uint8)
    upright[:8, :8] = 255
    upright[:8, 8:16] = 128
    array = {  # how a camera stores an upright image with this orientation
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[::-1],
        7: upright.T[::-1, ::-1],
        8: upright.T[:, ::-1],
    }.get(orientation, upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / f"x.{suffix}", Image.fromarray(array), exif=exif, **options)
    assert np.abs(pixels(path).astype(int) - rgb(upright)).max() < 4


def test_damaged_exif_is_ignored(tmp_path):
    path = save(tmp_path / "x.jpg", Image.fromarray(GREY), exif=b"Exif\0\0MM\0\x2a\0\0\0\x08\xff\xff\x01")
    assert pixels(path).shape == (16, 16, 3)


@pytest.mark.parametrize(("reduction", "size"), [(1.9, (203, 101)), (2, (102, 51)), (7, (51, 26)), (50, (26, 13))])
def test_reduction_of_jpeg(tmp_path, reduction, size):
    path = save(tmp_path / "x.jpg", Image.new("RGB", (203, 101), "red"))
    sizes = []
    assert decode(str(path), lambda *size: sizes.append(size) or reduction).size == size
    assert set(sizes) == {(203, 101)}


def test_reduction_leaves_others_and_tiny_images(tmp_path):
    assert decode(str(save(tmp_path / "x.png", Image.new("RGB", (203, 101)))), lambda w, h: 8).size == (203, 101)
    assert decode(str(save(tmp_path / "x.jpg", Image.new("RGB", (300, 1)))), lambda w, h: 8).size == (300, 1)


def bad_files(folder):
    """Files that cannot be decoded, with a part of the reason."""
    files = {}
    for suffix in ("jpg", "png", "bmp", "gif", "tif", "ppm", "webp", "jp2"):
        if (suffix == "webp" and not features.check("webp")) or (suffix == "jp2" and not features.check("jpg_2000")):
            continue
        data = save(folder / f"good.{suffix}", Image.fromarray(NOISE)).read_bytes()
        for part in (0.3, 0.9):
            files[f"cut{part}.{suffix}"] = (data[: int(part * len(data))], "")
    files["cut0.9.jpg"] = (files["cut0.9.jpg"][0], "cannot be decoded (image file is truncated")
    files["cut0.9.png"] = (files["cut0.9.png"][0], "cannot be decoded (")
    files["empty.jpg"] = (b"", "empty file")
    files["text.jpg"] = (b"<html>not found</html>", "not an image in a known format (JPEG, PNG, ")
    files["header.png"] = (b"\x89PNG\r\n\x1a\n", "")
    files["eps.jpg"] = (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "not an image")
    for name, (data, _) in files.items():
        (folder / name).write_bytes(data)
    (folder / "folder.jpg").mkdir()
    return {name: part for name, (_, part) in files.items()} | {
        "folder.jpg": "is a directory",
        "gone.jpg": "no such file or directory",
    }


def test_bad_files(tmp_path):
    files = bad_files(tmp_path)
    reasons = {name: refusal(tmp_path / name) for name in files}
    assert {name: reason for name, reason in reasons.items() if not reason.startswith(files[name])} == {}

    good = [str(path) for path in sorted(tmp_path.glob("good.*"))]
    steps = []
    faults = check_images(good + [str(tmp_path / name) for name in reversed(files)], workers=3, progress=steps.append)
    assert faults == sorted((str(tmp_path / name), reason) for name, reason in reasons.items())
    assert sum(steps) == len(good) + len(files)


@pytest.mark.parametrize(("limit", "refused"), [(16 * 16, False), (16 * 16 - 1, True), (16 * 8 - 1, True)])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_bomb(tmp_path, monkeypatch, limit, refused, suffix):
    path = save(tmp_path / f"x.{suffix}", Image.fromarray(GREY))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    reason = f"more than {limit} pixels, which a damaged file can pretend: allow as many as it has by --max-pixels"
    if refused:
        assert refusal(path) == reason
    else:
        decode(str(path))
    assert check_images([str(path)]) == ([(str(path), reason)] if refused else [])


def test_unreadable_file(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(tmp_path / "x.jpg") == "permission denied"


@pytest.mark.parametrize("call", [lambda: decode("x.jpg"), lambda: check_images(["x.jpg"])])
def test_lack_of_memory_is_not_blamed_on_the_file(monkeypatch, call):
    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(images, "opened", fail)
    monkeypatch.setattr(image_checks, "opened", fail)
    with pytest.raises(MemoryError):
        call()


def test_bytes_after_the_end_are_harmless(tmp_path):
    for suffix in ("jpg", "png", "gif"):
        path = save(tmp_path / f"x.{suffix}", Image.fromarray(NOISE))
        path.write_bytes(path.read_bytes() + b"trailer" * 20)
        assert pixels(path).shape == NOISE.shape
    assert check_images([str(path) for path in tmp_path.iterdir()]) == []


def test_complete_files_are_not_decoded(tmp_path, monkeypatch):
    suffixes = ["jpg", "png", "gif"] + ["webp"] * features.check("webp")
    paths = [str(save(tmp_path / f"x.{suffix}", Image.fromarray(NOISE))) for suffix in suffixes]
    monkeypatch.setattr(image_checks, "rgb", lambda *_: pytest.fail("decoded"))
    assert check_images(paths) == []


@pytest.mark.parametrize("full", [False, True])
def test_check_of_nothing(full):
    assert check_images([], full=full) == []


def test_a_full_check_finds_what_only_decoding_shows(tmp_path, monkeypatch):
    monkeypatch.setattr(threads, "PATIENCE", 1)
    monkeypatch.setattr(apart, "_TRIES", 1)
    good = save(tmp_path / "good.png", Image.fromarray(NOISE))
    data = good.read_bytes()
    (tmp_path / "damaged.png").write_bytes(data[:2000] + b"damage" + data[2006:])
    (tmp_path / "endless.jpg").write_bytes(endless_jpeg())
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    assert check_images(paths, sizes=[(48, 64), (1000, 1000), (48, 64)]) == []
    assert check_images(paths, full=True) == [
        (paths[0], refusal(paths[0])),
        (paths[1], "cannot be decoded (no answer within 1 seconds)"),
    ]
    words = "is 48 x 64 pixels, not 64 x 48"
    assert check_images(paths[2:], sizes=[(64, 48)], full=True) == [(paths[2], words)]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without such files")
def test_a_file_that_never_answers_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(threads, "PATIENCE", 1)
    save(tmp_path / "a.png", Image.fromarray(GREY))
    os.mkfifo(tmp_path / "b.png")
    with pytest.raises(NoAnswer, match=r"b\.png: no answer within 1 seconds"):
        check_images([str(tmp_path / name) for name in ("a.png", "b.png")])


def test_no_file_stays_open(tmp_path):
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("no list of open files")
    files = bad_files(tmp_path)
    before = len(list(folder.iterdir()))
    for name in files:
        refusal(tmp_path / name)
    assert len(list(folder.iterdir())) == before


def test_filters_of_warnings_survive_threads(tmp_path):
    path = str(save(tmp_path / "x.png", Image.fromarray(GREY)))
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [decode(path) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
