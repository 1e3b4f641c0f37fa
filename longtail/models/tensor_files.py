"""Files of named tensors: read by what is in them, without executing any of it."""

import logging
import warnings
import zipfile
from argparse import Namespace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from longtail.errors import InputError
from longtail.messages import escape, first_line, some

logger = logging.getLogger(__name__)

# under which trainers keep a network, what they average before what they trained; "teacher" is DINO's
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model", "teacher", "student")


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Read a file of named tensors without unpickling anything else: safetensors or a torch file, whatever its name.

    Of a dictionary that holds a network under a usual name, such as "model" or "state_dict_ema", this one is read; what
    is no tensor is left out, and told.

    Raises:
        InputError: if the file is missing, damaged, holds no named tensors, or anything that would have to be executed.
    """
    if file.is_dir():
        raise InputError(
            f"cannot read weights from {escape(file)}: it is a folder; give a file in it, such as best.ckpt"
        )
    try:
        if _is_safetensors(file):
            from safetensors.torch import load_file

            return dict(load_file(file))
        if _is_torchscript(file):
            raise InputError(
                f"cannot read weights from {escape(file)}: it is a TorchScript archive, which is a program, "
                "as OpenAI ships CLIP; where you trust it, write its weights to a file by "
                "torch.save(torch.jit.load(FILE, map_location='cpu').float().state_dict(), 'weights.pt') in "
                "Python, and give that"
            )
        # the options of DeiT, MAE and others are a namespace of plain values; of a path torch would read the suffix
        with torch.serialization.safe_globals([Namespace]), file.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sparse tensors, which are refused below
            content = torch.load(stream, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise InputError(
            f"cannot read weights from {escape(file)}: {reason}; give another file by --weights"
        ) from error
    except UnpicklingError as error:
        raise InputError(f"cannot read weights from {escape(file)}: it is not a file of named tensors") from error
    except Exception as error:
        reason = first_line(error).partition(". ")[0]
        raise InputError(
            f"cannot read weights from {escape(file)}: it is cut or damaged ({reason}); copy or download it again"
        ) from error
    return _tensors(content, file)


def _tensors(content: Any, file: Path) -> dict[str, Tensor]:  # as it was saved
    wrapper = next((name for name in WRAPPERS if _has_tensors(content, name)), None)
    if wrapper is not None:
        content = content[wrapper]
        if wrapper != "state_dict":
            logger.info(f'{escape(file)}: the weights under "{wrapper}" are taken')
    named = content if isinstance(content, dict) else {}
    tensors = {name: value for name, value in named.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if not isinstance(content, dict) or (named and not tensors):
        raise InputError(f"cannot read weights from {escape(file)}: it is not a file of named tensors")
    if (odd := next((name for name, value in tensors.items() if not _is_plain(value)), None)) is not None:
        raise InputError(
            f"cannot read weights from {escape(file)}: {escape(odd)} is no plain array of numbers, as it is sparse, "
            "quantised or without values; save the network with dense weights"
        )
    if len(tensors) < len(named):
        logger.info(f"{escape(file)}: left out, as no tensors: {some([name for name in named if name not in tensors])}")
    return tensors


def _is_plain(value: Tensor) -> bool:
    return value.layout == torch.strided and not (value.is_meta or value.is_quantized or value.is_nested)


def _has_tensors(content: Any, name: str) -> bool:  # as it was saved
    inside = content.get(name) if isinstance(content, dict) else None
    return isinstance(inside, dict) and (not inside or any(isinstance(value, Tensor) for value in inside.values()))


def _is_safetensors(file: Path) -> bool:
    """Whether a file begins with the length of a header and the brace of its JSON, or has the name of such a one and
    no content of another kind."""
    with file.open("rb") as stream:
        head = stream.read(9)
    if head[8:] == b"{":
        return True
    return file.suffix.lower() == ".safetensors" and not head.startswith((b"PK", b"\x80"))


def _is_torchscript(file: Path) -> bool:
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any(name.partition("/")[2].startswith("code/") for name in archive.namelist())
