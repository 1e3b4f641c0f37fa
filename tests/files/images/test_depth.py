"""Images of more than 8 bits as 8: how many of the bits count, for every format."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from deep_images import RAMP, Values, expected, write_png, write_tiff
from PIL import Image

from longtail.errors import InputError
from longtail.files.images.reading import decode, few, tell_depth

SHIFTED: Values = (RAMP << 4 | RAMP >> 8).astype(np.uint16)  # as the format of PNG wants 12 significant bits


def pixels(path: Path, bit_depth: int | None = None) -> np.ndarray:
    return np.asarray(decode(str(path), bit_depth=bit_depth))


def pgm(path: Path, values: Values, top: int) -> Path:
    path.write_bytes(f"P5\n{values.shape[1]} {values.shape[0]}\n{top}\n".encode() + values.astype(">u2").tobytes())
    return path


@pytest.mark.parametrize(
    ("write", "bit_depth"),
    [
        (lambda path: write_png(path, RAMP, (12,)), None),
        (lambda path: write_png(path, RAMP, (12,)), 16),  # the file knows better
        (lambda path: write_png(path, RAMP), 12),
        (lambda path: write_png(path, RAMP, (16,)), 12),
        (lambda path: write_tiff(path, RAMP, 12), None),
        (lambda path: write_tiff(path, RAMP, 16), 12),
        (lambda path: pgm(path, RAMP, 65535), 12),
    ],
)
def test_twelve_bits_are_scaled_from_their_largest_value(
    write: Callable[[Path], Path], bit_depth: int | None, tmp_path: Path
) -> None:
    levels = pixels(write(tmp_path / "a"), bit_depth)
    assert len(np.unique(levels)) == 256
    assert np.array_equal(levels, expected(RAMP, 4095))


@pytest.mark.parametrize("bit_depth", [None, 12])
def test_a_pgm_says_its_largest_value(bit_depth: int | None, tmp_path: Path) -> None:
    levels = pixels(pgm(tmp_path / "a.pgm", RAMP, 4095), bit_depth)
    assert np.abs(levels.astype(int) - expected(RAMP, 4095)).max() <= 1  # Pillow rounds to 16 bits on the way
    dark = np.minimum(RAMP, 15)
    assert pixels(pgm(tmp_path / "b.pgm", dark, 4095), bit_depth).max() == 1  # round(255 * 15 / 4095)


@pytest.mark.parametrize("dark", [False, True])
def test_significant_bits_that_fill_all_sixteen_are_scaled_from_all(dark: bool, tmp_path: Path) -> None:
    values = SHIFTED.copy()
    values[values > (4095 if dark else 65535)] = 0
    assert np.array_equal(pixels(write_png(tmp_path / "a.png", values, (12,))), expected(values, 65535))


def test_without_a_word_all_sixteen_bits_count(tmp_path: Path) -> None:
    levels = pixels(write_png(tmp_path / "a.png", RAMP))
    assert len(np.unique(levels)) == 17
    assert np.array_equal(levels, expected(RAMP, 65535))


def test_what_is_over_the_depth_is_white(tmp_path: Path) -> None:
    levels = pixels(write_png(tmp_path / "a.png", RAMP), 10)
    assert np.array_equal(levels, expected(RAMP, 1023))
    assert (levels[RAMP > 1023] == 255).all()


@pytest.mark.parametrize("bit_depth", [None, 12])
def test_colours_of_twelve_bits(bit_depth: int | None, tmp_path: Path) -> None:
    bits = (12, 12, 12) if bit_depth is None else ()
    colours = np.stack([RAMP, RAMP[::-1], RAMP.T], axis=-1)
    grey = [expected(colours[..., channel], 4095)[..., 0] for channel in range(3)]
    assert np.array_equal(pixels(write_png(tmp_path / "a.png", colours, bits), bit_depth), np.stack(grey, axis=-1))
    opaque = np.concatenate([colours, np.full((64, 64, 1), 65535, np.uint16)], axis=-1)
    levels = pixels(write_png(tmp_path / "b.png", opaque, (*bits, 16) if bits else ()), bit_depth)
    assert np.array_equal(levels, np.stack(grey, axis=-1))
    transparent = np.stack([RAMP, np.zeros_like(RAMP)], axis=-1)
    levels = pixels(write_png(tmp_path / "c.png", transparent, (12, 16) if bits else ()), bit_depth)
    assert (levels == 255).all()  # laid on white


def test_colours_of_sixteen_bits_stay_as_they_were(tmp_path: Path) -> None:
    colours = np.stack([SHIFTED, SHIFTED[::-1], SHIFTED.T], axis=-1)
    for bits in ((), (12, 12, 12)):
        assert np.array_equal(pixels(write_png(tmp_path / "a.png", colours, bits)), (colours >> 8).astype(np.uint8))


def test_colours_of_sixteen_bits_in_a_tiff_cannot_be_scaled(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", np.stack([RAMP] * 3, axis=-1), 16)
    assert np.array_equal(pixels(path), np.stack([RAMP >> 8] * 3, axis=-1))
    for call in (lambda: pixels(path, 12), lambda: tell_depth([str(path)], 12)):
        with pytest.raises(
            InputError, match="read by the upper 8, which bit_depth cannot change in TIFF: save it as PNG"
        ):
            call()


@pytest.mark.parametrize(
    ("values", "significant", "bit_depth", "message"),
    [
        (RAMP, (), None, "of 2 none has a value over 4095: give --data.bit_depth 12 if that is their depth"),
        (RAMP >> 6, (), None, "none has a value over 63: give --data.bit_depth 8 if"),
        (SHIFTED, (), None, ""),
        (RAMP, (12,), None, ""),
        (RAMP * 0, (), None, ""),
        (RAMP, (), 12, ""),
        (RAMP, (12,), 12, "--data.bit_depth 12 changes nothing: images have 8 bits, or say how many count"),
    ],
)
def test_unused_bits_are_told(
    values: Values,
    significant: tuple[int, ...],
    bit_depth: int | None,
    message: str,
    log: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    eight = tmp_path / "eight.png"
    Image.new("RGB", (4, 4)).save(eight)
    paths = [write_png(tmp_path / name, values, significant) for name in ("a.png", "b.png")]
    tell_depth([str(path) for path in (*paths, eight)], bit_depth)
    assert len(log.messages) == bool(message)
    assert message in "".join(log.messages)


def test_a_depth_that_cannot_be_is_refused(tmp_path: Path) -> None:
    paths = [str(write_png(tmp_path / "a.png", RAMP >> 4)), str(write_png(tmp_path / "b.png", RAMP))]
    with pytest.raises(InputError, match=r"b\.png: has the value 4095, over the 1023 of bit_depth 10: .* 12"):
        tell_depth(paths, 10)
    wide = tmp_path / "c.tif"
    Image.fromarray(np.array([[2**20]], dtype=np.int32)).save(wide)
    with pytest.raises(InputError, match=r"c\.tif: has the value 1048576, .*: leave it out"):
        tell_depth([str(wide)], 16)
    for bit_depth in (7, 17):
        with pytest.raises(InputError, match="bit_depth must be from 8 to 16"):
            tell_depth(paths, bit_depth)


def test_bad_files_are_left_to_those_who_decode_them(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    stump = write_png(tmp_path / "cut.png", RAMP)
    stump.write_bytes(stump.read_bytes()[:-2000])
    (tmp_path / "text.png").write_text("text")
    tell_depth([str(stump), str(tmp_path / "text.png"), str(tmp_path / "none.png")], None)
    assert log.messages == []


def test_few_are_spread_over_all() -> None:
    assert few("ab") == "ab"
    assert list(few(range(96))) == list(range(0, 96, 3))
    assert len(few(range(100_000))) <= 33
