import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from longtail.counts import exponential_counts
from longtail.errors import InputError
from longtail.generated import drawing, masks, shapes
from longtail.generated.drawing import CLASSES, scenes, shape_mask, train_counts
from longtail.generated.masks import outlines, run_lengths
from longtail.generated.shapes import write_shapes

# pycocotools 2 knows numpy 2 by halves
coco_warns = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
LABELS = {shape.category: label for label, shape in enumerate(CLASSES)}
NAMES = [shape.name for shape in CLASSES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("shapes") / "set"
    write_shapes(target)
    return target


def annotations(folder, split):
    return json.loads((folder / "annotations" / f"instances_{split}.json").read_text(encoding="utf-8"))


def pairs(folder, split, images):
    """Every annotation of a split beside its true mask and whether that is cut."""
    pictures = scenes(split, images, 96, 0.05, 0)
    true = [(mask, cut) for scene in pictures for mask, cut in zip(scene.masks, scene.cut, strict=True)]
    return [
        (annotation, *rest) for annotation, rest in zip(annotations(folder, split)["annotations"], true, strict=True)
    ]


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unrolled(lengths):
    values = np.repeat(np.arange(len(lengths["counts"])) % 2 == 1, lengths["counts"])
    return values.reshape(lengths["size"], order="F")


def refusal(*args, **options):
    with pytest.raises(InputError) as error:
        write_shapes(*args, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_counts(folder):
    counts = Counter(LABELS[annotation["category_id"]] for annotation in annotations(folder, "train")["annotations"])
    assert [counts[c] for c in range(8)] == exponential_counts(120, 8, 0.05).tolist() == train_counts(120, 0.05)
    counts = Counter(LABELS[annotation["category_id"]] for annotation in annotations(folder, "val")["annotations"])
    assert [counts[c] for c in range(8)] == [12] * 8


@pytest.mark.parametrize("images", [8, 9, 30, 500])
@pytest.mark.parametrize("factor", [1e-6, 0.01, 0.3, 1.0])
def test_the_profile_leaves_one_to_four_shapes_an_image(images, factor):
    counts = train_counts(images, factor)
    assert counts == exponential_counts(counts[0], 8, factor).tolist()
    dealt = drawing._deal(counts, images, 2, np.random.default_rng(0))
    numbers = sorted(len(labels) for labels in dealt)
    assert numbers[:2] == [0, 0]
    assert 1 <= numbers[2] <= numbers[-1] <= 4
    assert Counter(label for labels in dealt for label in labels) == dict(enumerate(counts))


@pytest.mark.parametrize("images", range(4, 40))
def test_validation_leaves_one_to_four_shapes_an_image(images):
    counts = drawing.val_counts(images)
    assert len(set(counts)) == 1
    dealt = drawing._deal(counts, images, 0, np.random.default_rng(0))
    assert all(1 <= len(labels) <= 4 for labels in dealt)
    assert sum(map(len, dealt)) == sum(counts)


def test_layout(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["annotations", "train", "val"]
    for split, images in (("train", 120), ("val", 40)):
        file = annotations(folder, split)
        assert [image["file_name"] for image in file["images"]] == sorted(p.name for p in (folder / split).iterdir())
        assert len(file["images"]) == images
        assert [category["id"] for category in file["categories"]] == list(LABELS)
        assert [category["name"] for category in file["categories"]] == NAMES
        assert [annotation["id"] for annotation in file["annotations"]] == list(range(1, len(file["annotations"]) + 1))
        assert all(annotation["iscrowd"] == 0 for annotation in file["annotations"])
        first = file["images"][0]
        with Image.open(folder / split / first["file_name"]) as image:
            assert image.mode == "RGB"
            assert image.size == (first["width"], first["height"]) == (96, 96)


def test_images_without_a_shape(folder):
    owners = Counter(annotation["image_id"] for annotation in annotations(folder, "train")["annotations"])
    assert sum(image["id"] not in owners for image in annotations(folder, "train")["images"]) == 2
    owners = Counter(annotation["image_id"] for annotation in annotations(folder, "val")["annotations"])
    assert all(image["id"] in owners for image in annotations(folder, "val")["images"])


@pytest.mark.parametrize(("split", "images"), [("train", 120), ("val", 40)])
def test_boxes_and_areas_are_those_of_the_masks(folder, split, images):
    for annotation, mask, _ in pairs(folder, split, images):
        rows, columns = np.nonzero(mask)
        x, y, width, height = annotation["bbox"]
        assert (x, y) == (columns.min(), rows.min())
        assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)
        assert annotation["area"] == mask.sum()


def test_cut_masks_and_rings_are_run_lengths_and_exact(folder):
    kinds = Counter()
    for annotation, mask, cut in pairs(folder, "train", 120):
        ring = CLASSES[LABELS[annotation["category_id"]]].name == "ring"
        assert isinstance(annotation["segmentation"], dict) == (cut or ring)
        kinds[type(annotation["segmentation"])] += 1
        if cut or ring:
            assert np.array_equal(unrolled(annotation["segmentation"]), mask)
    assert kinds[list] > kinds[dict] > 20


@coco_warns
def test_polygons_overlap_their_masks(folder):
    coco = pytest.importorskip("pycocotools.mask")
    for annotation, mask, _ in pairs(folder, "train", 120) + pairs(folder, "val", 40):
        if isinstance(annotation["segmentation"], list):
            outline = coco.decode(coco.merge(coco.frPyObjects(annotation["segmentation"], 96, 96))).astype(bool)
            assert (outline & mask).sum() / (outline | mask).sum() > 0.9


@coco_warns
def test_pycocotools_reads_both_files(folder, capsys):
    coco = pytest.importorskip("pycocotools.coco")
    for split in ("train", "val"):
        api = coco.COCO(str(folder / "annotations" / f"instances_{split}.json"))
        for annotation in api.loadAnns(api.getAnnIds()):
            assert api.annToMask(annotation).sum() == pytest.approx(annotation["area"], rel=0.1)


def test_later_shapes_hide_at_most_half_of_earlier_ones(monkeypatch):
    drawings = []

    def spy(*args):
        drawings.append(shape_mask(*args))
        return drawings[-1]

    monkeypatch.setattr(drawing, "shape_mask", spy)
    for seed in range(60):
        drawings.clear()
        scene = drawing._draw([0, 1, 4, 0], 64, np.random.default_rng(seed))
        assert scene.masks.shape == (4, 64, 64)
        assert scene.masks.sum(0).max() == 1
        assert not scene.cut[-1]
        for mask, cut in zip(scene.masks, scene.cut, strict=True):
            whole = min(part.sum() for part in drawings if not (mask & ~part).any())
            assert mask.sum() < whole if cut else mask.sum() == whole
            assert 2 * mask.sum() >= whole


def test_the_file_holds_the_scene_and_its_colours(folder):
    for number, scene in enumerate(scenes("val", 40, 96, 0.05, 0), start=1):
        with Image.open(folder / "val" / f"{number:06d}.png") as image:
            assert np.array_equal(np.asarray(image), scene.image)
        for label, mask in zip(scene.labels, scene.masks, strict=True):
            colour = scene.image[mask].mean(0)
            assert np.abs(colour - np.array(CLASSES[label].colour)).max() < 60


def test_the_same_call_gives_the_same_bytes(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_shapes(tmp_path / name, train=12, val=6, size=40, seed=seed)
    a, b, c = (content(tmp_path / name) for name in "abc")
    assert a == b
    assert a.keys() == c.keys()
    assert all(a[path] != c[path] for path in a)
    assert len(set(a.values())) == len(a) == 12 + 6 + 2


# Areas of the shapes in a circle of radius 1.
AREAS = {
    "circle": np.pi,
    "square": 2.0,
    "triangle": 3 * 3**0.5 / 4,
    "ring": np.pi * 0.75,
    "diamond": 1.2,
    "bar": 0.96,
    "star": 1.1226,
}


@pytest.mark.parametrize("label", range(8))
def test_shape_mask(label):
    mask = shape_mask(label, 90, 120, 60, 40, 30, 0.3)
    assert mask.shape == (90, 120)
    assert mask.dtype == bool
    rows, columns = np.nonzero(mask)
    assert np.hypot(columns + 0.5 - 60, rows + 0.5 - 40).max() <= 30
    assert np.hypot(columns + 0.5 - 60, rows + 0.5 - 40).max() > 27
    if NAMES[label] in AREAS:
        assert mask.sum() == pytest.approx(AREAS[NAMES[label]] * 900, rel=0.03)
    # a whole step moves it, and what leaves the image is cut off
    assert np.array_equal(shape_mask(label, 90, 120, 65, 40, 30, 0.3)[:, 5:], mask[:, :-5])
    assert not shape_mask(label, 90, 120, -40, 40, 30, 0.3).any()


def test_an_angle_turns_clockwise():
    rows, columns = np.nonzero(shape_mask(NAMES.index("bar"), 60, 60, 30, 30, 25, np.pi / 4))
    assert np.corrcoef(rows, columns)[0, 1] > 0.8  # from the upper left to the lower right


def picture(text):
    return np.array([[character == "#" for character in row] for row in text.split()])


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("....", []),
        ("##", [[2, 0, 2, 1, 0, 1, 0, 0]]),
        (".... .##. .#..", [[3, 1, 3, 2, 2, 2, 2, 3, 1, 3, 1, 1]]),
        ("#.#", [[1, 0, 1, 1, 0, 1, 0, 0], [3, 0, 3, 1, 2, 1, 2, 0]]),
        ("#. .#", [[1, 0, 1, 1, 2, 1, 2, 2, 1, 2, 1, 1, 0, 1, 0, 0]]),
        ("### #.# ###", [[3, 0, 3, 3, 0, 3, 0, 0], [1, 2, 2, 2, 2, 1, 1, 1]]),
    ],
)
def test_outlines(text, lines):
    polygons = outlines(picture(text))
    assert sorted(map(canonical, polygons)) == sorted(map(canonical, lines))


def canonical(line):
    """A closed line from its smallest corner on."""
    points = list(zip(line[::2], line[1::2], strict=True))
    return min(points[k:] + points[:k] for k in range(len(points)))


def test_outlines_of_any_mask_enclose_its_area():
    random = np.random.default_rng(0)
    for _ in range(50):
        mask = random.random((9, 7)) < 0.5
        assert sum(map(masks._area, outlines(mask))) == mask.sum()


def test_run_lengths():
    assert run_lengths(picture(".# ##")) == {"size": [2, 2], "counts": [1, 3]}
    assert run_lengths(picture("#. ..")) == {"size": [2, 2], "counts": [0, 1, 3]}
    assert run_lengths(picture("... ...")) == {"size": [2, 3], "counts": [6]}
    random = np.random.default_rng(0)
    for _ in range(20):
        mask = random.random((5, 8)) < 0.5
        assert np.array_equal(unrolled(run_lengths(mask)), mask)


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    assert "not an empty folder" in refusal(tmp_path)
    assert "not an empty folder" in refusal(tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_folder_and_missing_parents_are_fine(tmp_path):
    write_shapes(tmp_path, train=8, val=4, size=32)
    write_shapes(tmp_path / "one" / "two", train=8, val=4, size=32)
    assert len(content(tmp_path / "one" / "two")) == 14


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_whole_or_not_at_all(tmp_path, monkeypatch, error):
    def stop(*_):
        raise error

    monkeypatch.setattr(masks, "run_lengths", stop)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else InputError):
        write_shapes(tmp_path / "set", train=8, val=4, size=32)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    assert "cannot be written" in refusal(tmp_path / "file" / "set", train=8, val=4, size=32)


@pytest.mark.parametrize(
    ("option", "value"), [("train", 7), ("val", 3), ("size", 31), ("seed", -1), ("factor", 0.0), ("factor", 1.5)]
)
def test_options_out_of_range(tmp_path, option, value):
    message = refusal(tmp_path / "set", **{option: value})
    assert message.startswith(option)
    assert str(value) in message


def test_command(tmp_path, capsys):
    options = ["--train", "9", "--val", "5", "--size", "32", "--seed", "1"]
    assert shapes.main([str(tmp_path / "a"), *options]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'a'}: 9 training and 5 validation images\n"
    write_shapes(tmp_path / "b", 9, 5, 32, seed=1)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert shapes.main([str(tmp_path / "a")]) == 2
    assert capsys.readouterr().err.startswith("longtail: error: ")
