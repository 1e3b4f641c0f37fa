"""What a recipe says of its network and its start, where another network, file of weights or classifier is given."""

from collections.abc import Mapping

from longtail.option_names import SHORT
from longtail.own_modules import class_at
from longtail.plain import JSON


def start_as_given(config: dict[str, JSON], settings: Mapping[str, str]) -> None:
    """Leave out what a recipe says of weights that are not those of the run.

    With a file of weights nothing published is loaded. The image size that a recipe gives its backbone is that of its
    own network; for another one the size comes from the record of its weights. The start of a recipe is that of a
    cosine classifier; another classifier starts from random weights.

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
        elif key == "start" and not _is_cosine(settings.get("--model.method.classifier")):
            config[key] = None
        elif isinstance(value, dict):
            start_as_given(value, settings)


def _is_cosine(classifier: str | None) -> bool:
    """Whether the import path of a classifier, None for that of a recipe, is of one that can be started."""
    if classifier is None:
        return True
    from longtail.models.classifiers import CosineClassifier

    return class_at(classifier, CosineClassifier) is not None
