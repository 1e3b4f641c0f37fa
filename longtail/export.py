"""A trained run as ONNX and safetensors."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.torch_version import TorchVersion

from longtail.errors import InputError
from longtail.inference import Inference, load_run

TOLERANCE = 1e-3  # of the logits, between onnxruntime and torch in float32


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
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError as error:
        raise InputError(f'export needs {error.name}: pip install "longtail[onnx]"') from error
    from safetensors.torch import save_file

    classifier = load_run(run, checkpoint, strength)
    network = Inference(classifier.method.cpu(), classifier.adjustment).eval()
    images = torch.randn(4, 3, classifier.size, classifier.size)
    metadata = {
        "classes": json.dumps(classifier.classes),
        "size": str(classifier.size),
        "mean": json.dumps(list(classifier.normalise.mean)),
        "std": json.dumps(list(classifier.normalise.std)),
        "checkpoint": classifier.source.name,
        "strength": str(strength),
    }
    output.mkdir(parents=True, exist_ok=True)
    onnx_file, tensors_file = output / "model.onnx", output / "model.safetensors"
    part = onnx_file.with_name("model.part.onnx")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            names: dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"]}
            if TorchVersion(torch.__version__) >= "2.8":
                shapes = {"images": {0: torch.export.Dim("N", min=1)}}
                torch.onnx.export(
                    network, (images,), part, **names, dynamic_shapes=shapes, external_data=False, dynamo=True
                )
            else:  # the newer exporter fails there on batch normalisation
                torch.onnx.export(network, (images,), str(part), **names, dynamic_axes={"images": {0: "N"}})
        model = onnx.load(part)
        onnx.helper.set_model_props(model, metadata)
        onnx.save(model, part)
        session = onnxruntime.InferenceSession(part, providers=["CPUExecutionProvider"])
        for batch in (images, images[:1]):
            with torch.inference_mode():
                expected = network(batch)
            found = torch.from_numpy(session.run(None, {"images": batch.numpy()})[0])
            difference = float((found - expected).abs().max())
            if not difference <= TOLERANCE * max(1.0, float(expected.abs().max())):
                raise InputError(f"the ONNX model differs from torch by {difference:.2g}: it was not written")
        part.replace(onnx_file)
    finally:
        part.unlink(missing_ok=True)
    state = {name: value.contiguous() for name, value in classifier.method.state_dict().items()}
    if classifier.adjustment is not None:
        metadata["adjustment"] = json.dumps(classifier.adjustment.tolist())
    save_file(state, tensors_file, metadata)
    return [onnx_file, tensors_file]
