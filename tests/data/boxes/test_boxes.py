"""Data modules for detection: layouts, splits, counts, draws and batches."""

import contextlib
import io
import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from longtail.augment.instances import LargeScaleJitter, MultiScale
from longtail.data.boxes.base import DetectionData
from longtail.data.boxes.coco import COCO, LVIS
from longtail.data.sampling import DifficultySampling, RepeatFactorSampling, Sampling
from longtail.difficulty import ClassDifficulty
from longtail.errors import InputError
from longtail.files.images.checks import check_images
from longtail.generated.shapes import write_shapes
from longtail.metrics.detection import average_precision

CATEGORIES = {7: "ant", 2: "bee", 5: "cat"}  # in the order of their ids: bee, cat, ant
# What twelve images of 24 x 16 pixels show: the category ids of their instances.
ROWS = [[2, 2, 2], [2], [2, 5], [2], [], [2, 2], [2], [2, 5], [2], [2], [7, 2, 5], [2]]
OPTIONS: dict[str, Any] = {"num_workers": 0, "view": MultiScale([16, 24], 64)}


def content(rows: Sequence[Sequence[int]], folder: str = "", crowd: Sequence[int] = (), **more: Any) -> dict[str, Any]:
    """A file in COCO's format: image i has the id 10 + i; the annotations with ids in ``crowd`` are crowds."""
    images = [
        {"id": 10 + i, "file_name": f"{folder}{i}.png", "width": 24, "height": 16, **more} for i in range(len(rows))
    ]
    annotations: list[dict[str, Any]] = []
    for i, categories in enumerate(rows):
        for place, category in enumerate(categories):
            number, x = len(annotations), 2 + 5 * place
            annotation = {"id": number, "image_id": 10 + i, "category_id": category, "bbox": [x, 3, 6, 8], "area": 48}
            annotation |= {"iscrowd": int(number in crowd), "segmentation": [[x, 3, x + 6, 3, x + 6, 11, x, 11]]}
            annotations.append(annotation)
    categories = [{"id": number, "name": name} for number, name in CATEGORIES.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def write(file: Path, folder: Path, content: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    random = np.random.default_rng(len(content["images"]))
    for image in content["images"]:
        path = folder / image.get("file_name", "/".join(image.get("coco_url", "").split("/")[-2:]))
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (image["height"], image["width"], 3), dtype=np.uint8)).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A set of training images alone."""
    write(tmp_path / "set" / "instances_train.json", tmp_path / "set" / "train", content(ROWS))
    return tmp_path / "set"


@pytest.mark.parametrize(
    ("train", "val", "train_folder", "val_folder"),
    [
        ("annotations/instances_train2017.json", "annotations/instances_val2017.json", "train2017", "val2017"),
        ("instances_train.json", "instances_val.json", "train", "val"),
        ("instances_train.json", "annotations/instances_val.json", ".", "."),
    ],
)
def test_files_and_folders_of_coco_are_found(
    train: str, val: str, train_folder: str, val_folder: str, tmp_path: Path
) -> None:
    write(tmp_path / train, tmp_path / train_folder, content(ROWS, "a/"))
    write(tmp_path / val, tmp_path / val_folder, content([[5], [2, 7]], "b/"))
    data = COCO(tmp_path, **OPTIONS)
    assert data.classes == ["bee", "cat", "ant"]
    assert data.input == {"category_ids": [2, 5, 7]}
    assert [len(data.splits.train), len(data.splits.val or ""), data.splits.test] == [12, 2, None]
    assert data.splits.val is not None
    assert data.splits.val.targets.tolist() == [1, 0, 2]
    assert np.array_equal(data.picture("val", 1), Image.open(tmp_path / val_folder / "b/1.png"))


def test_files_can_be_given(root: Path, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere.json", root, content([[5]], "b/"))
    data = COCO(root, val=tmp_path / "elsewhere.json", test=tmp_path / "elsewhere.json", **OPTIONS)
    assert [len(split or "") for split in (data.splits.train, data.splits.val, data.splits.test)] == [12, 1, 1]


def other_size(root: Path) -> None:
    Image.new("RGB", (16, 24)).save(root / "train" / "3.png")


def other_categories(root: Path) -> None:
    val = content([[2]])
    next(category for category in val["categories"] if category["id"] == 2)["name"] = "wasp"
    write(root / "instances_val.json", root / "val", val)


def only_crowds(root: Path) -> None:
    (root / "instances_train.json").write_text(json.dumps(content([[2], [5], []], crowd=(0, 1))))


def bad_box(root: Path) -> None:
    train = content(ROWS)
    train["annotations"][1]["bbox"] = [3, 3, 0, 4]
    (root / "instances_train.json").write_text(json.dumps(train))


@pytest.mark.parametrize(
    ("spoil", "options", "message"),
    [
        (
            lambda root: (root / "instances_train_b.json").touch(),
            {},
            r"several files for train, .*give --data\.train FILE",
        ),
        (
            lambda root: (root / "instances_train.json").unlink(),
            {},
            r"has no annotations/instances_train\*",
        ),
        (lambda root: root.rename(root.parent / "other"), {}, r"^no folder at .*set$"),
        (lambda root: None, {"val": Path("none.json")}, r"none\.json: cannot read it"),
        (other_categories, {}, r"instances_val\.json has classes that training lacks: wasp;"),
        (lambda root: (root / "train" / "3.png").unlink(), {}, r"no such file: .*3\.png; 1 of 12 images are missing"),
        (
            other_size,
            {"batch_size": 1, "check_images": False},
            r"3\.png is 16 x 24 pixels, .*instances_train\.json says 24 x 16",
        ),
        (
            only_crowds,
            {"val_fraction": 0},
            r"no instance to train on: all 2 annotations are crowds \(iscrowd 1\); set it",
        ),
        (lambda root: (root / "instances_train.json").write_text(json.dumps(content([[], []]))), {}, "to train on$"),
        (bad_box, {}, r"annotation 1 has a box without area.*--data\.skip_bad_annotations true"),
        (lambda root: None, {"batch_size": 40}, r"batch_size 40 is larger than the training set of 11 images"),
        (lambda root: None, {"val_fraction": 1.0}, r"val_fraction must be in \[0, 1\), got 1\.0"),
        (lambda root: None, {"batch_size": 0}, r"batch_size must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line(
    spoil: Callable[[Path], object], options: dict[str, Any], message: str, root: Path
) -> None:
    spoil(root)
    with pytest.raises(InputError, match=message) as error:
        list(COCO(root, **OPTIONS | options).train_dataloader())
    assert "\n" not in str(error.value)


def test_bad_annotations_are_left_out_on_request(root: Path, log: pytest.LogCaptureFixture) -> None:
    bad_box(root)
    data = COCO(root, val_fraction=0, skip_bad_annotations=True, **OPTIONS)
    assert data.instance_counts == [13, 3, 1]
    assert "left out 1 of 18 annotations: annotation 1 has a box without area" in log.text


def test_images_are_held_out_where_there_is_no_file(root: Path) -> None:
    def ids(**options: Any) -> list[list[int]]:
        data = COCO(root, val_fraction=0.25, **OPTIONS, **options)
        assert data.splits.val is not None
        assert len(data.splits.val) == 3
        return [data.parts[name].image_ids.tolist() for name in ("train", "val")]

    assert ids() == ids()
    assert len({str(ids(split_seed=seed)) for seed in range(4)}) > 1
    train, val = ids(split_seed=3)
    assert sorted(train + val) == list(range(10, 22))
    assert COCO(root, val_fraction=0, **OPTIONS).splits.val is None


def set_places(root: Path, split: str, places: Sequence[object]) -> None:
    """Give the images of a file a location each."""
    file = root / f"instances_{split}.json"
    whole = json.loads(file.read_text())
    for image, place in zip(whole["images"], places, strict=True):
        image |= {"location": place, "seq_id": f"s{image['id'] // 2}"}
    file.write_text(json.dumps(whole))


PLACES = ["26", "26", "26", 33, 33, 33, 40, 40, 40, 51, 51, None]


def test_images_of_one_place_stay_together(root: Path, log: pytest.LogCaptureFixture) -> None:
    set_places(root, "train", PLACES)
    data = COCO(root, val_fraction=0.25, group="location", **OPTIONS)
    sides = [{PLACES[id - 10] for id in data.parts[name].image_ids.tolist()} for name in ("train", "val")]
    assert sides[1]
    assert not sides[0] & sides[1]
    assert "kept" in log.text
    assert "--data.group location keeps" not in log.text
    _ = COCO(root, group=r"(\d)\.png", **OPTIONS).splits
    with pytest.raises(InputError) as error:
        _ = COCO(root, group="place", **OPTIONS).splits
    fields = "file_name, height, id, location, seq_id, width"
    file = root / "instances_train.json"
    assert str(error.value) == f"{file}: no image has a place, they have {fields}: give one as --data.group"
    _ = COCO(root, **OPTIONS).splits
    assert "images have location, seq_id: --data.group location keeps those of one on one side of a split" in log.text


def test_places_of_training_and_validation_images_are_told(root: Path, log: pytest.LogCaptureFixture) -> None:
    set_places(root, "train", PLACES)
    write(root / "instances_val.json", root / "val", content([[2], [5], [2]]))
    set_places(root, "val", [26, 26, 99])
    _ = COCO(root, group="location", **OPTIONS).splits
    assert "val has 2 images of 1 group that training images have too: 26" in log.text


def test_a_part_has_the_labels_and_the_truth_of_its_images(root: Path) -> None:
    data = COCO(root, val_fraction=0.5, **OPTIONS)
    for name in ("train", "val"):
        split, part = data.split(name), data.parts[name]
        assert split is not None
        rows = [ROWS[number - 10] for number in part.image_ids.tolist()]
        expected = [(row, [2, 5, 7].index(category)) for row, categories in enumerate(rows) for category in categories]
        assert split.owners is not None
        assert list(zip(split.owners.tolist(), split.targets.tolist(), strict=True)) == expected
        truth = part.truth(masks=False)
        assert [image["id"] for image in truth["images"]] == sorted(part.image_ids.tolist())
        assert [annotation["category_id"] for annotation in truth["annotations"]] == [
            c for categories in rows for c in categories
        ]
        assert "segmentation" not in truth["annotations"][0]
        assert "segmentation" in part.truth(masks=True)["annotations"][0]


def test_counts_are_of_instances_and_of_images(root: Path) -> None:
    data = COCO(root, val_fraction=0, **OPTIONS)
    assert data.instance_counts == [14, 3, 1]
    assert data.image_counts == [11, 3, 1]


def test_classes_without_instances_are_told_in_one_line_and_kept(root: Path, log: pytest.LogCaptureFixture) -> None:
    (root / "instances_train.json").write_text(json.dumps(content([[2], [], [2]])))
    data = COCO(root, val_fraction=0, **OPTIONS)
    assert (data.classes, data.instance_counts, data.image_counts) == (["bee", "cat", "ant"], [2, 0, 0], [2, 0, 0])
    messages = [record.message for record in log.records if "training instance" in record.message]
    assert messages == ["2 of 3 classes have no training instance and will not be found: cat, ant"]


def test_crowds_are_not_trained_on_but_are_in_the_truth(root: Path) -> None:
    (root / "instances_train.json").write_text(json.dumps(content(ROWS, crowd=(1, 3))))
    data = COCO(root, val_fraction=0, **OPTIONS)
    assert data.instance_counts == [12, 3, 1]
    lengths = {row: len(data.splits.train.images[row, 0]["target"]["labels"]) for row in range(3)}
    assert lengths == {0: 2, 1: 0, 2: 2}
    crowds = [entry["id"] for entry in data.parts["train"].truth(masks=True)["annotations"] if entry["iscrowd"]]
    assert crowds == [1, 3]


def test_crowds_are_told(root: Path, log: pytest.LogCaptureFixture) -> None:
    (root / "instances_train.json").write_text(json.dumps(content(ROWS, crowd=(1, 3))))
    _ = COCO(root, **OPTIONS).splits
    lines = [line for line in log.messages if "are crowds" in line]
    file = root / "instances_train.json"
    assert lines == [
        f"{file}: 2 of 18 annotations are crowds (iscrowd 1): not trained on, and neither right nor wrong in the "
        "evaluation, as COCO counts"
    ]


def test_crowds_are_scored_as_pycocotools_scores_the_file(root: Path) -> None:
    api = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    file = root / "instances_train.json"
    labels = content(ROWS, crowd=(1, 5, 17))
    for annotation in labels["annotations"]:
        annotation["id"] += 1  # pycocotools takes an object of the id 0 for none
    file.write_text(json.dumps(labels))
    data = COCO(root, val_fraction=0, **OPTIONS)
    random = np.random.default_rng(0)
    detections = []
    for annotation in labels["annotations"]:  # near every object and every crowd, some of another class
        for _ in range(2):
            box = (np.array(annotation["bbox"]) + random.uniform(-1.5, 1.5, 4)).tolist()
            category = annotation["category_id"] if random.random() < 0.7 else int(random.choice([*CATEGORIES]))
            image, score = annotation["image_id"], float(random.random())
            detections.append({"image_id": image, "category_id": category, "score": score, "bbox": box})
    ours = average_precision(data.truth("train", masks=False), detections, "bbox")
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        truth = api.COCO(str(file))
        evaluation = cocoeval.COCOeval(truth, truth.loadRes([dict(detection) for detection in detections]), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert 0.05 < ours.ap < 0.95
    assert ours.ap == pytest.approx(evaluation.stats[0], abs=1e-9)
    assert ours.ap50 == pytest.approx(evaluation.stats[1], abs=1e-9)
    objects = average_precision(
        {
            **data.truth("train", masks=False),
            "annotations": [{**entry, "iscrowd": 0} for entry in data.truth("train", masks=False)["annotations"]],
        },
        detections,
        "bbox",
    )
    assert objects.ap != pytest.approx(ours.ap, abs=1e-3), "the crowds make a difference here"


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_check_finds_an_image_of_another_size_in_its_header(split: str, root: Path) -> None:
    write(root / "instances_val.json", root / "val", content([[2], [5], [7], [2]]))
    Image.new("RGB", (16, 24)).save(root / split / "3.png")
    with pytest.raises(InputError, match=rf"{split}/3\.png: is 16 x 24 pixels, not 24 x 16; repair it or its entry"):
        _ = COCO(root, **OPTIONS).splits


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_sizes_are_those_of_upright_images(suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (24, 16)).save(path, exif=exif)
    assert check_images([str(path)], sizes=[(16, 24)]) == []
    with Image.open(path) as image:  # some Pillows have the upright size of a TIFF
        note = "" if image.size == (16, 24) else " once its EXIF orientation is applied"
    reason = f"is 16 x 24 pixels{note}, not 24 x 16"
    assert check_images([str(path)], sizes=[(24, 16)]) == [(str(path), reason)]


def test_lvis_tells_what_is_absent(tmp_path: Path) -> None:
    for split, rows in (("train", ROWS), ("val", [[2], [5, 7]])):
        labels = content(rows, neg_category_ids=[7], not_exhaustive_category_ids=[2])
        for image in labels["images"]:
            image["coco_url"] = f"http://images.cocodataset.org/{split}2017/{image.pop('file_name')}"
        labels["images"][1] |= {"neg_category_ids": [], "not_exhaustive_category_ids": [5, 2]}
        for category, frequency in zip(labels["categories"], "rfc", strict=True):
            category["frequency"] = frequency
        write(tmp_path / "annotations" / f"lvis_v1_{split}.json", tmp_path, labels)
    data = LVIS(tmp_path, **OPTIONS)
    assert data.instance_counts == [14, 3, 1]
    assert data.parts["val"].path(1) == str(tmp_path / "val2017" / "1.png")
    truth = data.parts["val"].truth(masks=False)
    names = ("neg_category_ids", "not_exhaustive_category_ids")
    assert [[image[name] for name in names] for image in truth["images"]] == [[[7], [2]], [[], [5, 2]]]
    assert [category["frequency"] for category in truth["categories"]] == ["f", "c", "r"]
    assert len(list(data.train_dataloader())) == 6

    (tmp_path / "annotations" / "lvis_v1_val.json").rename(tmp_path / "annotations" / "other.json")
    part = LVIS(tmp_path, val_fraction=0.5, **OPTIONS).parts["val"]
    images = [image for image in part.truth(masks=False)["images"] if image["neg_category_ids"] == []]
    assert [image["id"] for image in images] == [number for number in part.image_ids.tolist() if number == 11]


def share_by_difficulty(data: DetectionData) -> list[float]:
    """Images with an instance belong to their hardest class: ant before cat before bee, 0.8 : 0.5 : 0.1."""
    difficulty = ClassDifficulty(3, tau=1)
    difficulty.update([0.9, 0.5, 0.2])
    data.difficulty = difficulty
    shares = {2: 0.1 / 8, 5: 0.5 / 2, 7: 0.8 / 1}  # eight images with bees alone, two with a cat
    hardest = [max(categories, key=[2, 5, 7].index) if categories else 0 for categories in ROWS]
    return [shares.get(category, 0) / 1.4 * 11 for category in hardest]


def share_by_repeat_factor(data: DetectionData) -> list[float]:
    """sqrt(t / f) of the rarest class: f is 1 / 12 for the ant and 3 / 12 for the cat."""
    factors = {7: (0.6 * 12) ** 0.5, 5: (0.6 * 4) ** 0.5}
    return [max([factors.get(category, 1) for category in categories], default=1) for categories in ROWS]


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (DifficultySampling(), share_by_difficulty),
        (RepeatFactorSampling(0.6), share_by_repeat_factor),
        (None, lambda data: [1.0] * 12),
    ],
    ids=["difficulty", "repeat factor", "plain"],
)
def test_images_are_drawn_as_often_as_computed_by_hand(
    sampling: Sampling | None, expected: Callable[[DetectionData], list[float]], root: Path
) -> None:
    data = COCO(root, val_fraction=0, sampling=sampling, batch_size=1, **OPTIONS)
    data.seed = 0
    rates, epochs = np.array(expected(data)), 600
    batches, counts, draws = data.batches("train"), np.zeros(12), []
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        for ((row, draw),) in batches:
            counts[row] += 1
            draws.append(draw)
    assert len(set(draws)) == len(draws), "each time with a draw of its own"
    assert (np.abs(counts / epochs - rates) <= 5 * np.sqrt(rates / epochs)).all()
    assert (counts[rates == 0] == 0).all()
    if sampling is not None:
        assert counts[10] > 1.5 * epochs


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes") / "set"
    write_shapes(folder, train=16, val=4, size=48)
    return folder


@pytest.mark.parametrize("view", [MultiScale([48, 64], 80), LargeScaleJitter(56, (0.5, 2.0))], ids=["scale", "jitter"])
@pytest.mark.parametrize("masks", [True, False], ids=["masks", "boxes"])
def test_batches_hold_what_is_documented(shapes: Path, masks: bool, view: Any) -> None:
    data = COCO(shapes, masks=masks, view=view, batch_size=3, num_workers=0)
    annotations = json.loads((shapes / "annotations" / "instances_train.json").read_text())["annotations"]
    counts = Counter(annotation["category_id"] for annotation in annotations)
    assert data.instance_counts == [counts[number] for number in data.input["category_ids"]]
    batches = list(data.train_dataloader())
    assert [len(batch["images"]) for batch in batches] == [3] * 5, "no batch of a single image"
    assert len({row for batch in batches for row in batch["rows"].tolist()}) == 15
    for batch in batches:
        assert batch.keys() == {"images", "targets", "rows"}
        for image, target in zip(batch["images"], batch["targets"], strict=True):
            height, width = image.shape[1:]
            assert (image.shape[0], image.dtype) == (3, torch.uint8)
            n = len(target["labels"])
            assert target.keys() == {"boxes", "labels", "masks"} if masks else {"boxes", "labels"}
            assert (target["boxes"].shape, target["boxes"].dtype) == ((n, 4), torch.float32)
            assert (target["boxes"][:, 2:] > target["boxes"][:, :2]).all()
            assert (target["boxes"] <= torch.tensor([width, height] * 2)).all()
            assert (target["labels"].shape, target["labels"].dtype) == ((n,), torch.int64)
            if masks:
                assert (target["masks"].shape, target["masks"].dtype) == ((n, height, width), torch.uint8)
    lengths = [len(target["labels"]) for batch in batches for target in batch["targets"]]
    assert min(lengths) == 0, "images without shapes stay"

    (first, second) = data.val_dataloader()
    assert torch.cat([first["rows"], second["rows"]]).tolist() == [0, 1, 2, 3]
    for image, target in zip(first["images"], first["targets"], strict=True):
        assert image.shape == (3, 48, 48)
        assert target.keys() == {"boxes", "labels"}
    assert np.array_equal(first["images"][1].permute(1, 2, 0), data.picture("val", 1))
    part = data.parts["val"]
    truth = [entry for entry in part.truth(masks=False)["annotations"] if entry["image_id"] == part.image_ids[1]]
    x, y, width, height = np.array([annotation["bbox"] for annotation in truth]).T
    assert first["targets"][1]["boxes"].tolist() == np.stack([x, y, x + width, y + height], 1).tolist()
    assert data.test_dataloader() == []


def test_boxes_fit_the_masks_of_their_image(shapes: Path) -> None:
    data = COCO(shapes, view=MultiScale([48], flip=0), num_workers=0)
    images = data.splits.train.images
    count = 0
    for row in range(16):
        target = images[row, 0]["target"]
        for (x1, y1, x2, y2), mask in zip(target["boxes"].tolist(), target["masks"], strict=True):
            rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert np.abs(np.array(box) - [x1, y1, x2, y2]).max() <= 1
            count += 1
    assert count == sum(data.instance_counts)


def images_of(data: DetectionData) -> Iterator[torch.Tensor]:
    for batch in data.train_dataloader():
        yield from batch["images"]


def test_the_same_row_and_draw_give_the_same_image(shapes: Path) -> None:
    data = COCO(shapes, num_workers=0, view=MultiScale([48, 56, 64]))
    images = data.splits.train.images
    first, copy, pictures = images[3, 99], images[3, 99], [images[3, draw]["image"] for draw in range(8)]
    assert torch.equal(first["image"], copy["image"])
    assert all(torch.equal(value, copy["target"][name]) for name, value in first["target"].items())
    assert len({tuple(picture.shape) for picture in pictures}) == 3
    twin = COCO(shapes, num_workers=1, view=MultiScale([48, 56, 64]))
    twin.seed = data.seed
    assert all(torch.equal(*pair) for pair in zip(images_of(data), images_of(twin), strict=True))


def test_the_validation_file_can_be_the_test(tmp_path):
    folder = tmp_path / "shapes"
    write_shapes(folder, train=20, val=8, size=64)
    data = COCO(folder, masks=False, val_as_test=True, val_fraction=0.25, num_workers=0)
    lengths = {name: len(part.rows) for name, part in data.parts.items()}
    assert lengths == {"train": 15, "val": 5, "test": 8}
    assert data.parts["test"].annotations.file.name == "instances_val.json"
    with pytest.raises(InputError, match="val_as_test"):
        COCO(folder, val_as_test=True, test=tmp_path / "other.json")
