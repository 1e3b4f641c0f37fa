"""The images that a run shows to its network, as the weights it starts from expect them."""

from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from longtail.augment.preprocessing import STANDARD, Preprocessing
from longtail.data.names import find_class
from longtail.errors import InputError
from longtail.inference.inputs import network_input
from longtail.models.base import WithInput
from longtail.models.inputs import NetworkInput
from longtail.models.local_dir import PREFIX, resolved
from longtail.own_modules import class_at
from longtail.reports.results import load_results


def fit_to_network(config: Namespace) -> None:
    """Let the data of a parsed configuration expect what its network does, where the user has not said otherwise.

    Normalisation, interpolation, central crop and size are those of the weights. A network that takes images of one
    size alone is made for that of the data. All of it stands in the configuration from then on, so a run that is built
    again from it is the same.

    Args:
        config: of the run, parsed and not yet built.

    Raises:
        InputError: for a size of images below one pixel, or weights that expect images in a border.
    """
    data, backbone = config.data.get("init_args"), config.get("model.init_args.method.init_args.backbone")
    if data is None or not isinstance(backbone, Namespace) or "class_path" not in backbone:
        return
    options = backbone.get("init_args")
    if isinstance(options, Namespace) and str(options.get("name")).startswith(PREFIX):
        # in the configuration stand network and file, so that a run is used without the folder
        options.name, options.weights = resolved(options.name, options.get("weights"))
        options.pretrained = False
    expected, any_size = expected_input(backbone), find_class(config.data.class_path).any_size
    if "preprocessing" in data:
        of_user = Preprocessing(**vars(data.preprocessing)) if data.preprocessing else Preprocessing()
        if expected.border and any_size and of_user.crop_mode is None:
            raise InputError(
                "the weights expect whole images in a border (crop_mode border), which are not made here: give "
                "--data.preprocessing.crop_mode squash or center"
            )
        of_weights = expected.preprocessing if any_size else replace(expected.preprocessing, crop=None, crop_mode=None)
        complete = asdict(of_user.over(of_weights))
        data.preprocessing = Namespace(**complete)  # type: ignore[no-untyped-call]  # it has no types
    for options in (data, config.get("model.init_args.method.init_args")):
        if isinstance(options, Namespace) and "mean" in options and "std" in options:  # of pixels, and of boxes
            own = Preprocessing(options.mean, options.std).over(expected.preprocessing).over(STANDARD)
            options.mean, options.std = own.mean, own.std
    if "image_size" not in data:
        return
    if data.image_size is not None and data.image_size < 1:
        raise InputError(f"--image-size must be at least 1 pixel, got {data.image_size}")
    network = vars(backbone.get("init_args") or Namespace())  # type: ignore[no-untyped-call]  # as above
    # batch statistics and frozen layers are those of images of one size, whatever the size of the set
    frozen = network.get("tuning", "all") != "all" or network.get("frozen_statistics", False)
    if data.image_size is None and (expected.fixed or any_size or frozen):
        data.image_size = network.get("image_size") or expected.size
    if expected.fixed:
        backbone.init_args.image_size = data.image_size


def expected_input(backbone: Namespace) -> NetworkInput:
    """The images that a network expects; where it starts from the weights of another run, those of that run."""
    options: dict[str, Any] = dict(vars(backbone.get("init_args") or Namespace()))  # type: ignore[no-untyped-call]
    kind = class_at(backbone.class_path, WithInput)
    if kind is None:
        return NetworkInput()
    expected: NetworkInput = kind.expected(options)
    run = Path(options["weights"]).parent if options.get("weights") else None
    for folder in () if run is None else (run, run.parent):  # of a checkpoint, or of an export below it
        if (folder / "results.json").is_file():
            record: dict[str, Any] = {"crop_mode": "center", **network_input(folder, load_results(folder))}
            names = {field.name for field in fields(Preprocessing)} & record.keys()
            preprocessing = Preprocessing(**{name: record[name] for name in names})
            return NetworkInput(preprocessing.over(expected.preprocessing), record.get("size"), expected.fixed)
    return expected
