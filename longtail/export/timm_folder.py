"""A trained classifier as a folder that timm loads."""

import copy
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from longtail.augment.normalise import Normalise
from longtail.augment.preprocessing import Resize
from longtail.errors import InputError
from longtail.export.classification import Adjusted
from longtail.export.model import compare
from longtail.methods.base import Method, OneNetwork
from longtail.models.adapters import AdaptedMLP, PromptedBlock
from longtail.models.backbones import CIFAR_RESNETS, Backbone, make_timm
from longtail.models.inputs import timm_input
from longtail.models.tuning import merge_low_rank
from longtail.plain import AnyPath
from longtail.writing import write_atomically

INSTEAD = "export without --format timm, to ONNX and safetensors"


def write_timm_folder(
    method: Method,
    classes: list[str],
    size: int,
    normalise: Normalise,
    resize: Resize,
    scale: Tensor | None,
    adjustment: Tensor | None,
    output: AnyPath,
) -> list[Path]:
    """Write ``config.json`` and ``model.safetensors`` as ``timm.create_model("local-dir:FOLDER")`` reads them, checked.

    A scale of the logits goes into the weights of the classifier, an adjustment into its bias, LoRA into the weights.

    Args:
        method: in evaluation mode; it is moved to the CPU.
        classes: names in the order of the logits.
        size: side of the images in pixels.
        normalise, resize: what is done to images.
        scale: by what the logits are multiplied (C,), or None.
        adjustment: what is added to the logits then (C,), or None.
        output: the folder.

    Raises:
        InputError: if timm has no such network, or it gives other logits.
    """
    from safetensors.torch import save

    backbone = method.cpu().backbone if isinstance(getattr(method, "backbone", None), Backbone) else None
    if not isinstance(backbone, Backbone) or backbone.name in CIFAR_RESNETS:
        raise InputError(f"--format timm is for a backbone of timm, which this run has not: {INSTEAD}")
    if not isinstance(method, OneNetwork):
        raise InputError(f"{type(method).__name__} is not one backbone and one classifier, as timm wants: {INSTEAD}")
    weight, bias = linear_head(method.classifier, method.num_features)
    if scale is not None:
        weight, bias = weight * scale[:, None], bias * scale
    if adjustment is not None:
        bias = bias + adjustment
    body = merge_low_rank(copy.deepcopy(backbone.body))
    if any(isinstance(module, (AdaptedMLP, PromptedBlock)) for module in body.modules()):
        raise InputError(f"timm's networks have no place for adapters or prompts: {INSTEAD}")
    name, options = backbone.name.split(".")[0], {"num_classes": len(classes)}
    sized = {"img_size": size} if timm_input(name, False).fixed else {}
    network = make_timm(name, False, **options, **sized)
    head = next((n for n, module in network.named_modules() if module is network.get_classifier()), None)
    if head is None or not isinstance(network.get_classifier(), nn.Linear):
        raise InputError(f"the classifier of {name} in timm is not one linear layer: {INSTEAD}")
    state = {
        **body.state_dict(),
        f"{head}.weight": weight,
        f"{head}.bias": bias,
    }
    state = {key: value.detach().contiguous().clone() for key, value in state.items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{name} has other parts in timm once it has a classifier: {INSTEAD}") from error
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = Adjusted(method, scale, adjustment)(images)
        compare(network.eval()(images), expected, "network of timm")
    config = {
        "architecture": name,
        "num_classes": len(classes),
        "num_features": int(network.num_features),
        "label_names": classes,
        **({"model_args": sized} if sized else {}),
        "pretrained_cfg": {
            **{key: network.pretrained_cfg.get(key) for key in ("first_conv", "classifier")},
            "input_size": [3, size, size],
            "fixed_input_size": bool(sized),
            "num_classes": len(classes),
            "mean": list(normalise.mean),
            "std": list(normalise.std),
            "interpolation": resize.interpolation,
            "crop_pct": resize.crop,
            "crop_mode": resize.crop_mode,
        },
    }
    output = Path(output)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output}: cannot write there ({error.strerror}); give another --output") from error
    write_atomically(output / "model.safetensors", save(state, {"format": "pt"}))
    write_atomically(output / "config.json", json.dumps(config, indent=2, ensure_ascii=False))
    return [output / "config.json", output / "model.safetensors"]


def linear_head(classifier: nn.Module, features: int) -> tuple[Tensor, Tensor]:
    """Weight (C, D) and bias (C,) of a classifier that is linear in the features, such as one whose logits are scaled.

    Args:
        classifier: features (M, D) to logits (M, C).
        features: D.

    Raises:
        InputError: if it is not linear.
    """
    exact = copy.deepcopy(classifier).double()
    probes = torch.randn(8, features, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        bias = exact(torch.zeros_like(probes[:1]))[0]
        weight = (exact(torch.eye(features, dtype=torch.float64)) - bias).T
        linear = torch.allclose(probes @ weight.T + bias, exact(probes), rtol=1e-8, atol=1e-8)
    if not linear:
        raise InputError(
            f"{type(classifier).__name__} is not linear in the features, as the classifier of a timm network is (a "
            f"cosine classifier divides by the length of each feature): {INSTEAD}, or train with "
            "--model.method.classifier torch.nn.Linear"
        )
    return weight.float(), bias.float()
