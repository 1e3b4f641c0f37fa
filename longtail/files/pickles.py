"""Pickles of arrays, text and numbers, read without calling anything that they name."""

import io
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from longtail.files.listing import IntegerArray
from longtail.messages import first_line


def read_pickle(file: Path) -> Any:  # whatever plain values it holds
    """The plain values in a pickle, and its arrays of whole numbers; bytes and text of Python 2 as bytes.

    Raises:
        OSError: the file cannot be read.
        ValueError: in one line, if it is no pickle, is damaged or holds anything else.
    """
    content = file.read_bytes()
    try:
        return _PlainUnpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # the instructions in a damaged one lead to any
        raise ValueError(f"not a pickle of arrays, or damaged: {first_line(error)}") from error


class Array:
    """An array as it is unpickled: made of the bytes that are there, whatever shape is said to follow."""

    def __init__(self, *shape: object) -> None:  # that of numpy's empty array, which is filled later
        self.values: IntegerArray = np.zeros(0, np.uint8)

    def __setstate__(self, state: Any) -> None:  # whatever the file holds, which ``_array`` checks
        _, shape, kind, _, content = state
        self.values = _array(content, kind, shape)


class _Kind:
    """The type of an array's numbers."""

    def __init__(self, name: Any, *flags: Any) -> None:
        self.name = name.decode("ascii") if isinstance(name, bytes) else str(name)

    def __setstate__(self, state: Any) -> None:  # the order of bytes, which does not matter to one
        self.name = self.name.lstrip("<>|=")
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else str(state[1])
        self.name = (order if order in "<>" else "") + self.name


def _array(content: Any, kind: Any, shape: Any) -> IntegerArray:
    if not isinstance(kind, _Kind) or np.dtype(kind.name).kind not in "iu":
        raise ValueError("an array that is not of whole numbers")
    values = np.frombuffer(content, np.dtype(kind.name))
    if not all(type(side) is int and side >= 0 for side in shape) or math.prod(shape) != len(values):
        raise ValueError("an array of another shape than it says")
    return values.reshape(shape).copy()  # those of the buffer cannot be written


def _from_buffer(content: Any, kind: Any, shape: Any, order: Any) -> Array:
    array = Array()
    array.values = _array(content, kind, shape)
    return array


def _encoded(text: str, encoding: str) -> bytes:
    return text.encode("latin-1")  # as bytes stand in a pickle for Python 2


# In Python, as the one in C sets aside as much memory as a damaged number says.
class _PlainUnpickler(pickle._Unpickler):
    """Reads arrays, text and numbers; what it names is replaced by what stands here, or refused."""

    stand_ins: ClassVar[dict[str, Callable[..., Any] | str]] = {
        "numpy.dtype": _Kind,
        "numpy.ndarray": "ndarray",
        "numpy.core.multiarray._reconstruct": Array,
        "numpy._core.multiarray._reconstruct": Array,
        "numpy.core.numeric._frombuffer": _from_buffer,
        "numpy._core.numeric._frombuffer": _from_buffer,
        "_codecs.encode": _encoded,
    }

    def find_class(self, module: str, name: str) -> Any:  # pickle's signature
        try:
            return self.stand_ins[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(f"it holds {module}.{name}") from None
