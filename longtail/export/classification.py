"""A trained classifier as ONNX and safetensors."""

import copy
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from longtail.export.model import compare, packages, save_tensors, write_checked
from longtail.methods.base import Method
from longtail.models.trained_state import full_state
from longtail.models.tuning import merge_low_rank
from longtail.plain import AnyPath


def write_classifier(
    method: Method,
    shape: tuple[int, ...],
    scale: Tensor | None,
    adjustment: Tensor | None,
    metadata: dict[str, str],
    output: AnyPath,
) -> list[Path]:
    """Write ``model.onnx`` and ``model.safetensors``, and check the ONNX model against torch by onnxruntime.

    The network takes "images", float32 (N, *shape), normalised, N free, and gives "logits" (N, C), scaled and
    adjusted. The tensors are all those of the method, LoRA merged; by what its logits are to be multiplied, and what is
    to be added then, are their metadata "scale" and "adjustment".

    Args:
        method: in evaluation mode; it is moved to the CPU.
        shape: of an image or a clip.
        scale: by what the logits are multiplied (C,), or None.
        adjustment: what is added to the logits then (C,), or None.
        metadata: of both files.
        output: folder for the files.

    Raises:
        InputError: if something that is needed is not installed, or the outputs differ.
    """
    onnx, onnxruntime = packages()
    method = copy.deepcopy(method.cpu())
    merge_low_rank(method)
    network = Adjusted(method, scale, adjustment).eval()
    images = torch.randn(4, *shape)

    def write(part: Path) -> None:
        torch.onnx.export(
            network,
            (images,),
            part,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes={"images": {0: torch.export.Dim("N", min=1)}},
            external_data=False,
            dynamo=True,
        )

    def check(session: Any) -> None:  # onnxruntime has no types
        for batch in (images, images[:1]):
            with torch.inference_mode():
                expected = network(batch)
            logits = torch.from_numpy(session.run(None, {"images": batch.numpy()})[0])
            compare(logits, expected)

    onnx_file = write_checked(onnx, onnxruntime, output, write, check, metadata)
    state = {name: value.contiguous() for name, value in full_state(method).items()}
    for name, values in (("scale", scale), ("adjustment", adjustment)):
        if values is not None:
            metadata = {**metadata, name: json.dumps(values.tolist())}
    return [onnx_file, save_tensors(output, state, metadata)]


class Adjusted(nn.Module):
    """Images to logits, multiplied by ``scale`` (C,) and with ``adjustment`` (C,) added where given, as a module of its
    own."""

    scale: Tensor | None
    adjustment: Tensor | None

    def __init__(self, method: Method, scale: Tensor | None = None, adjustment: Tensor | None = None) -> None:
        super().__init__()
        self.method = method
        self.register_buffer("scale", scale)
        self.register_buffer("adjustment", adjustment)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C) of normalised images (N, 3, H, W)."""
        logits = self.method.classify(images)
        logits = logits if self.scale is None else logits * self.scale
        return logits if self.adjustment is None else logits + self.adjustment
