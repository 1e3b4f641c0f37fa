"""The configurations of runs, compared value by value."""

from collections.abc import Collection, Sequence
from pathlib import PurePath
from typing import Any

import yaml

from longtail.configuration import parse_yaml
from longtail.plain import JSON
from longtail.reports.results import Results

Place = tuple[str | int, ...]  # keys of mappings and numbers of list entries, from the outside in

SEEDS = ("seed", "seed_everything")


def values(config: str, without: Collection[str] = ()) -> dict[Place, JSON]:
    """Return every value of a configuration, as it is written, by its place; not those under the keys ``without``.

    Empty mappings and lists are values. What is no YAML is one value, without a place.
    """
    try:
        tree = parse_yaml(config, yaml.BaseLoader)
    except ValueError:
        tree = config
    return leaves(tree, (), without)


def leaves(tree: JSON, place: Place = (), without: Collection[str] = ()) -> dict[Place, JSON]:
    """Return every value of a tree, which stands at ``place``, by its place; as ``values`` does."""
    entries: list[tuple[str | int, JSON]] = []
    if isinstance(tree, dict):
        entries = [(key, value) for key, value in tree.items() if key not in without]
    elif isinstance(tree, list):
        entries = list(enumerate(tree))
    if not tree or not isinstance(tree, (dict, list)):
        return {place: tree}
    return {inner: text for key, value in entries for inner, text in leaves(value, (*place, key), without).items()}


def differing_setting(results: Sequence[Results]) -> tuple[str, list[str]] | None:
    """Return the one value in which the configurations of runs differ, by its name, and what it is in each run.

    The seed and the folder of a run do not count. None where the runs differ in nothing else, in more, or in what has
    no name, such as an entry of a list.
    """
    configs = [values(run["config"], without=(*SEEDS, "run")) for run in results]
    if any(config.keys() != configs[0].keys() for config in configs):
        return None
    places = [place for place in configs[0] if any(config[place] != configs[0][place] for config in configs)]
    if len(places) != 1:
        return None
    settings, name = [config[places[0]] for config in configs], places[0][-1:]
    if not name or not isinstance(name[0], str) or not all(isinstance(setting, str) for setting in settings):
        return None
    return name[0], settings


def same_but_seed(one: str, other: str, names: Sequence[Collection[str]]) -> bool:
    """Say whether two configurations differ by nothing but their seeds and the folders of their runs.

    Args:
        one: a configuration.
        other: the configuration of another run.
        names: what the folder of each of the two runs is called.
    """
    configs = [values(config, without=SEEDS) for config in (one, other)]
    return configs[0].keys() == configs[1].keys() and all(
        configs[0][place] == configs[1][place]
        or _without_folder(configs[0][place], names[0]) == _without_folder(configs[1][place], names[1])
        for place in configs[0]
    )


def _without_folder(value: Any, names: Collection[str]) -> Any:
    """Put a placeholder for a path up to the run's folder."""
    parts = PurePath(value.replace("\\", "/")).parts if isinstance(value, str) else ()
    places = [place for place, part in enumerate(parts) if part in names]
    return ("<run>", *parts[places[-1] + 1 :]) if places else value
