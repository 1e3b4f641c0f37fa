"""A trained run as ONNX and safetensors."""

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.torch_version import TorchVersion

from longtail.errors import InputError
from longtail.inference.classification import Inference, load_run
from longtail.inference.detection import load_detector
from longtail.inference.segmentation import load_segmenter
from longtail.methods.pixels import PixelMethod
from longtail.methods.rcnn import RCNN

TOLERANCE = 1e-3  # of an output, relative to its largest value, between onnxruntime and torch in float32


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
    onnx, onnxruntime = _packages()
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
            _compare(found, expected)

    onnx_file = _export(onnx, onnxruntime, output, write, check, metadata)
    state = {name: value.contiguous() for name, value in classifier.method.state_dict().items()}
    if classifier.adjustment is not None:
        metadata["adjustment"] = json.dumps(classifier.adjustment.tolist())
    return [onnx_file, _save_tensors(output, state, metadata)]


def export_detector(run: Path, output: Path, checkpoint: str | None = None) -> list[Path]:
    """Write ``model.onnx`` and ``model.safetensors`` of a detector, and check the first against torch by onnxruntime.

    The network takes "image", float32 (3, H, W) in 0..1, of any size, and gives "boxes" (n, 4) as x1, y1, x2, y2 in its
    pixels, "labels" (n,), indices of the metadata "classes", "scores" (n,), and of a Mask R-CNN "masks" (n, 1, H, W) in
    0..1. It goes by torch's older exporter, the only one that torchvision's detectors pass.

    Args:
        run: folder of the run.
        output: folder for the files.
        checkpoint: "best" or "last"; by default the one best on validation if there is one.

    Raises:
        InputError: if something that is needed is not installed, or the outputs differ.
    """
    onnx, onnxruntime = _packages()
    detector = load_detector(run, checkpoint)
    network = _Detections(detector.method.cpu()).eval()
    names = ["boxes", "labels", "scores", *(["masks"] if detector.method.masks else [])]
    metadata = {
        "classes": json.dumps(detector.classes),
        "category_ids": json.dumps(detector.category_ids),
        "checkpoint": detector.source.name,
    }
    axes = {"image": {1: "H", 2: "W"}, **{name: {0: "n"} for name in names}}
    if detector.method.masks:
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

    def check(session: Any) -> None:
        for image in images:
            with torch.inference_mode():
                expected = network(image)
            found = [torch.from_numpy(each) for each in session.run(None, {"image": image.numpy()})]
            if (missing := _missing(found, expected)) > 0.05:
                raise InputError(f"the ONNX model lacks {missing:.0%} of what torch finds: it was not written")

    heads = detector.method.network.roi_heads
    threshold, heads.score_thresh = heads.score_thresh, 0.0  # on noise, so that there is something to compare
    _export(onnx, onnxruntime, output, write, check, metadata)
    heads.score_thresh = threshold
    onnx_file = _export(onnx, onnxruntime, output, write, check, metadata)
    state = {name: value.contiguous() for name, value in detector.method.state_dict().items()}
    return [onnx_file, _save_tensors(output, state, metadata)]


class _Detections(nn.Module):
    """One image to what is found in it, as a module of its own."""

    def __init__(self, method: RCNN) -> None:
        super().__init__()
        self.method = method

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        found = self.method.detect([image])[0][0]
        return tuple(found[name] for name in ("boxes", "labels", "scores", "masks") if name in found)


