"""The help that imports nothing, checked against what it tells of."""

import re

from longtail.cli.fit import FIT_HELP
from longtail.cli.main import COMMANDS, HELP
from longtail.data.names import short_names
from longtail.figures import METRICS
from longtail.models.backbones import CIFAR_RESNETS
from longtail.option_names import SHORT
from longtail.recipes import recipe_names
from longtail.reports import grains
from longtail.reports.grains import Grain

OF_FIT = {
    "--recipe",
    "--data",
    "--run",
    "--resume",
    "--teacher",
    "--ema",
    "--monitor",
    "--help-all",
    "--from",
    "--trust",
    "--features",
}


def test_the_help_names_every_command_and_no_other() -> None:
    commands = re.findall(r"^  (\w+) ", HELP[HELP.index("Commands") :], re.MULTILINE)
    assert commands == list(COMMANDS)


def test_the_recipes_of_the_help_exist() -> None:
    assert set(re.findall(r"--recipe ([\w/]+)", HELP)) <= set(recipe_names())


def test_the_help_of_fit_names_every_data_set() -> None:
    words = set(re.findall(r"\w+", FIT_HELP))
    assert [name for name in short_names() if name not in words] == []
    text = " ".join(FIT_HELP.split())
    mentions = [*re.findall(r"(\w+(?:, \w+)*(?: or \w+)?) with --data\.root", text), *re.findall(r"\w+_lt\b", text)]
    assert {name for names in mentions for name in re.split(", | or ", names)} <= {*short_names()}


def test_the_help_of_fit_names_every_short_option_and_no_other() -> None:
    assert set(re.findall(r"(?<![\w-])--[a-z-]+(?![\w.-])", FIT_HELP)) == OF_FIT | SHORT.keys()


def test_the_help_of_fit_names_the_backbones() -> None:
    """Every depth, and every width of the shallowest."""
    named = set(re.findall(r"resnet[\w.]+_cifar", FIT_HELP))
    assert named == {name for name in CIFAR_RESNETS if "x" not in name or name.startswith(("resnet8x", "resnet10x"))}


def test_the_help_names_the_metric_of_every_grain_that_chooses_the_best_epoch() -> None:
    names = re.search(r"--monitor METRIC .*\(by default (.*)\)", FIT_HELP)
    assert names is not None
    overall = {grain.overall for grain in vars(grains).values() if isinstance(grain, Grain)}
    assert set(re.split(", | or ", names[1])) == overall
    assert overall <= METRICS.keys()
