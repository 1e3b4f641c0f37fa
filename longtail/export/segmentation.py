"""A trained segmenter as ONNX and safetensors."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from longtail.checks import check_outputs
from longtail.errors import InputError
from longtail.export.model import compare, packages, save_tensors, write_checked
from longtail.methods.pixels import PixelMethod
from longtail.plain import AnyPath


def write_segmenter(
    method: PixelMethod, size: tuple[int, int] | None, metadata: dict[str, str], output: AnyPath
) -> list[Path]:
    """Write ``model.onnx`` and ``model.safetensors`` of a segmenter, and check the first against torch by onnxruntime.

    The network takes "images", float32 (N, 3, H, W), normalised, and gives "logits" (N, C, H, W); N, H and W are free.
    A few architectures pool to a fixed number of cells, such as UPerNet and PSPNet, and are exported for one
    ``size``. Whole images are segmented, also where the method does it in windows.

    Args:
        method: in evaluation mode; it is moved to the CPU.
        size: H and W, where they are to be fixed; they are metadata then.
        metadata: of both files.
        output: folder for the files.

    Raises:
        InputError: if something that is needed is not installed, the network needs a size, or the outputs differ.
    """
    if size is not None and min(size) < 1:
        raise InputError(f"--size is a height and a width of at least 1 pixel, got {size[0]} and {size[1]}")
    onnx, onnxruntime = packages()
    network = _PixelLogits(method.cpu()).eval()
    if size is not None:
        metadata = {**metadata, "height": str(size[0]), "width": str(size[1])}
    sizes = [(224, 288), (275, 190)] if size is None else [size]
    free = {0: "N", 2: "H", 3: "W"} if size is None else {0: "N"}

    def write(part: Path) -> None:
        with _of_any_size(size):
            torch.onnx.export(
                network,
                (torch.randn(2, 3, *sizes[0]),),
                part,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes={"images": {axis: torch.export.Dim(name, min=1) for axis, name in free.items()}},
                external_data=False,
                dynamo=True,
            )

    def check(session: Any) -> None:  # onnxruntime has no types
        for count, (height, width) in enumerate(sizes, start=1):
            images = torch.randn(count, 3, height, width)
            with torch.inference_mode():
                expected = network(images)
            check_outputs(expected)  # not a matter of the size
            with _of_any_size(size):
                compare(torch.from_numpy(session.run(None, {"images": images.numpy()})[0]), expected)

    onnx_file = write_checked(onnx, onnxruntime, output, write, check, metadata)
    state = {name: value.contiguous() for name, value in method.state_dict().items()}
    return [onnx_file, save_tensors(output, state, metadata)]


class _PixelLogits(nn.Module):
    """Images to the logits of their pixels, as a module of its own."""

    def __init__(self, method: PixelMethod) -> None:
        super().__init__()
        self.method = method

    def forward(self, images: Tensor) -> Tensor:
        size = (images.shape[2], images.shape[3])
        return self.method.classify(self.method.backbone(images), size)


@contextlib.contextmanager
def _of_any_size(size: tuple[int, int] | None) -> Iterator[None]:
    """Takes what fails inside, where no size is given, for a network that needs one."""
    try:
        yield
    except Exception as error:  # of many kinds, by the exporter and by the runtime
        if size is not None:
            raise
        raise InputError("this network cannot be exported for images of any size: give --size HEIGHT WIDTH") from error
