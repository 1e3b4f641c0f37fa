"""What a recipe says of its network, where another network or a file of weights is given."""

from collections.abc import Mapping

from longtail.option_names import SHORT
from longtail.plain import JSON


def start_as_given(config: dict[str, JSON], settings: Mapping[str, str]) -> None:
    """Leave out what a recipe says of weights that are not those of the run.

    With a file of weights nothing published is loaded. The image size that a recipe gives its backbone is that of its
    own network; for another one the size comes from the record of its weights.

    Args:
        config: of the recipe, changed in place.
        settings: the options of the command that have a value, written out in full.
    """
    name, from_file = settings.get(str(SHORT["--backbone"])), SHORT["--weights"] in settings
    own = config.get("name")
    if name is not None and isinstance(own, str) and name.split(".")[0] != own.split(".")[0]:
        config.pop("image_size", None)
    for key, value in config.items():
        if key == "pretrained" and from_file:
            config[key] = False
        elif isinstance(value, dict):
            start_as_given(value, settings)
