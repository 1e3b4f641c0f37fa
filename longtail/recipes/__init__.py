"""Recipes: one YAML file for each published system, holding nothing but what differs from its base.

Four keys belong to the recipe itself: ``about``, one line for the list; ``base``, the recipe it starts from, or several
of them, each laid over those before it; ``teacher``, the recipe of the teacher that is trained first, or a list of
several; and ``second_stage``, whether it goes on from a finished run. Everything else is configuration of the trainer,
the model and the data.
"""

import difflib
import os
from pathlib import Path

from longtail.configuration import parse_yaml
from longtail.errors import InputError
from longtail.plain import JSON

HERE = Path(__file__).parent


def recipe_names() -> list[str]:
    """Names of the shipped recipes; a leading underscore marks what others start from."""
    files = sorted(HERE.rglob("*.yaml"), key=lambda file: (len(file.relative_to(HERE).parts), file))
    return [file.relative_to(HERE).with_suffix("").as_posix() for file in files if not file.name.startswith("_")]


def load_recipe(name: str, above: tuple[Path, ...] = ()) -> dict[str, JSON]:
    """Read a recipe and the ones it starts from.

    Args:
        name: of a shipped recipe, or the path of a YAML file.
        above: the files of the recipes that start from it.

    Raises:
        InputError: if there is none, or the file is no recipe.
    """
    shipped = HERE / f"{name}.yaml"
    file = shipped if _is_file(shipped) else Path(name)
    if _is_folder(file):
        raise InputError(f'"{name}" is a folder and no recipe: give it by --data, and --recipe NAME')
    if file != shipped and file.suffix and file.suffix.lower() not in (".yaml", ".yml"):
        problem = "is no recipe" if _is_file(file) else "is not there, and its name is not that of a recipe"
        raise InputError(f'"{ascii(name)[1:-1]}" {problem}: recipes are YAML files; data is given by --data')
    if not _is_file(file):
        near = difflib.get_close_matches(name, recipe_names(), n=1, cutoff=0.6)
        hint = f' (did you mean "{near[0]}"?)' if near else ""
        raise InputError(
            f'unknown recipe "{ascii(name)[1:-1]}"{hint}: give a file or one of {", ".join(recipe_names())}'
        )
    recipe = read_yaml(file)
    bases = recipe.pop("base", None) or []
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise InputError(f"the recipe {file}: its base must be the name of a recipe, or a list of names")
    if (whole := file.resolve()) in above:
        raise InputError(f"the recipe {file} is its own base, by way of {above[-1]}: give another one")
    merged: dict[str, JSON] = {}
    for base in bases:
        beside = file.parent / f"{base}.yaml"
        own = _is_file(beside) and beside != file  # one of the same name elsewhere may be meant
        merged = merge(merged, load_recipe(str(beside) if own else base, (*above, whole)))
    return merge(merged, recipe)


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - false for what is longer than a path can be, or none at all


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - as above


def read_yaml(file: Path) -> dict[str, JSON]:
    """Read a recipe as it lies in its file, or the configuration of a run.

    Raises:
        InputError: if it cannot be read, or is no mapping.
    """
    try:
        content = parse_yaml(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the recipe {file}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"the recipe {file} must be a YAML mapping with keys such as trainer, model and data")
    return content


def merge(base: dict[str, JSON], change: dict[str, JSON]) -> dict[str, JSON]:
    """Lay a change over a configuration: mappings key by key, everything else replaced.

    A new ``class_path`` with ``init_args`` starts anew; one without keeps the arguments of the old class.
    """
    if "init_args" in change and change.get("class_path", base.get("class_path")) != base.get("class_path"):
        return change
    merged = dict(base)
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = merge(base[key], value) if both else value
    return merged
