"""What a set says of how its samples look, and who asks it: also one from outside the package."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from longtail.cli.examples import examples_of
from longtail.cli.findings import looks_of
from longtail.data.base import LongTailData
from longtail.data.boxes.dataset import Instances
from longtail.data.boxes.example import largest_object
from longtail.data.images.files import FileData
from longtail.data.images.folder import Folder
from longtail.data.names import shipped
from longtail.data.pixels.example import class_overlay


class Spectra(Folder):
    """Files that are no images, of which a picture is drawn: red ones of "b", and of "a" blue ones."""

    stills = packs = False

    def picture(self, split: str, row: int) -> Image.Image:
        content = Path(self.splits.train.images.path(row)).read_bytes()
        return Image.fromarray(np.random.default_rng(list(content)).integers(0, 256, (32, 32, 3), dtype=np.uint8))

    def example(self, row: int, label: int) -> Image.Image:
        return Image.new("RGB", (8, 8), ["blue", "red"][label])

    def example_rows(self, number: int) -> list[list[int]]:
        return [[0] * number, []]


@pytest.fixture
def spectra(tmp_path: Path) -> Spectra:
    for name, value in (("a/0.png", b"1"), ("a/1.png", b"2"), ("b/0.png", b"3"), ("b/1.png", b"3")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(value)
    return Spectra(tmp_path, image_size=32, batch_size=2, val_fraction=0.0, check_images=False)


def test_a_set_from_outside_says_what_its_samples_look_like(spectra: Spectra) -> None:
    appearance = looks_of(spectra)["train"]
    assert appearance.pictures.any((1, 2)).all(), "drawn, and not decoded"
    assert len(set(appearance.contents.tolist())) == 3
    blue, red = examples_of(spectra)
    assert len(blue) == 3
    assert len(set(blue)) == 1
    assert red == []


def test_rows_that_have_the_class_are_spread(spectra: Spectra) -> None:
    assert LongTailData.example_rows(spectra, 1) == [[0], [2]]
    assert LongTailData.example_rows(spectra, 5) == [[0, 1], [2, 3]]


@pytest.mark.parametrize("data", shipped().values())
def test_what_can_be_packed_are_files_with_a_class_each(data: type[LongTailData]) -> None:
    if data.packs:
        assert issubclass(data, FileData)
        assert data.stills
        assert not data.several_labels


def test_the_largest_object_of_a_class_is_cut_out_with_what_is_around_it() -> None:
    boxes = np.array([[0, 0, 90, 90], [10, 20, 30, 40], [50, 50, 90, 70], [60, 60, 61, 61]], np.float32)
    instances = Instances(boxes, np.array([1, 0, 0, 0]), np.arange(4))
    assert largest_object(Image.new("RGB", (92, 100)), instances, 0).size == (92 - 44, 26 + 6)  # cut at the right side


def test_the_pixels_of_a_class_alone_are_painted() -> None:
    labels = np.zeros((4, 4), np.uint8)
    labels[:2] = 3
    pixels = np.array(class_overlay(Image.new("RGB", (4, 4)), labels, 3, list("abcd")))
    assert pixels[:2].any()
    assert not pixels[2:].any()
