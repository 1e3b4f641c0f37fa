"""Local files of weights, fitted to a network."""

import difflib
import logging
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from longtail.checkpoint import first_not_finite
from longtail.errors import InputError
from longtail.messages import escape, some
from longtail.models.tensor_files import read_tensors
from longtail.models.trained_state import HASH, check_frozen, frozen_names, full_state, state_hash
from longtail.models.transformers import from_transformers
from longtail.plain import AnyPath

logger = logging.getLogger(__name__)

NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")
STAGE = re.compile(r"^([a-z]+)_(\d+)\.")


def check_start(pretrained: bool, weights: AnyPath | None) -> None:
    """Check that a network starts from one kind of weights at most; raises InputError."""
    if pretrained and weights is not None:
        raise InputError("pretrained and weights exclude each other: give one of them")


def load_weights(body: nn.Module, file: AnyPath) -> None:
    """Load a local weight file into a backbone, and say what fits.

    In a checkpoint of a run or in its ``model.safetensors`` the names of the backbone begin with those of the modules
    around it, such as "method.backbone.body."; what begins otherwise is left out, as is a classifier. The names of
    other libraries, and positions of another image size, are translated as far as timm does it for the network.

    Args:
        body: the backbone.
        file: with the weights.

    Raises:
        InputError: if the file is missing, damaged, holds anything but tensors, or does not fit.
    """
    file = Path(file)
    own, tensors = body.state_dict(), from_transformers(read_tensors(file))
    if any(name.endswith(HASH) for name in tensors):
        raise InputError(
            f"{escape(file)} holds what was trained beside frozen weights, and not these: give the model.safetensors "
            "that longtail export writes of the run"
        )
    tensors, names, faults = _fitted(body, tensors)
    if faults:
        key = faults[0]
        if key in names:
            theirs, ours = (" x ".join(map(str, value.shape)) for value in (tensors[names[key]], own[key]))
            fault = f'has another shape for "{key}", ({theirs}) in place of ({ours})'
        else:
            fault = f'lacks "{key}"{_nearest(key, tensors)}'
        fitting = len(names) - sum(key in names for key in faults)
        raise InputError(
            f"{escape(file)} does not fit the backbone: {fitting} of {len(own)} tensors do, and it {fault}; "
            "name the network that it was saved from, as by --backbone"
        )
    for key, name in names.items():
        if own[key].is_floating_point() and not tensors[name].is_floating_point():
            kind = str(tensors[name].dtype).removeprefix("torch.")
            raise InputError(
                f"{escape(file)} holds {escape(name)} as {kind}, and weights are floating-point numbers: give the file "
                "of a network that is not quantised"
            )
    rest = tensors.keys() - set(names.values())
    if (more := _continued(names, rest)) is not None:
        raise InputError(
            f"{escape(file)} does not fit the backbone: it is of a larger network, and goes on with {escape(more)}; "
            "name the network that it was saved from, as by --backbone"
        )
    body.load_state_dict({key: tensors[names[key]] if key in names else value for key, value in own.items()})
    if (bad := first_not_finite(body)) is not None:
        name = escape(names.get(bad, bad))
        raise InputError(f"{escape(file)} holds NaN or infinite weights, such as {name}: give another file")
    others = f", the other {len(rest)} are left out: {some(sorted(rest))}" if rest else ""
    logger.info(f"{escape(file)}: {len(names)} tensors fit the backbone{others}")


def fits(file: AnyPath, body: nn.Module) -> bool:
    """Whether the weights in a file fit a network."""
    return carries_over(from_transformers(read_tensors(Path(file))), body)


def carries_over(state: Mapping[str, Tensor], body: nn.Module) -> bool:
    """Whether the weights of a network fit the same one made for another image size, as far as timm translates them."""
    return not _fitted(body, dict(state))[2]


