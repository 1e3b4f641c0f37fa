"""Values of more than 8 bits as 8: how many of the bits count, and what is white."""

from __future__ import annotations

from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from longtail.errors import InputError

BITS_PER_SAMPLE = 258  # a tag of TIFF
FULL = 16
_COLOUR_TYPES = {2: 3, 4: 1, 6: 3, 0: 1}  # of a PNG of 16 bits: its channels without alpha


class Deep(NamedTuple):
    """What the header says of an image of more than 8 bits a channel.

    Attributes:
        bits: how many count, where the file says so and not all 16 of them are a matter of course.
        colour: whether it has colours or transparency, of which Pillow keeps the upper 8 bits.
    """

    bits: int | None
    colour: bool


def header(file: BinaryIO, image: Image.Image) -> Deep | None:
    """What an image that is opened and not loaded says of its depth; None where 8 bits are all it has."""
    tile = getattr(image, "tile", ())  # gone once it is loaded
    arguments = tile[0][3] if tile else ""  # a plain tuple in Pillow 10
    layout, *more = (arguments,) if isinstance(arguments, str) else arguments or ("",)
    grey = image.mode in ("I", "F") or image.mode.startswith("I;16")
    top = more[-1] if image.format == "PPM" and more else 255
    if not grey and ";16" not in str(layout) and top <= 255:
        return None
    bits = None
    if image.format == "PNG":
        bits = _significant_bits(file)
    elif image.format == "TIFF":
        bits = image.tag_v2.get(BITS_PER_SAMPLE, (FULL,))[0]  # type: ignore[attr-defined]
        bits = bits if bits < FULL else None
    elif image.format == "JPEG2000" or 255 < top < 2**FULL - 1:
        bits = FULL  # Pillow has scaled them to all 16
    return Deep(bits, not grey)


def sixteen_bits(image: Image.Image, deep: Deep) -> bool:
    """Whether an image has values of 16 bits that can be looked at, and not of more."""
    return image.format == "PNG" if deep.colour else image.mode.startswith("I;16") or image.format == "PPM"


def _significant_bits(file: BinaryIO) -> int | None:
    """Those of a PNG by its chunk sBIT, which comes before the pixels; None where there is none or all count."""
    position = file.tell()
    file.seek(25)
    channels = _COLOUR_TYPES.get(file.read(1)[0], 1)
    file.seek(33)  # behind the signature and the first chunk
    bits = None
    while len(start := file.read(8)) == 8 and start[4:] not in (b"IDAT", b"PLTE", b"IEND"):
        length = int.from_bytes(start[:4], "big")
        if start[4:] == b"sBIT":
            bits = max(file.read(length)[:channels], default=FULL)
            break
        file.seek(length + 4, 1)
    file.seek(position)  # where Pillow goes on
    return bits if bits is not None and 0 < bits < FULL else None


def deep_values(file: BinaryIO, image: Image.Image, deep: Deep) -> NDArray[Any]:  # of the type in the file
    """The values of an image that is loaded: (H, W), or of colours (H, W, channels).

    Raises:
        InputError: if they are colours of a format that is only read by the upper 8 bits.
    """
    if not deep.colour:
        return np.asarray(image)
    if image.format != "PNG":
        raise InputError(
            f"its colours of 16 bits are read by the upper 8, which bit_depth cannot change in {image.format}: "
            "save it as PNG, or leave bit_depth out"
        )
    import torch
    from torchvision.io import decode_png

    file.seek(0)
    values: NDArray[Any] = decode_png(torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)).numpy()
    return values.transpose(1, 2, 0)


def visible(values: NDArray[Any]) -> NDArray[Any]:  # of any type
    """Grey values or colours without the transparency, which may be deeper."""
    return values[..., :-1] if values.ndim == 3 and values.shape[2] in (2, 4) else values


def eight_bits(file: BinaryIO, image: Image.Image, deep: Deep, bit_depth: int | None) -> Image.Image:
    r"""A loaded image as 8 bits a channel: :math:`255 \min(v / (2^b - 1), 1)`, rounded.

    b is what the file says, else ``bit_depth``, else 16. A PNG of b significant bits may hold its values as they are,
    or shifted to fill all 16, as the format wants it; in these b is 16 too.

    Raises:
        InputError: see ``deep_values``.
    """
    bits = deep.bits or bit_depth or FULL
    if deep.colour and bits == FULL:
        return image
    values = deep_values(file, image, deep)
    if image.format == "PNG" and deep.bits is not None and _fills_all(visible(values), deep.bits):
        if deep.colour:
            return image
        bits = FULL
    top: float = 2**bits - 1
    values = values.astype(np.float32)
    if image.mode == "F":
        values = np.nan_to_num(values, nan=0, posinf=1, neginf=0)
        top = 1 if values.max() <= 1 else 255
    elif image.mode == "I" and image.format != "PPM" and bits == FULL and values.max() <= 255:
        top = 255
    grey = np.rint(np.clip(values / top, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(grey[..., 0] if grey.shape[2:] == (1,) else grey)


def _fills_all(values: NDArray[Any], bits: int) -> bool:
    """Whether values of so many significant bits are shifted to the upper ones of 16: the lower are then zero, or
    repeat the upper, and differ from them by no more than rounding does."""
    wide = values.astype(np.int64)
    lower = wide & (2 ** (FULL - bits) - 1)
    return bool(wide.max() >= 2**bits or (lower <= (wide >> bits) + 1).all())
