"""What the task that takes a data set makes of it: the recipe to try first, and the groups of its classes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longtail.data.base import LongTailData
from longtail.errors import InputError
from longtail.own_modules import class_at, named_in, serve
from longtail.plain import JSON
from longtail.recipes import load_recipe, recipe_names
from longtail.reports.results import Thresholds
from longtail.tasks.base import Task
from longtail.tasks.limits import group_limits


def first_recipe(data: LongTailData) -> str | None:
    """The recipe to try first, as docs/methods.md has it: the one that its class names, or the one of the same name for
    this very set; a set whose recipes are others has the first of those."""
    own = [name for name in recipe_names() if name.startswith(f"{data.short_name}/")]
    name = None if data.recipe is None else f"{data.short_name}/{Path(data.recipe).name}"
    return name if name in own else next(iter(own), data.recipe)


def limits_of(data: LongTailData, recipe: str | None, limits: Mapping[str, float | None]) -> Thresholds:
    """The limits of many and few, in what the groups of a set go by, as the task of a recipe has them.

    Args:
        data: the set.
        recipe: that is tried first, if there is one.
        limits: "many" and "few", where they are given.

    Raises:
        InputError: if few is above many, or the recipe is not there or names no task.
    """
    task, options = (Task, {}) if recipe is None else _task_of(recipe)
    many, few = (options.get(name) if limits[name] is None else limits[name] for name in ("many", "few"))
    return group_limits(task, data.group_counts, many, few)


def _task_of(recipe: str) -> tuple[type[Any], dict[str, JSON]]:  # a task of any method
    """The class of the task that a recipe trains, and its options there."""
    config = load_recipe(recipe)
    serve(named_in(config))
    model = config.get("model") or {}
    path = str(model.get("class_path"))
    task = class_at(path, Task)
    if task is None:
        raise InputError(f"the recipe {recipe} wants {path}, which is no task: correct the class_path of its model")
    return task, model.get("init_args") or {}
