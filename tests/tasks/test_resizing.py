"""Training on images that grow with the epochs: the batches, what they cost, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from command import FIT_DIGITS, fails

from longtail.augment import ProgressiveResizing
from longtail.cli.main import main
from longtail.data.images.digits import DigitsLT
from longtail.methods.plain import Plain

GROWING = [*FIT_DIGITS, "--model.resizing", "longtail.augment.ProgressiveResizing", "--epochs", "4"]


def test_training_images_grow_and_those_of_validation_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[bool, list[int]] = {True: [], False: []}
    classify = Plain.classify

    def watch(self: Plain, view: torch.Tensor) -> Any:
        seen[self.training].append(view.shape[-1])
        return classify(self, view)

    monkeypatch.setattr(Plain, "classify", watch)
    assert main([*GROWING, "--run", str(tmp_path / "run")]) == 0
    (side,) = set(seen[False])
    steps = len(seen[True]) // 4
    expected = [side // 2] * 3 * steps + [round(side * 0.75)] * steps  # the epochs begin at 0, 1/4, 1/2 and 3/4
    assert seen[True] == expected


def test_what_has_no_size_that_grows_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--run", str(tmp_path / "run")]
    fixed = fails(capsys, *GROWING, *place, "--backbone", "vit_tiny_patch16_224", "--image-size", "32")
    assert "is made for images of 32 pixels, and takes none of 16, or leave out --model.resizing" in fixed
    sizes = ["--model.resizing.sizes", "[0.5]"]
    assert "expected a milestone for every size, got 1 and 2" in fails(capsys, *GROWING, *sizes, *place)
    unknown = fails(capsys, *FIT_DIGITS, "--model.resizing", "longtail.augment.Progressive", *place)
    assert "choose from ProgressiveResizing" in unknown
    assert not (tmp_path / "run").exists()


def test_features_have_no_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = tmp_path / "first"
    assert main([*FIT_DIGITS, "--epochs", "1", "--run", str(first)]) == 0
    second = ["fit", "--recipe", "second/ce", "--from", str(first), "--run", str(tmp_path / "run")]
    line = fails(capsys, *second, "--model.resizing", "longtail.augment.ProgressiveResizing")
    assert "the features of images have no size that grows: leave out --model.resizing" in line
    assert not (tmp_path / "run").exists()


def test_the_default_sizes_cost_less_than_half() -> None:
    data = DigitsLT()
    assert sum(data.step_cost(epoch, 100) for epoch in range(100)) == 100
    data.resizing = ProgressiveResizing()
    cost = sum(data.step_cost(epoch, 100) for epoch in range(100)) / 100
    assert cost == pytest.approx(0.6 * 0.25 + 0.3 * 0.5625 + 0.1)