def export_segmenter(
    run: Path, output: Path, checkpoint: str | None = None, size: tuple[int, int] | None = None
) -> list[Path]:
    """Write ``model.onnx`` and ``model.safetensors`` of a segmenter, and check the first against torch by onnxruntime.

    The network takes "images", float32 (N, 3, H, W), normalised, and gives "logits" (N, C, H, W); N, H and W are free.
    A few architectures pool to a fixed number of cells, such as UPerNet and PSPNet, and are exported for one
    ``size``. Whole images are segmented, also where the method does it in windows. Mean, deviation, class names, the
    label of pixels without a class, and where they are given the side of the windows, and the shorter side that larger
    images are resized to before, are metadata of both files.

    Args:
        run: folder of the run.
        output: folder for the files.
        checkpoint: "best" or "last"; by default the one best on validation if there is one.
        size: H and W, where they are to be fixed; they are metadata then.

    Raises:
        InputError: if something that is needed is not installed, the network needs a size, or the outputs differ.
    """
    if size is not None and min(size) < 1:
        raise InputError(f"--size is a height and a width of at least 1 pixel, got {size[0]} and {size[1]}")
    onnx, onnxruntime = _packages()
    if TorchVersion(torch.__version__) < "2.8":
        raise InputError(f"the export of segmenters needs torch 2.8 or newer, and this is {torch.__version__}")
    segmenter = load_segmenter(run, checkpoint)
    method = segmenter.method.cpu()
    network = _PixelLogits(method).eval()
    metadata = {
        "classes": json.dumps(segmenter.classes),
        "mean": json.dumps(list(segmenter.normalise.mean)),
        "std": json.dumps(list(segmenter.normalise.std)),
        "ignore_index": str(method.ignore_index),
        "checkpoint": segmenter.source.name,
    }
    metadata |= {} if segmenter.size is None else {"size": str(segmenter.size)}
    metadata |= {} if method.window is None else {"window": str(method.window)}
    metadata |= {} if size is None else {"height": str(size[0]), "width": str(size[1])}
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

    def check(session: Any) -> None:
        for count, (height, width) in enumerate(sizes, start=1):
            images = torch.randn(count, 3, height, width)
            with torch.inference_mode():
                expected = network(images)
            with _of_any_size(size):
                _compare(torch.from_numpy(session.run(None, {"images": images.numpy()})[0]), expected)

    onnx_file = _export(onnx, onnxruntime, output, write, check, metadata)
    state = {name: value.contiguous() for name, value in method.state_dict().items()}
    return [onnx_file, _save_tensors(output, state, metadata)]


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


def _packages() -> tuple[Any, Any]:
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


def _export(
    onnx: Any,
    onnxruntime: Any,
    output: Path,
    write: Callable[[Path], None],
    check: Callable[[Any], None],
    metadata: dict[str, str],
) -> Path:
    """Write ``model.onnx``, checked, or nothing."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output}: cannot write there ({error.strerror}); give another --output") from error
    file = output / "model.onnx"
    part = file.with_name("model.part.onnx")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            write(part)
        model = onnx.load(part)
        onnx.helper.set_model_props(model, metadata)
        onnx.save(model, part)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # it warns of shapes that change
        check(onnxruntime.InferenceSession(part, options, providers=["CPUExecutionProvider"]))
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return file


def _missing(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Part of the detections that one of the two lacks. Some may, as those of nearly the same score change places, and
    with them which is left out where only so many are kept."""
    (boxes, labels, scores, *masks), (boxes_2, labels_2, scores_2, *masks_2) = found, expected
    same = (labels[:, None] == labels_2) & ((scores[:, None] - scores_2).abs() <= TOLERANCE)
    same &= (boxes[:, None] - boxes_2).abs().amax(2) <= TOLERANCE * 100  # pixels
    for i, j in same.nonzero().tolist() if masks else []:
        same[i, j] = bool((masks[0][i] - masks_2[0][j]).abs().mean() <= TOLERANCE)
    lacking = (~same.any(1)).sum() + (~same.any(0)).sum()
    return float(lacking) / max(1, len(labels) + len(labels_2))


def _compare(found: Tensor, expected: Tensor) -> None:
    """Raise InputError where an output of the ONNX model is not that of torch."""
    difference = float((found - expected).abs().max())
    if not difference <= TOLERANCE * max(1.0, float(expected.abs().max())):
        raise InputError(f"the ONNX model differs from torch by {difference:.2g}: it was not written")


def _save_tensors(output: Path, state: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    """Write ``model.safetensors``."""
    from safetensors.torch import save_file

    file = output / "model.safetensors"
    save_file(state, file, metadata)
    return file
