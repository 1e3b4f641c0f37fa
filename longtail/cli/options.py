"""What people type, and the options of the trainer, the model and the data that it stands for."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from longtail.errors import InputError

# What people type, and the option it stands for; a pair sets a flag.
SHORT: dict[str, str | tuple[str, str]] = {
    "--epochs": "--trainer.max_epochs",
    "--batch-size": "--data.batch_size",
    "--lr": "--model.optimizer.lr",
    "--seed": "--seed_everything",
    "--backbone": "--model.method.backbone.name",
    "--weights": "--model.method.backbone.weights",
    "--pretrained": ("--model.method.backbone.pretrained", "true"),
    "--image-size": "--data.image_size",
    "--workers": "--data.num_workers",
    "--skip-bad-images": ("--data.skip_bad_images", "true"),
    "--skip-bad-videos": ("--data.skip_bad_images", "true"),
    "--precision": "--trainer.precision",
    "--compile": ("--model.compile", "true"),
    "--no-channels-last": ("--model.channels_last", "false"),
    "--clip": "--trainer.gradient_clip_val",
}
NAMED_DATA = {
    "ade20k": "longtail.data.ADE20K",
    "camvid": "longtail.data.CamVid",
    "cifar10_lt": "longtail.data.CIFAR10LT",
    "cifar100_lt": "longtail.data.CIFAR100LT",
    "cityscapes": "longtail.data.Cityscapes",
    "coco": "longtail.data.COCO",
    "digits_lt": "longtail.data.DigitsLT",
    "egtea": "longtail.data.EGTEA",
    "lvis": "longtail.data.LVIS",
}
NEED_ROOT = {
    "longtail.data.Folder": "give --data FOLDER or --data TABLE",
    "longtail.data.COCO": "give --data FOLDER, or --data coco --data.root FOLDER, with images and annotations",
    "longtail.data.LVIS": "give --data lvis --data.root FOLDER, with images and annotations",
    "longtail.data.VideoFolder": "give --data FOLDER with one subfolder of videos for each class, or --data TABLE",
    "longtail.data.EGTEA": "give --data egtea --data.root FOLDER, with the clips and the split files",
    "longtail.data.SegmentationFolder": "give --data FOLDER with images/, annotations/ and classes.txt",
    "longtail.data.ADE20K": "give --data ade20k --data.root FOLDER, with images/, annotations/ and objectInfo150.txt",
    "longtail.data.CamVid": "give --data camvid --data.root FOLDER, with images/ and annotations/",
    "longtail.data.Cityscapes": "give --data cityscapes --data.root FOLDER, with leftImg8bit/ and gtFine/",
}
VIDEO_DATA = ("longtail.data.VideoFolder", "longtail.data.VideoTable")
TABLES = {".csv", ".tsv", ".parquet", ".txt", ".lst"}


def without(options: list[str], prefixes: tuple[str, ...]) -> list[str]:
    """The options less those that begin so, and the values that follow them."""
    kept, dropping = [], False
    for option in options:
        if option.startswith("--"):
            dropping = option.startswith(prefixes)
        if not dropping:
            kept.append(option)
    return kept


def names_root(options: list[str]) -> bool:
    """Whether the options say where the set lies."""
    return any(option.startswith(("--data.root", "--data.init_args.root")) for option in options)


def take(args: list[str], name: str) -> str | None:
    """Remove an option with a value from the arguments, and return the value."""
    for i, arg in enumerate(args):
        if arg == name:
            if i + 1 == len(args) or args[i + 1].startswith("--"):
                raise InputError(f"{name} needs a value")
            del args[i]
            return args.pop(i)
        if arg.startswith(f"{name}="):
            return args.pop(i).split("=", 1)[1]
    return None


def short_options(args: Sequence[str]) -> list[str]:
    """Write the short options out in full."""
    full = []
    for arg in args:
        name, equals, value = arg.partition("=")
        long = SHORT.get(name)
        if isinstance(long, tuple):
            full.append(f"{long[0]}={value if equals else long[1]}")
        else:
            full.append(f"{long}{equals}{value}" if long else arg)
    return full


def data_options(value: str, config: dict[str, Any]) -> list[str]:
    """What ``--data VALUE`` stands for, beside the data that the recipe names."""
    if value in NAMED_DATA:
        return ["--data", NAMED_DATA[value]]
    own = config.get("data", {}).get("class_path", "")
    path = Path(value)
    if path.suffix.lower() in TABLES:
        if not path.is_file():
            raise InputError(f"no table at {path}")
        table = "VideoTable" if own in VIDEO_DATA else "Table"
        return ["--data", f"longtail.data.{table}", f"--data.table={path}"]
    if path.is_dir() or "/" in value or os.sep in value:
        if not path.is_dir():
            raise InputError(f"no folder at {path}")
        if own and not own.endswith((".Folder", ".Table")):
            return [f"--data.root={path}"]
        return ["--data", "longtail.data.Folder", f"--data.root={path}"]
    if "." in value or (value.isidentifier() and value[0].isupper()):
        return ["--data", value]
    raise InputError(f'no folder or table at "{value}", and no data set of that name: {", ".join(NAMED_DATA)}')


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise InputError(f"{message} ({self.prog} --help tells more)")


def command_parser(command: str, description: str | None = None, **settings: Any) -> argparse.ArgumentParser:
    """A parser of the options of a command, which says in one line what is wrong with them.

    Args:
        command: its name.
        description: what it does.
        settings: of ``argparse.ArgumentParser``.
    """
    return _Parser(prog=f"longtail {command}", description=description, allow_abbrev=False, **settings)
