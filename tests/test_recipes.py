"""The shipped recipes, and how a recipe is laid over its base."""

import functools
import importlib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from discovery import LOSSES_OF_BOXES, losses_of, takes_logits

import longtail.losses
from longtail.errors import InputError
from longtail.methods.boxes import ObjectnessBoxes, SigmoidBoxes, SoftmaxBoxes
from longtail.recipes import load_recipe, merge, recipe_names

every_recipe = pytest.mark.parametrize("name", recipe_names())


def strings(value: Any) -> Iterator[str]:
    """Every string inside a configuration."""
    if isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


def class_specs(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping with a ``class_path`` inside a configuration."""
    if isinstance(value, dict):
        if "class_path" in value:
            yield value
        for item in value.values():
            yield from class_specs(item)
    elif isinstance(value, list):
        for item in value:
            yield from class_specs(item)


@functools.cache
def class_at(path: str) -> type:
    module, _, name = path.rpartition(".")
    result = getattr(importlib.import_module(module), name)
    assert inspect.isclass(result), path
    return result


@functools.cache
def parameters(path: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(class_at(path)).parameters


recipe_of = functools.cache(load_recipe)  # as there are many


@functools.cache
def abouts() -> dict[str, str]:
    """The line of every recipe."""
    return {name: recipe_of(name)["about"] for name in recipe_names()}


def test_names_leave_out_what_is_only_a_base() -> None:
    names = recipe_names()
    assert {"ce", "bcl", "digits_lt/bcl", "cifar100_lt/bcl"} <= set(names)
    assert not [name for name in names if "_" in (name[0], name.split("/")[-1][0])]


@every_recipe
def test_a_shipped_recipe_says_what_it_is_and_is_complete(name: str) -> None:
    recipe = recipe_of(name)
    assert recipe.keys() - {"teacher", "monitor", "second_stage"} == {"about", "trainer", "model", "data"}
    assert ("second_stage" in recipe) == name.startswith("second/")
    if "teacher" in recipe:
        teachers = recipe["teacher"] if isinstance(recipe["teacher"], list) else [recipe["teacher"]]
        assert {*teachers} <= {*recipe_names()}
    assert recipe["about"].strip()
    assert "\n" not in recipe["about"].strip()
    assert [key for key, text in abouts().items() if text == recipe["about"]] == [name]


@every_recipe
def test_every_class_of_a_shipped_recipe_exists_and_takes_its_arguments(name: str) -> None:
    recipe = recipe_of(name)
    for path in strings(recipe):
        if path.startswith(("longtail.", "torch.")):
            class_at(path)
    specs = list(class_specs(recipe))
    assert specs
    for spec in specs:
        arguments = parameters(spec["class_path"])
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in arguments.values()):
            assert spec.get("init_args", {}).keys() <= arguments.keys(), spec["class_path"]


@every_recipe
def test_a_shipped_recipe_has_as_many_views_as_its_method_trains_on(name: str) -> None:
    recipe = recipe_of(name)
    views = recipe["data"]["init_args"].get("views")
    method = class_at(recipe["model"]["init_args"]["method"]["class_path"])
    assert views is None or len(views) == method.num_views


@pytest.mark.parametrize(
    ("base", "change", "expected"),
    [
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, {"a": 1, "b": 3, "c": 4}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": "plain"}, {"a": "plain"}),
        ({"a": "plain"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        # another class with arguments of its own starts anew
        (
            {"m": {"class_path": "A", "init_args": {"x": 1}}},
            {"m": {"class_path": "B", "init_args": {"y": 2}}},
            {"m": {"class_path": "B", "init_args": {"y": 2}}},
        ),
        # without arguments it keeps the old ones
        (
            {"m": {"class_path": "A", "init_args": {"x": 1}}},
            {"m": {"class_path": "B"}},
            {"m": {"class_path": "B", "init_args": {"x": 1}}},
        ),
        # the same class, named or not, changes only what is given
        (
            {"m": {"class_path": "A", "init_args": {"x": 1, "y": 1}}},
            {"m": {"class_path": "A", "init_args": {"y": 2}}},
            {"m": {"class_path": "A", "init_args": {"x": 1, "y": 2}}},
        ),
        (
            {"m": {"class_path": "A", "init_args": {"x": 1}}},
            {"m": {"init_args": {"y": 2}}},
            {"m": {"class_path": "A", "init_args": {"x": 1, "y": 2}}},
        ),
    ],
)
def test_merge(base: dict[str, Any], change: dict[str, Any], expected: dict[str, Any]) -> None:
    before = repr((base, change))
    assert merge(base, change) == expected
    assert repr((base, change)) == before, "the inputs are left alone"


def test_a_recipe_starts_from_the_one_beside_it_before_the_shipped_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: bcl\ndata: {init_args: {batch_size: 7}}\n", encoding="utf-8")
    recipe = load_recipe(str(path))
    assert recipe["data"]["init_args"].pop("batch_size") == 7
    bcl = load_recipe("bcl")
    del bcl["data"]["init_args"]["batch_size"]
    assert recipe == bcl

    (tmp_path / "bcl.yaml").write_text("about: beside\n", encoding="utf-8")
    assert load_recipe(str(path)) == {"about": "beside", "data": {"init_args": {"batch_size": 7}}}


def test_several_bases_are_laid_over_each_other_in_order(tmp_path: Path) -> None:
    for name, content in (("one", "a: 1\nb: 1\nc: 1\n"), ("two", "b: 2\nc: 2\nm: {x: 2, y: 2}\n")):
        (tmp_path / f"{name}.yaml").write_text(content, encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text("base: [one, two]\nc: 3\nm: {y: 3}\n", encoding="utf-8")
    assert load_recipe(str(path)) == {"a": 1, "b": 2, "c": 3, "m": {"x": 2, "y": 3}}
    path.write_text("base: []\na: 3\n", encoding="utf-8")
    assert load_recipe(str(path)) == {"a": 3}
    path.write_text("base: [one, nowhere]\n", encoding="utf-8")
    with pytest.raises(InputError, match='unknown recipe "nowhere"'):
        load_recipe(str(path))


def test_a_base_of_the_same_name_is_the_one_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "ce.yaml").write_text("base: ce\nabout: mine\n", encoding="utf-8")
    assert load_recipe(str(tmp_path / "ce.yaml")) == load_recipe("ce") | {"about": "mine"}


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith("clips/") and "probe" not in name])
def test_a_recipe_for_clips_is_that_for_images_but_for_network_and_data(name: str) -> None:
    clips, images = load_recipe(name), load_recipe(name.removeprefix("clips/"))
    network = clips["model"]["init_args"]["method"]["init_args"].pop("backbone")
    assert network == {"class_path": "longtail.models.VideoBackbone", "init_args": {"name": "r3d_18"}}
    del images["model"]["init_args"]["method"]["init_args"]["backbone"]
    assert (clips["data"].pop("class_path"), images["data"].pop("class_path")) == (
        "longtail.data.VideoFolder",
        "longtail.data.Folder",
    )
    assert clips | {"about": ""} == images | {"about": ""}


def losses_of_recipes(detector: str) -> set[str]:
    """The losses of the box classes that the recipes on a detector name."""
    configurations = [recipe_of(name) for name in recipe_names() if name.startswith(f"{detector}_")]
    paths = [path for configuration in configurations for path in strings(configuration["model"])]
    return {path.removeprefix("longtail.losses.") for path in paths if path.startswith("longtail.losses.")}


def test_the_recipes_on_both_detectors_name_the_same_losses_that_boxes_take() -> None:
    names = losses_of_recipes("maskrcnn")
    assert names >= LOSSES_OF_BOXES
    assert all(takes_logits(getattr(longtail.losses, name)) for name in names)
    assert names == losses_of_recipes("fasterrcnn")
    kinds = (SoftmaxBoxes, ObjectnessBoxes, SigmoidBoxes)
    assert names <= {loss.__name__ for kind in kinds for loss in losses_of(kind)}


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith("fasterrcnn_")])
def test_a_recipe_for_boxes_alone_is_that_for_masks_without_them(name: str) -> None:
    boxes, both = load_recipe(name), load_recipe(name.replace("fasterrcnn", "maskrcnn"))
    for recipe, masks in ((boxes, False), (both, True)):
        assert recipe["model"]["init_args"]["method"]["init_args"].pop("masks") is masks
        assert recipe["data"]["init_args"].pop("masks") is masks
    assert boxes | {"about": ""} == both | {"about": ""}


def test_both_detectors_have_the_same_recipes() -> None:
    names = {
        detector: {name.removeprefix(detector) for name in recipe_names() if name.startswith(detector)}
        for detector in ("maskrcnn_", "fasterrcnn_")
    }
    assert names["maskrcnn_"] == names["fasterrcnn_"]


def test_an_unknown_recipe_lists_the_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='unknown recipe "digits_lt/bcll"') as error:
        load_recipe("digits_lt/bcll")
    message = str(error.value)
    assert 'did you mean "digits_lt/bcl"?' in message
    assert all(name in message for name in recipe_names())
    (tmp_path / "mine.yaml").write_text("base: nowhere\n", encoding="utf-8")
    with pytest.raises(InputError, match='unknown recipe "nowhere"'):
        load_recipe(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize("content", [b"", b"- a\n- b\n", b"plain\n", b"a: [1\n", b"\xff\xfe\x00"])
def test_a_file_that_is_no_recipe_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError, match="recipe") as error:
        load_recipe(str(file))
    message = str(error.value)
    assert str(file) in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "epochs", "data"),
    [
        ("lift", 5, "Folder"),
        ("cifar100_lt/lift", 5, "CIFAR100LT"),
        ("imagenet_lt/lift", 5, "ImageNetLT"),
        ("places_lt/lift", 5, "PlacesLT"),
        ("inaturalist2018/lift", 15, "INaturalist2018"),
    ],
)
def test_light_fine_tuning_has_the_published_settings(name: str, epochs: int, data: str) -> None:
    recipe = recipe_of(name)
    model, images = recipe["model"]["init_args"], recipe["data"]
    assert recipe["trainer"]["max_epochs"] == epochs
    assert model["optimizer"]["class_path"] == "torch.optim.SGD"
    sgd = model["optimizer"]["init_args"]
    assert sgd == {"lr": 0.02, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": False}
    assert model["schedule"] == {"class_path": "longtail.tasks.CosineSchedule", "init_args": {"warmup": 0}}
    method = model["method"]["init_args"]
    assert method["loss"] == "longtail.losses.LogitAdjustedLoss"
    assert method["classifier"]["init_args"] == {"scale": 25.0}
    assert method["backbone"]["init_args"]["tuning"] == "longtail.models.AdaptFormer"
    assert images["class_path"] == f"longtail.data.{data}"
    options = images["init_args"]
    assert (options["batch_size"], options["test_crops"]) == (128, 5)
    assert options.get("image_size", 224) == 224  # that of the weights
    assert round(224 / options["preprocessing"]["crop"]) == 248
    view = {"flip": 0.0, "crop": "longtail.augment.GrowingCrop"}
    assert options["views"] == [{"class_path": "longtail.augment.PlainView", "init_args": view}]
