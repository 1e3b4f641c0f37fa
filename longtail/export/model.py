"""What the exports share: an ONNX model that is checked before it is kept, and a file of tensors."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from longtail.checks import check_outputs
from longtail.errors import InputError
from longtail.plain import AnyPath
from longtail.writing import write_atomically

TOLERANCE = 1e-3  # of an output, relative to its largest value, between onnxruntime and torch in float32


def packages() -> tuple[ModuleType, ModuleType]:
    """onnx and onnxruntime.

    Raises:
        InputError: if one is missing, or onnxscript, which torch's exporter needs.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(f'export needs {error.name}: pip install "longtail[onnx]"') from error
    return onnx, onnxruntime


def write_checked(
    onnx: ModuleType,
    onnxruntime: ModuleType,
    output: AnyPath,
    write: Callable[[Path], None],
    check: Callable[[Any], None],  # of a session of onnxruntime, which has no types
    metadata: dict[str, str],
) -> Path:
    """Write ``model.onnx``, checked, or nothing."""
    file = Path(output, "model.onnx")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{file.parent}: cannot write there ({error.strerror}); give another --output") from error
    part = file.with_name("model.part.onnx")
    try:
        with _silence():
            write(part)
        model = onnx.load(part)
        onnx.helper.set_model_props(model, metadata)
        onnx.save(model, part)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # it warns of shapes that change
        check(onnxruntime.InferenceSession(part, options, providers=["CPUExecutionProvider"]))
        part.replace(file)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{file}: cannot be written ({reason}); check the folder and the free space") from error
    finally:
        part.unlink(missing_ok=True)
    return file


@contextmanager
def _silence() -> Iterator[None]:
    """Keep to itself what the exporters tell about their work; what they cannot do is raised."""
    before = logging.root.manager.disable
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            logging.disable(logging.WARNING)
            yield
    finally:
        logging.disable(before)


def compare(actual: Tensor, expected: Tensor, what: str = "ONNX model") -> None:
    """Raise InputError where an output of the ONNX model, or of what is named, is not that of the run, or that is not
    finite."""
    check_outputs(expected)
    difference = float((actual - expected).abs().max())
    if not difference <= TOLERANCE * max(1.0, float(expected.abs().max())):
        raise InputError(f"the {what} differs from torch by {difference:.2g}: it was not written")


def save_tensors(output: AnyPath, state: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    """Write ``model.safetensors``."""
    from safetensors.torch import save

    file = Path(output, "model.safetensors")
    write_atomically(file, save(state, metadata))
    return file