def load_tuned(backbone: nn.Module, file: AnyPath) -> None:
    """Load what a run trained of a backbone beside its frozen weights.

    Args:
        backbone: with the same frozen weights, and a place for what was trained.
        file: checkpoint of the run.

    Raises:
        InputError: if the file cannot be read, holds no such part, or one that was trained beside other weights.
    """
    file = Path(file)
    own, frozen, tensors = full_state(backbone), frozen_names(backbone), read_tensors(file)
    trained = own.keys() - frozen
    some_name = min(trained)
    starts = {name.removesuffix(some_name) for name in tensors if f".{name}".endswith(f".{some_name}")}
    # beside the backbone there may be copies of it, such as a momentum encoder
    start = min(starts, key=lambda start: (not start.startswith("method.backbone."), len(start)), default="")
    digest = tensors.get(start + HASH)
    parts = own if digest is None else {name: own[name] for name in trained}  # random weights are in the file as well
    if any(start + name not in tensors or tensors[start + name].shape != value.shape for name, value in parts.items()):
        raise InputError(
            f"{escape(file)} does not hold what is trained of the network: it is of a run with another network, or "
            "with another part of it trained"
        )
    if digest is not None:
        check_frozen(digest, state_hash({name: own[name] for name in frozen}))
    for name, value in parts.items():
        value.copy_(tensors[start + name])


def _fitted(body: nn.Module, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str], list[str]]:
    """The tensors of a file, translated where more of them fit then; and of these what ``_fit`` gives."""
    names, faults = _fit(body.state_dict(), tensors)
    if faults and (translated := _translated(body, tensors)) is not None:
        others = _fit(body.state_dict(), translated)
        if len(others[1]) < len(faults):
            return translated, *others
    return tensors, names, faults


def _fit(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> tuple[dict[str, str], list[str]]:
    """What the entries of a backbone are called in a file, and those that are not there or of another shape."""
    start = _start(list(own), tensors)
    names = {key: name for key in own if (name := _name(start, key, tensors)) is not None}
    # older files lack the counters of batches, which nothing reads
    missing = [key for key in own if key not in names and not key.endswith("num_batches_tracked")]
    return names, missing + [key for key, name in names.items() if own[key].shape != tensors[name].shape]


def _continued(names: Mapping[str, str], rest: Iterable[str]) -> str | None:
    """The first entry that goes on with a series of what is taken, such as "layer1.2.conv1.weight" beside
    "layer1.1.conv1.weight"; None where there is none. A network of features may leave out the last stages."""
    last: dict[str, int] = {}
    values = set(names.values())
    for key, name in names.items():
        for number in list(NUMBER.finditer(name))[not name.endswith(key) :]:
            start = name[: number.start()]
            last[start] = max(last.get(start, 0), int(number[0]))
    for name in sorted(rest):
        for number in NUMBER.finditer(name):
            start, end = name[: number.start()], name[number.end() :]
            if start in last and int(number[0]) > last[start] and f"{start}{last[start]}{end}" in values:
                return name
    return None


def _translated(body: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """A file in the names of timm, by the filter that timm has for the network; None where it has none or it fails."""
    translate = getattr(sys.modules[type(body).__module__], "checkpoint_filter_fn", None)
    if translate is None:
        return None
    try:
        translated = translate(dict(tensors), body)
    except Exception:  # it expects files of certain networks, and finds others
        return None
    return {key: value for key, value in dict(translated).items() if isinstance(value, Tensor)}


def _nearest(key: str, tensors: Mapping[str, Tensor]) -> str:
    near = difflib.get_close_matches(key, tensors, n=2, cutoff=0)
    return f" (nearest in it: {', '.join(near)})" if near else ""


def _name(start: str, key: str, tensors: Mapping[str, Tensor]) -> str | None:
    """What an entry of a backbone is called in a file where the names begin so; None where it is not there."""
    # timm calls "stages_0" in a network of features what is "stages.0" in the whole network and in its files
    return next((name for name in (start + key, start + STAGE.sub(r"\1.\2.", key)) if name in tensors), None)


def _start(keys: Sequence[str], tensors: Mapping[str, Tensor]) -> str:
    """How the names of the backbone begin in a file: so that most of its entries are there, and as short as can be."""
    ends = {end for key in keys[:1] for end in (key, STAGE.sub(r"\1.\2.", key))}
    starts = {name.removesuffix(end) for end in ends for name in tensors if f".{name}".endswith(f".{end}")}
    return max(
        sorted(starts, key=len),
        key=lambda start: sum(_name(start, key, tensors) is not None for key in keys),
        default="",
    )
