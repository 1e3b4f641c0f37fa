"""YAML of recipes and runs, read as plain values."""

from pathlib import Path

import yaml

from longtail.errors import InputError
from longtail.plain import JSON

_MOST_VALUES, _DEEPEST = 200_000, 100  # far beyond any configuration


def parse_yaml(text: str, loader: type[yaml.BaseLoader | yaml.SafeLoader] = yaml.SafeLoader) -> JSON:
    """The values in a text.

    Args:
        text: YAML.
        loader: the one of PyYAML that makes values; none that makes more than plain ones.

    Raises:
        ValueError: in one line, if it is no YAML, or something in it contains itself or is repeated without end.
    """
    try:
        reader = loader(text)
        try:
            node = reader.get_single_node()
            _check_size(node)
            return None if node is None else reader.construct_document(node)
        finally:
            reader.dispose()
    except Exception as error:  # damaged text leads to nearly any
        raise ValueError(" ".join(str(error).split())[:300] or type(error).__name__) from error


def read_run_config(file: Path) -> dict[str, JSON]:
    """The configuration of a run.

    Raises:
        InputError: if it cannot be read, or is none.
    """
    try:
        config = parse_yaml(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not the configuration of a run ({error}): give the folder of one") from error
    if not isinstance(config, dict):
        raise InputError(f"{file}: not the configuration of a run: give the folder of one")
    return config


def _check_size(root: yaml.Node | None) -> None:
    """Refuse what grows without end when its references are followed."""
    waiting, count = [(root, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if count > _MOST_VALUES or depth > _DEEPEST:
            raise ValueError("it contains itself, or is deeper or longer than any configuration")
        if isinstance(node, yaml.MappingNode):
            waiting += [(inner, depth + 1) for pair in node.value for inner in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(inner, depth + 1) for inner in node.value]
