"""``longtail fit --data photos/`` without a recipe: one is picked by what is there."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from longtail.cli.data import build_data, check_table, data_options, data_settings, quiet
from longtail.cli.options import pairs
from longtail.errors import InputError
from longtail.messages import escape, plural

logger = logging.getLogger(__name__)

BACKBONE, WEIGHTS = "--model.method.backbone.name", "--model.method.backbone.weights"
PRETRAINED = "--model.method.backbone.pretrained"
ENOUGH = 1000  # training images for which a whole network is tuned; what fewer would give has not been measured
MANY = 10_000  # images from which a CPU gets the small network: the transformer needs minutes for fewer
# Floating-point operations that a CPU tunes a whole network for: half an hour of two cores at 20 GFLOP/s each, which is
# what EfficientNet-Lite0 was measured to train at. Dense convolutions are faster: ResNet-32 trains at 130 in bfloat16.
HALF_AN_HOUR = 7.2e13
SMALL = "tf_efficientnet_lite0.in1k"
FEW = 512  # training images, below which a network from random weights gets batches of an eighth, for more steps
PLAIN_STAGE = "second/ce"  # which others are compared with
# What a second stage shares with the run that it goes on from, and does not take from there.
SHARED = (
    "--trainer.accelerator",
    "--trainer.devices",
    "--trainer.precision",
    "--data.num_workers",
    "--data.batch_size",
)


@dataclass(frozen=True)
class Choice:
    """A recipe, the options that go with it, and why it was picked."""

    recipe: str
    options: tuple[str, ...]
    reason: str
    is_probe: bool  # whether the network stays as it is

    def __str__(self) -> str:
        return f"recipe {self.recipe}: {self.reason}; another by --recipe (longtail recipes lists them)"


def choose(options: Sequence[str]) -> Choice:
    """The recipe for the images that ``--data`` names.

    Pretrained weights, where they are given or can be had, are worth more than any loss, so they come first. To tune
    the whole network gives the most and costs some seven times as much as a classifier on its frozen features, so it is
    picked where there are enough images, and an accelerator or little enough work for a CPU. Without weights a network
    is trained from random ones.

    Args:
        options: of ``longtail fit``, written out in full.

    Raises:
        InputError: if no data is given, it is a set with recipes of its own, or it cannot be read.
    """
    settings = dict(pairs(options))
    data = settings.get("--data")
    if data is None:
        raise InputError("give --recipe NAME (longtail recipes lists them), or --data FOLDER to have one picked")
    images, names, side = _size(data, options)
    if (line := about_lists(names)) is not None:
        logger.info(line)
    classes = len(names)
    import torch

    from longtail.recipes import load_recipe

    device = str(settings.get("--trainer.accelerator", "auto"))
    accelerated = device != "cpu" and (torch.cuda.is_available() or torch.backends.mps.is_available())
    backbone, weights = settings.get(BACKBONE), settings.get(WEIGHTS)
    if backbone is None and weights is not None:
        raise InputError(f"--weights {escape(weights)}: give the network that they are of too, by --backbone NAME")
    tunes = images >= ENOUGH and (accelerated or images * _tuning_work(backbone or SMALL, side) <= HALF_AN_HOUR)
    recipe = "finetune" if tunes else "probe/logit_adjusted"
    own: tuple[str, ...] = ()
    if backbone is None:
        init = load_recipe(recipe)["model"]["init_args"]["method"]["init_args"]["backbone"]["init_args"]
        backbone = str(init["name"] if accelerated or images < MANY else SMALL)
        own = (f"{BACKBONE}={backbone}",)
    size = f"{plural(images, 'training image')} of {plural(classes, 'class', 'classes')}"
    where = "with an accelerator" if accelerated else "on a CPU"
    if weights is None and not _there(backbone):
        if settings.get(PRETRAINED) == "true":
            raise InputError(
                f"--pretrained: the weights of {escape(backbone)} cannot be fetched from here: give a file by "
                "--weights FILE with --backbone NAME, or leave out --pretrained to train from random weights"
            )
        scratch = "bcl" if accelerated else "logit_adjusted"
        why = f"{size} {where}, and no pretrained weights: those of {backbone} cannot be fetched from here"
        few = images < FEW and "--data.batch_size" not in settings
        batch = (f"--data.batch_size={max(2, images // 8)}",) if few else ()
        return Choice(scratch, batch, f"{why}; --weights FILE with --backbone NAME gives others", False)
    frozen = f"{backbone} stays as it is and its features are computed once"
    if images >= ENOUGH:
        frozen += ", as the tuning of a whole network would take more than half an hour"
    tuning = f"all of {backbone} is tuned" if tunes else frozen
    return Choice(recipe, own, f"{size} {where}, pretrained weights; {tuning}", not tunes)


def baseline(choice: Choice, run: Path, options: Sequence[str]) -> list[str]:
    """The command that trains a classifier by plain cross-entropy on the features of a run."""
    args = ["fit", "--run", f"{run}-ce"]
    if choice.is_probe:
        return [*args, "--recipe", "probe/ce", *options]
    shared = [f"{name}={value}" for name, value in pairs(options) if name in SHARED]
    return [*args, "--recipe", PLAIN_STAGE, "--from", str(run), *shared]


def about_lists(classes: Sequence[str]) -> str | None:
    """What is to be said of classes whose names look like lists, as "a;b" beside "a" and "b;c"; None where they do not:
    where fewer than a fifth have several parts, or most of these parts are in no other class."""
    for mark in "|;,":
        lists = [name for name in classes if mark in name]
        often = Counter(part.strip() for name in classes for part in name.split(mark))
        parts = [part.strip() for name in lists for part in name.split(mark)]
        if 5 * len(lists) >= len(classes) and 2 * sum(often[part] > 1 for part in parts) > len(parts):
            way = "" if mark == "|" else ", with | between the labels"
            what = f"classes such as {escape(lists[0])} look like several labels of an image"
            return f"{what}: where they are, give --recipe multilabel/bce{way}"
    return None


def _size(data: str, options: Sequence[str]) -> tuple[int, list[str], int | None]:
    """Number of training images, before any are held out, the classes, and the side of the images, where it is given.

    The options of the data are parsed before its images are listed; those of its views go with the recipe.
    """
    settings = data_settings(options)
    check_table(data, None, settings)  # says what is wrong before anything large is imported
    place = data_options(data, None)
    from longtail.data.images.files import FileData
    from longtail.data.names import find_class

    if not find_class(dict(pairs(place))["--data"]).picks_recipe:
        raise InputError(f"--data {escape(data)} has recipes of its own: give one by --recipe (longtail recipes)")
    texts = [f"--data.{name}={text}" for name, text in settings.items() if name.split(".")[0] != "views"]
    images = build_data(place, None, texts)
    if not isinstance(images, FileData):
        raise InputError(f"--data {escape(data)} lists no files, by which a recipe is picked: give one by --recipe")
    with quiet():
        listings = images.list_images()
    first = next(iter(listings.values()))
    side = settings.get("image_size", "")
    return len(first), list(first.classes), int(side) if side.isdigit() else None


def _tuning_work(backbone: str, size: int | None) -> float:
    """Floating-point operations for an image in all epochs of ``finetune``."""
    from longtail.models.effort import training_work
    from longtail.recipes import load_recipe

    epochs: int = load_recipe("finetune")["trainer"]["max_epochs"]
    return epochs * training_work(backbone, size)


def _there(backbone: str) -> bool:
    """Whether the published weights of a network can be had."""
    from longtail.models.downloads import obtainable
    from longtail.models.local_dir import PREFIX

    return backbone.startswith(PREFIX) or obtainable(backbone)
