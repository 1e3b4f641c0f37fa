"""A trained detector as ONNX and safetensors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from longtail.errors import InputError
from longtail.export.model import TOLERANCE, packages, save_tensors, write_checked
from longtail.methods.rcnn import RCNN
from longtail.plain import AnyPath


def write_detector(method: RCNN, metadata: dict[str, str], output: AnyPath) -> list[Path]:
    """Write ``model.onnx`` and ``model.safetensors`` of a detector, and check the first against torch by onnxruntime.

    The network takes "image", float32 (3, H, W) in 0..1, of any size, and gives "boxes" (n, 4) as x1, y1, x2, y2 in its
    pixels, "labels" (n,), "scores" (n,), and of a Mask R-CNN "masks" (n, 1, H, W) in 0..1. It goes by torch's older
    exporter, the only one that torchvision's detectors pass.

    Args:
        method: in evaluation mode; it is moved to the CPU.
        metadata: of both files.
        output: folder for the files.

    Raises:
        InputError: if something that is needed is not installed, or the outputs differ.
    """
    onnx, onnxruntime = packages()
    network = _Detections(method.cpu()).eval()
    names = ["boxes", "labels", "scores", *(["masks"] if method.masks else [])]
    axes = {"image": {1: "H", 2: "W"}, **{name: {0: "n"} for name in names}}
    if method.masks:
        axes["masks"] |= {2: "H", 3: "W"}
    images = [torch.rand(3, 240, 320), torch.rand(3, 240, 320), torch.rand(3, 300, 200)]

    def write(part: Path) -> None:
        torch.onnx.export(
            network,
            (images[0],),
            str(part),
            dynamo=False,
            opset_version=17,
            input_names=["image"],
            output_names=names,
            dynamic_axes=axes,
        )

    def check(session: Any) -> None:  # onnxruntime has no types
        for image in images:
            with torch.inference_mode():
                expected = network(image)
            outputs = [torch.from_numpy(array) for array in session.run(None, {"image": image.numpy()})]
            if (missing := _missing(outputs, expected)) > 0.05:
                raise InputError(f"the ONNX model lacks {missing:.0%} of what torch finds: it was not written")

    heads = method.network.roi_heads
    threshold, heads.score_thresh = heads.score_thresh, 0.0  # on noise, so that there is something to compare
    write_checked(onnx, onnxruntime, output, write, check, metadata)
    heads.score_thresh = threshold
    onnx_file = write_checked(onnx, onnxruntime, output, write, check, metadata)
    state = {name: value.contiguous() for name, value in method.state_dict().items()}
    return [onnx_file, save_tensors(output, state, metadata)]


class _Detections(nn.Module):
    """One image to what is found in it, as a module of its own."""

    def __init__(self, method: RCNN) -> None:
        super().__init__()
        self.method = method

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        detections = self.method.detect([image])[0][0]
        return tuple(detections[name] for name in ("boxes", "labels", "scores", "masks") if name in detections)


def _missing(outputs: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Part of the detections that one of the two lacks. Some may, as those of nearly the same score change places, and
    with them which is left out where only so many are kept."""
    (boxes, labels, scores, *masks), (boxes_2, labels_2, scores_2, *masks_2) = outputs, expected
    same = (labels[:, None] == labels_2) & ((scores[:, None] - scores_2).abs() <= TOLERANCE)
    same &= (boxes[:, None] - boxes_2).abs().amax(2) <= TOLERANCE * 100  # pixels
    for i, j in same.nonzero().tolist() if masks else []:
        same[i, j] = bool((masks[0][i] - masks_2[0][j]).abs().mean() <= TOLERANCE)
    lacking = (~same.any(1)).sum() + (~same.any(0)).sum()
    return float(lacking) / max(1, len(labels) + len(labels_2))
