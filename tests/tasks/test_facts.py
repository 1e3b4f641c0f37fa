"""What a process tells of its run: all that has to be the same, and nothing that a machine may have for itself."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from longtail.data import DigitsLT, Folder
from longtail.data.base import LongTailData
from longtail.recipes import load_recipe
from longtail.roll_call import Facts
from longtail.tasks.facts import facts_of
from longtail.tasks.training_cli import configure, quiet

DIGITS = DigitsLT(batch_size=2)


def facts(data: LongTailData = DIGITS, lr: float = 0.1, **options: Any) -> Facts:
    """Those of a run with such a configuration."""
    optimizer = {"class_path": "torch.optim.SGD", "init_args": {"lr": lr}}
    tree = {"model": {"optimizer": optimizer, "class_counts": [lr]}, "recipe": "bcl", **options}
    config = SimpleNamespace(as_dict=lambda: tree)
    cli: Any = SimpleNamespace(config=config, datamodule=data, dump=lambda: json.dumps(tree, default=str))
    return facts_of(cli)


def differing(first: Facts, second: Facts) -> list[str]:
    return [fact for fact in {**first, **second} if first.get(fact) != second.get(fact)]


def test_options_are_told_as_they_are_typed_first_those_of_the_whole() -> None:
    record = facts()
    assert [*record.items()][:3] == [
        ("has --recipe {}", "bcl"),
        ("has --model.optimizer {}", "torch.optim.SGD"),
        ("has --lr {}", "0.1"),
    ]
    assert differing(record, facts(lr=0.2)) == ["has --lr {}"]


@pytest.mark.parametrize("name", ["run", "num_workers", "features", "root"])
def test_what_a_machine_may_have_for_itself_is_not_told(name: str) -> None:
    assert not differing(facts(**{name: "1"}), facts())


def test_of_a_path_it_is_told_whether_there_is_one() -> None:
    assert not differing(facts(weights=Path("/mnt/a/w.pt")), facts(weights=Path("/mnt/b/w.pt")))
    assert differing(facts(weights=Path("/mnt/a/w.pt")), facts(weights=None)) == ["has --weights {}"]
    assert not differing(facts(recipe="/mnt/a/own.yaml"), facts(recipe="/mnt/b/own.yaml"))


def photos(root: Path, images: list[str]) -> Facts:
    for seed, image in enumerate(images):
        (root / image).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / image)
    record = facts(Folder(root, val_fraction=0, batch_size=2, num_workers=0))
    shutil.rmtree(root)
    return {fact: value for fact, value in record.items() if fact.startswith("reads")}


def test_what_was_read_is_told_wherever_it_lies(tmp_path: Path) -> None:
    images = ["a/1.png", "a/2.png", "b/3.png", "b/4.png"]
    record = photos(tmp_path / "photos", images)
    assert [record["reads {} classes"], record["reads {} training images"]] == ["2", "4"]
    assert not differing(record, photos(tmp_path / "elsewhere/data", images))
    names, labels = (f"reads training images whose {part} have the checksum {{}}" for part in ("names", "labels"))
    for files, differences in (
        (images[1:], ["reads {} training images", names, labels]),
        (["a/1.png", "a/5.png", *images[2:]], [names]),
        (["a/1.png", "b/2.png", *images[2:]], [names, labels]),
        ([image.replace("b/", "c/") for image in images], ["reads classes whose names have the checksum {}", names]),
    ):
        assert differing(record, photos(tmp_path / "photos", files)) == differences


def test_a_resolved_run_tells_plain_text() -> None:
    """The same in a process that resolves it again."""
    quiet()
    recipe = load_recipe("digits_lt/ce")
    recipe.pop("about")
    first, second = (facts_of(configure(["--run=runs/a"], recipe=yaml.safe_dump(recipe))) for _ in range(2))
    assert first == second
    assert {type(value) for value in first.values()} == {str}
    assert not [fact for fact, value in first.items() if " at 0x" in value], "no addresses"
    assert first["has --data {}"] == "longtail.data.DigitsLT"
