"""What a process tells of the run that it has read, to be held against what the others have read."""

from pathlib import PurePath
from typing import TYPE_CHECKING

from longtail.data.base import LongTailData
from longtail.messages import SPLITS
from longtail.option_names import typed
from longtail.reports.config import Place, leaves, values
from longtail.roll_call import Facts, checksum

if TYPE_CHECKING:
    from longtail.tasks.training_cli import TrainingCLI

# Keys of the configuration that are not compared: where things lie and who decodes images, which each machine may have
# for itself, and what follows from the set.
_OWN = ("config", "run", "features", "root", "save_dir", "num_workers", "class_counts")


def facts_of(cli: "TrainingCLI") -> Facts:
    """The resolved options of a run, and what was read of its set."""
    return {**_of_options(cli), **_of_data(cli.datamodule)}


def _of_options(cli: "TrainingCLI") -> Facts:
    """Every option but those of ``_OWN``, first those of the run as a whole, such as the recipe; of one that is a path
    only whether it is given."""
    paths = {place for place, value in leaves(cli.config.as_dict()).items() if isinstance(value, PurePath)}
    options = values(cli.dump(), without=_OWN)
    places = sorted(options, key=lambda place: len(place) > 1)
    return {f"has {_name(place)} {{}}": "a path" if place in paths else _text(options[place]) for place in places}


def _name(place: Place) -> str:
    return typed(f"--{'.'.join(str(key) for key in place if key not in ('init_args', 'class_path'))}")


def _text(value: object) -> str:
    """A value; of a file of a recipe its name."""
    return PurePath(str(value)).name if str(value).endswith(".yaml") else str(value)


def _of_data(data: LongTailData) -> Facts:
    """Classes and splits, by their sizes and checksums."""
    facts = {
        "reads {} classes": f"{len(data.classes):,}",
        "reads classes whose names have the checksum {}": checksum(data.classes),
    }
    for name, called in SPLITS.items():
        split = data.split(name)
        if split is None or not len(split):
            continue
        images = f"{called} {data.noun}s"
        facts[f"reads {{}} {images}"] = f"{len(split):,}"
        files = data.split_files(name)
        if files is not None:
            facts[f"reads {images} whose names have the checksum {{}}"] = checksum(files.names)
        labels = split.targets if files is None else files.labels
        facts[f"reads {images} whose labels have the checksum {{}}"] = checksum(labels.tobytes())
    return facts
