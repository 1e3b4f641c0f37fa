"""A trained classifier as ONNX and safetensors."""

import json
from pathlib import Path
from typing import Any

import torch
from torch.torch_version import TorchVersion

from longtail.export.model import compare, packages, save_tensors, write_checked
from longtail.inference.classification import Inference, load_run


def export_run(run: Path, output: Path, checkpoint: str | None = None, strength: float = 0.0) -> list[Path]:
    """Write ``model.onnx`` and ``model.safetensors``, and check the ONNX model against torch by onnxruntime.

    The network takes "images", float32 (N, 3, size, size), normalised, N free, and gives "logits" (N, C). Size, mean,
    deviation, class names and the strength S of the logit adjustment are metadata of both files. The logits of the ONNX
    model are adjusted. The tensors are those of the method, and what is to be added to its logits, -S log p (C,), is
    their metadata "adjustment".

    Args:
        run: folder of the run.
        output: folder for the files.
        checkpoint: "best" or "last"; by default the one best on validation if there is one.
        strength: S; 0 leaves the logits as they are.

    Raises:
        InputError: if something that is needed is not installed, or the outputs differ.
    """
    onnx, onnxruntime = packages()
    classifier = load_run(run, checkpoint, strength)
    network = Inference(classifier.method.cpu(), classifier.adjustment).eval()
    images = torch.randn(4, *classifier.shape)
    metadata = {
        "classes": json.dumps(classifier.classes),
        "size": str(classifier.size),
        "mean": json.dumps(list(classifier.normalise.mean)),
        "std": json.dumps(list(classifier.normalise.std)),
        "checkpoint": classifier.source.name,
        "strength": str(strength),
    }

    def write(part: Path) -> None:
        names: dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"]}
        if TorchVersion(torch.__version__) >= "2.8":
            shapes = {"images": {0: torch.export.Dim("N", min=1)}}
            torch.onnx.export(
                network, (images,), part, **names, dynamic_shapes=shapes, external_data=False, dynamo=True
            )
        else:  # the newer exporter fails there on batch normalisation
            torch.onnx.export(network, (images,), str(part), **names, dynamic_axes={"images": {0: "N"}}, dynamo=False)

    def check(session: Any) -> None:
        for batch in (images, images[:1]):
            with torch.inference_mode():
                expected = network(batch)
            found = torch.from_numpy(session.run(None, {"images": batch.numpy()})[0])
            compare(found, expected)

    onnx_file = write_checked(onnx, onnxruntime, output, write, check, metadata)
    state = {name: value.contiguous() for name, value in classifier.method.state_dict().items()}
    if classifier.adjustment is not None:
        metadata["adjustment"] = json.dumps(classifier.adjustment.tolist())
    return [onnx_file, save_tensors(output, state, metadata)]
