"""Image files of more than 8 bits a channel, written byte by byte, so that no library scales them on the way."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.uint16]
RAMP: Values = np.arange(4096, dtype=np.uint16).reshape(64, 64)  # every value of 12 bits


def expected(values: Values, top: int) -> NDArray[np.uint8]:
    """RGB of grey values (H, W): 255 v / top, rounded in whole numbers."""
    grey = (2 * 255 * np.minimum(values, top).astype(np.int64) + top) // (2 * top)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def write_png(path: Path, values: Values, significant: tuple[int, ...] = ()) -> Path:
    """A PNG of 16 bits from (H, W) or (H, W, channels), with the chunk sBIT where bits are given."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width, *channels = values.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels[0] if channels else 1]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    content += chunk(b"tEXt", b"Comment\0before")
    content += chunk(b"sBIT", bytes(significant)) if significant else b""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))
    return path


def write_tiff(path: Path, values: Values, bits: int) -> Path:
    """A TIFF, uncompressed, of 12 or 16 bits a sample."""
    height, width, *channels = values.shape
    samples = channels[0] if channels else 1
    text = "".join(f"{value:0{bits}b}" for value in values.ravel().tolist())
    pixels = values.astype("<u2").tobytes() if bits == 16 else int(text, 2).to_bytes(len(text) // 8, "big")
    tags: list[tuple[int, int, int, Any]] = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 1, bits), (259, 3, 1, 1)]
    tags += [(262, 3, 1, 2 if samples == 3 else 1), (273, 4, 1, 8), (277, 3, 1, samples), (278, 3, 1, height)]
    tags += [(279, 4, 1, len(pixels))]
    extra = b""
    if samples > 1:  # too long for its place
        extra = struct.pack(f"<{samples}H", *[bits] * samples)
        tags[2] = (258, 3, samples, 8 + len(pixels))
    directory = struct.pack("<H", len(tags))
    for number, kind, count, value in tags:
        short = kind == 3 and count == 1
        directory += struct.pack("<HHI", number, kind, count) + struct.pack(
            "<HH" if short else "<I", value, *[0] * short
        )
    start = 8 + len(pixels) + len(extra)
    path.write_bytes(b"II*\0" + struct.pack("<I", start) + pixels + extra + directory + struct.pack("<I", 0))
    return path
