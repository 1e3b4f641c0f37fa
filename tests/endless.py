"""A small file that takes a decoder for ever, and what is done in the processes that look at files."""

import io
import os
import re
import signal
import sys
from importlib import import_module

from PIL import Image

CUT = b"\xff\xd9"  # the end of a JPEG


def endless_jpeg(side: int = 1000, scans: int = 5000) -> bytes:
    """A progressive JPEG whose last scan comes again and again: 2 ms for 36 bytes each, at 1000 pixels."""
    buffer = io.BytesIO()
    Image.new("L", (side, side), 128).save(buffer, "jpeg", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xc4")  # the table that the last scan is coded by
    return data[:-2] + data[last:-2] * scans + CUT


def look(item: str) -> list[str]:
    """What an item says."""
    if item == "hang":
        re.match(r"(a+)+$", "a" * 64 + "b")  # in C, and no other thread of Python runs meanwhile
    elif item == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    elif item == "memory":
        raise MemoryError
    elif item == "wrong":
        raise KeyError(item)
    return [item, str(os.getpid())]


def loads(module: str) -> bool:
    """Whether a module of the package loads torch."""
    import_module(module)
    return "torch" in sys.modules
