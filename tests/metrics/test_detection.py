"""Average precision against the packages pycocotools and lvis, against closed forms, and what it does with nothing."""

import contextlib
import io
import math
import sys
import warnings
from collections.abc import Sequence
from copy import deepcopy
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from longtail.errors import InputError
from longtail.files.coco.results import coco_results, decode
from longtail.metrics.detection import AveragePrecision, FloatArray, average_precision, group_ap
from longtail.metrics.detections import Detections, Kind

Entry = dict[str, Any]
Scene = tuple[Entry, list[Entry]]

HEIGHT, WIDTH = 130, 110
COUNTS = {"f": 101, "c": 11, "r": 10}  # training images of a class on the edge of its group

kinds = pytest.mark.parametrize("kind", ["bbox", "segm"])
seeds = pytest.mark.parametrize("seed", range(4))


def package(name: str) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: ModuleType = pytest.importorskip(name)
    return module


def encoded(mask: NDArray[np.uint8], text: bool = False) -> Entry:
    from faster_coco_eval.core.mask import encode

    rle: Entry = encode(np.asfortranarray(mask))
    return {**rle, "counts": rle["counts"].decode()} if text else rle


def outline(kind: Kind, box: Sequence[float], random: np.random.Generator) -> Entry:
    """What an annotation or a detection says of its shape; a mask is the box, or every other line of it."""
    if kind == "bbox":
        return {"bbox": [float(value) for value in box]}
    x, y, width, height = (round(value) for value in box)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[max(y, 0) : max(y + height, 0) : random.integers(1, 3), max(x, 0) : max(x + width, 0)] = 1
    return {"segmentation": encoded(mask, text=bool(random.integers(2)))}


def scene(seed: int, kind: Kind, images: int = 5, classes: int = 6) -> Scene:
    """A data set and detections, in no order: tied scores, crowds, things without area, a class without objects."""
    random = np.random.default_rng(seed)
    image_ids = (random.permutation(images) * 7).tolist()
    class_ids = (random.permutation(classes) * 3).tolist()
    truth: Entry = {"images": [], "annotations": []}
    truth["categories"] = [
        {"id": number, "name": str(number), "frequency": "rcf"[place % 3]} for place, number in enumerate(class_ids)
    ]
    detections: list[Entry] = []

    def detect(image: int, category: int, box: Sequence[float]) -> None:
        shape = outline(kind, box, random)
        detections.append({"image_id": image, "category_id": category, "score": random.integers(10) / 10, **shape})

    for image in image_ids:
        positives = [number for number in class_ids[1:] if random.random() < 0.6]
        negative = [number for number in class_ids if number not in positives and random.random() < 0.6]
        lists = {"neg_category_ids": negative, "not_exhaustive_category_ids": positives[:: random.integers(1, 4)]}
        truth["images"].append({"id": image, "height": HEIGHT, "width": WIDTH, **lists})
        for category in np.repeat(positives, random.integers(1, 5, len(positives))).tolist():
            sides = random.choice([8, 20, 32, 45, 96, 105], 2)
            box = np.concatenate([random.integers(0, 30, 2), sides])
            annotation = {"id": len(truth["annotations"]) + 1, "image_id": image, "category_id": category}
            annotation |= {"area": float(sides.prod() * (random.random() > 0.1)), "iscrowd": int(random.random() < 0.1)}
            annotation |= {"ignore": int(random.random() < 0.1)}
            truth["annotations"].append({**annotation, **outline(kind, box, random)})
            for _ in range(random.integers(4)):
                detection = box + np.round(random.normal(0, 0.1, 4) * np.tile(sides, 2))
                detect(image, category, np.maximum(detection, 0))
        for category in random.choice([*class_ids, 99], 15).tolist():  # 99 is no class
            detect(image, category, random.integers(0, 60, 4))
    random.shuffle(truth["annotations"])
    random.shuffle(detections)
    return truth, detections


def of_pycocotools(truth: Entry, detections: list[Entry], kind: Kind, limit: int) -> FloatArray:
    """Precision (10, 101, C, 4), -1 where there is nothing to find."""
    package("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = deepcopy(truth)
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(deepcopy(detections)), kind)
        evaluation.params.maxDets = [limit]
        evaluation.evaluate()
        evaluation.accumulate()
    precision: FloatArray = evaluation.eval["precision"][..., 0]
    return precision


def of_lvis(truth: Entry, detections: list[Entry], kind: Kind, limit: int) -> tuple[FloatArray, dict[str, float]]:
    """Precision (10, 101, C, 4), -1 where there is nothing to find, and the figures by name."""
    lvis = package("lvis")

    class FromMemory(lvis.LVIS):  # type: ignore[misc, name-defined]
        def _load_json(self, path: Entry) -> Entry:
            return path

    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # logging's old name of a warning
        patch.setattr(np, "float", float, raising=False)  # numpy's old name of it
        data = FromMemory(deepcopy(truth))
        results = lvis.LVISResults(data, deepcopy(detections), max_dets=limit)
        evaluation = lvis.LVISEval(data, results, kind)
        evaluation.run()
    return evaluation.eval["precision"], {name: float(value) for name, value in evaluation.results.items()}


def mean(precision: FloatArray) -> float:
    precision = precision[precision > -1]
    return float(precision.mean()) if precision.size else math.nan


def check(figures: AveragePrecision, precision: FloatArray) -> None:
    """Compare every figure with those of a precision (10, 101, C, 4)."""
    reference = {
        "ap": mean(precision[..., 0]),
        "ap50": mean(precision[0, ..., 0]),
        "ap75": mean(precision[5, ..., 0]),
        "ap_small_area": mean(precision[..., 1]),
        "ap_medium_area": mean(precision[..., 2]),
        "ap_large_area": mean(precision[..., 3]),
        "class_ap": [mean(precision[:, :, c, 0]) for c in range(precision.shape[2])],
        "class_ap50": [mean(precision[0, :, c, 0]) for c in range(precision.shape[2])],
    }
    assert list(reference) == list(AveragePrecision.__dataclass_fields__)
    for name, value in reference.items():
        np.testing.assert_allclose(getattr(figures, name), value, atol=1e-6, rtol=0, err_msg=name)


@kinds
@seeds
@pytest.mark.parametrize("limit", [100, 2])
def test_coco_figures_are_those_of_pycocotools(kind: Kind, seed: int, limit: int) -> None:
    truth, detections = scene(seed, kind)
    check(
        average_precision(truth, detections, kind, max_detections=limit), of_pycocotools(truth, detections, kind, limit)
    )


@kinds
@seeds
@pytest.mark.parametrize("limit", [300, 9])
def test_federated_figures_are_those_of_lvis(kind: Kind, seed: int, limit: int) -> None:
    truth, detections = scene(seed, kind)
    result = average_precision(truth, detections, kind, federated=True, max_detections=limit)
    precision, figures = of_lvis(truth, detections, kind, limit)
    check(result, precision)
    categories = sorted(truth["categories"], key=lambda category: category["id"])
    groups = group_ap(result.class_ap, [COUNTS[category["frequency"]] for category in categories])
    for name, group in {"APf": "many", "APc": "medium", "APr": "few"}.items():
        value = math.nan if figures[name] == -1 else figures[name]
        assert groups[group] == pytest.approx(value, abs=1e-6, nan_ok=True), name


@kinds
@pytest.mark.parametrize("federated", [False, True])
def test_arrays_in_parts_measure_as_the_results_do(kind: Kind, federated: bool) -> None:
    """As the processes send them: one of them found nothing."""
    truth, detections = scene(3, kind)
    parts = [Detections.of(part, kind) for part in (detections[:7], [], detections[7:])]
    backwards = np.arange(len(detections))[::-1]
    arrays = Detections.cat(parts).take(backwards).take(backwards)
    assert arrays.shapes(kind) == Detections.of(detections, kind).shapes(kind)
    ours, theirs = (average_precision(truth, results, kind, federated) for results in (arrays, detections))
    np.testing.assert_array_equal(ours.class_ap, theirs.class_ap)
    assert ours.ap == theirs.ap
    with pytest.raises(ValueError, match="the detections have no"):
        arrays.shapes("segm" if kind == "bbox" else "bbox")


@kinds
@pytest.mark.parametrize("number", [1, 2, 3])
def test_parts_one_after_another_are_the_whole(kind: Kind, number: int) -> None:
    _, detections = scene(3, kind)
    size = -(-len(detections) // number)
    parts = [detections[start : start + size] for start in range(0, len(detections), size)]
    assert len(parts) == number
    arrays, whole = Detections.cat([Detections.of(part, kind) for part in parts]), Detections.of(detections, kind)
    assert arrays.shapes(kind) == whole.shapes(kind)
    for name in ("images", "categories", "scores"):
        np.testing.assert_array_equal(getattr(arrays, name), getattr(whole, name))


def test_polygons_are_masks_too() -> None:
    truth, detections = scene(0, "segm")
    for annotation in truth["annotations"]:
        x, y = np.random.default_rng(annotation["id"]).integers(0, 50, 2).tolist()
        annotation |= {"segmentation": [[x, y, x + 40, y, x + 20, y + 40]], "iscrowd": 0}
    check(average_precision(truth, detections, "segm"), of_pycocotools(truth, detections, "segm", 100))


@kinds
@pytest.mark.parametrize("federated", [False, True])
def test_inputs_are_as_before_and_nothing_is_printed(
    kind: Kind, federated: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    truth, detections = scene(0, kind)
    before = deepcopy((truth, detections))
    average_precision(truth, detections, kind, federated)
    assert (truth, detections) == before
    assert capfd.readouterr() == ("", "")


def data(*annotations: Entry, classes: int = 2, images: int = 2, **lists: list[int]) -> Entry:
    """A small data set: images and classes 1, 2, ...; ``lists`` are the lists of classes of every image."""
    lists = {"neg_category_ids": [], "not_exhaustive_category_ids": [], **lists}
    return {
        "images": [{"id": n + 1, "height": HEIGHT, "width": WIDTH, **lists} for n in range(images)],
        "categories": [{"id": n + 1, "name": str(n + 1)} for n in range(classes)],
        "annotations": list(annotations),
    }


def thing(image: int = 1, category: int = 1, box: Sequence[float] = (0, 0, 10, 10), **fields: Any) -> Entry:
    entry = {"id": 1, "image_id": image, "category_id": category, "bbox": list(box), "area": box[2] * box[3]}
    return {**entry, "iscrowd": 0, **fields}


def guess(score: float = 0.5, image: int = 1, category: int = 1, box: Sequence[float] = (0, 0, 10, 10)) -> Entry:
    return {"image_id": image, "category_id": category, "bbox": list(box), "score": score}


AWAY = (50, 50, 10, 10)


@kinds
@pytest.mark.parametrize("federated", [False, True])
def test_a_perfect_detector(kind: Kind, federated: bool) -> None:
    truth, _ = scene(1, kind)
    truth["annotations"] = [{**entry, "iscrowd": 0, "ignore": 0} for entry in truth["annotations"] if entry["area"]]
    shape = {"bbox": "bbox", "segm": "segmentation"}[kind]
    keys = ("image_id", "category_id", shape)
    perfect = [{key: annotation[key] for key in keys} | {"score": 1.0} for annotation in truth["annotations"]]
    figures = average_precision(truth, perfect, kind, federated)
    present = {annotation["category_id"] for annotation in truth["annotations"]}
    expected = [
        1.0 if number in present else math.nan for number in sorted(category["id"] for category in truth["categories"])
    ]
    assert figures.ap == figures.ap50 == figures.ap75 == 1
    np.testing.assert_array_equal(figures.class_ap, expected)
    np.testing.assert_array_equal(figures.class_ap50, expected)


def test_closed_forms() -> None:
    def ap(*detections: Entry, **options: Any) -> float:
        return average_precision(data(thing(), thing(2, id=2)), detections, "bbox", **options).ap

    hit, partner = guess(0.5), guess(0.4, image=2)
    assert ap(hit, partner) == 1
    assert ap(hit) == pytest.approx(51 / 101), "precision 1 at the recalls 0, 0.01, ..., 0.5"
    assert ap(hit, partner, guess(0.6, box=AWAY)) == pytest.approx(2 / 3), "the best precision from there on"
    assert ap(hit, guess(0.45), partner) == pytest.approx((51 + 50 * 2 / 3) / 101), "found twice is wrong once"
    assert ap(hit, guess(0.6, box=AWAY), max_detections=1) == 0
    assert ap(hit, guess(0.6, category=2), max_detections=1) == pytest.approx(51 / 101), "by class"
    assert ap(hit, guess(0.6, category=2), max_detections=1, federated=True) == 0, "over all classes"


def test_thresholds_and_areas() -> None:
    truth = data(thing(box=(0, 0, 10, 10)), thing(category=2, box=(0, 0, 50, 50), id=2))
    detections = [guess(box=(0, 0, 10, 7.2)), guess(category=2, box=(0, 0, 50, 50))]
    figures = average_precision(truth, detections, "bbox")
    np.testing.assert_allclose(figures.class_ap, [0.5, 1])
    np.testing.assert_allclose(figures.class_ap50, [1, 1])
    assert (figures.ap, figures.ap50, figures.ap75) == pytest.approx((0.75, 1, 0.5))
    assert (figures.ap_small_area, figures.ap_medium_area) == pytest.approx((0.5, 1))
    assert math.isnan(figures.ap_large_area)


@pytest.mark.parametrize(("federated", "limit"), [(False, 100), (True, 300)])
def test_default_limits(federated: bool, limit: int) -> None:
    misses = [guess(0.9, box=AWAY)] * (limit - 1)
    assert average_precision(data(thing()), [*misses, guess(0.1)], "bbox", federated).ap == pytest.approx(1 / limit)
    assert average_precision(data(thing()), [*misses, misses[0], guess(0.1)], "bbox", federated).ap == 0


def test_classes_that_an_image_does_not_judge() -> None:
    miss = guess(0.9, image=2, box=AWAY)
    assert average_precision(data(thing()), [miss, guess()], "bbox").ap == 0.5
    assert average_precision(data(thing()), [miss, guess()], "bbox", federated=True).ap == 1, "left out"
    assert average_precision(data(thing(), neg_category_ids=[1]), [miss, guess()], "bbox", federated=True).ap == 0.5
    open_ended = data(thing(), not_exhaustive_category_ids=[1])
    assert average_precision(open_ended, [guess(0.9, box=AWAY), guess()], "bbox", federated=True).ap == 1
    assert average_precision(open_ended, [guess(0.9, box=AWAY), guess()], "bbox").ap == 0.5


def test_crowds() -> None:
    truth = data(thing(), thing(id=2, box=(40, 40, 50, 50), iscrowd=1))
    detections = [guess(0.9, box=AWAY), guess(0.9, box=AWAY), guess()]
    assert average_precision(truth, detections, "bbox").ap == 1
    assert average_precision(truth, detections, "bbox", federated=True).ap < 0.5, "LVIS has none"
    assert math.isnan(average_precision(data(thing(iscrowd=1)), detections, "bbox").ap)


def test_the_area_of_a_detected_mask_is_its_own() -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:8, :8] = 1
    truth = data(thing(segmentation=encoded(mask), area=64))
    away = {**guess(0.9, box=(0, 0, 100, 100)), "segmentation": encoded(mask[::-1, ::-1])}
    right = {**guess(), "segmentation": encoded(mask)}
    assert average_precision(truth, [away, right], "segm").ap_small_area == 0.5, "wrong, and small"


def test_what_numbers_and_boxes_may_be() -> None:
    truth, detections = scene(2, "bbox")
    variants: list[Entry] = [
        {**entry, "bbox": tuple(np.float32(value) for value in entry["bbox"]), "image_id": np.int64(entry["image_id"])}
        for entry in detections
    ]
    assert average_precision(truth, variants, "bbox").ap == average_precision(truth, detections, "bbox").ap


def test_an_annotation_with_the_number_0() -> None:
    assert average_precision(data(thing(id=0)), [guess()], "bbox").ap == 1


@kinds
@pytest.mark.parametrize("federated", [False, True])
def test_nothing_found(kind: Kind, federated: bool) -> None:
    figures = average_precision(data(thing(segmentation=encoded(np.eye(9, dtype=np.uint8)))), [], kind, federated)
    assert (figures.ap, figures.ap50, figures.ap75, figures.ap_small_area) == (0, 0, 0, 0)
    assert math.isnan(figures.ap_medium_area)
    np.testing.assert_array_equal(figures.class_ap, [0, math.nan])


@kinds
@pytest.mark.parametrize("federated", [False, True])
@pytest.mark.parametrize("hit", [False, True])
def test_nothing_to_find(kind: Kind, federated: bool, hit: bool) -> None:
    detections = [guess() | {"segmentation": encoded(np.eye(9, dtype=np.uint8))}] if hit else []
    figures = average_precision(data(neg_category_ids=[1]), detections, kind, federated)
    for name in ("ap", "ap50", "ap75", "ap_small_area", "ap_medium_area", "ap_large_area"):
        assert math.isnan(getattr(figures, name))
    assert figures.class_ap.shape == figures.class_ap50.shape == (2,)
    assert np.isnan([figures.class_ap, figures.class_ap50]).all()


def test_no_image_and_no_class() -> None:
    figures = average_precision(data(classes=0, images=0), [], "bbox", federated=True)
    assert math.isnan(figures.ap)
    assert figures.class_ap.shape == (0,)


def test_an_unknown_class_is_left_out() -> None:
    truth = data(thing(), thing(id=2, category=77), thing(id=3, image=77))
    assert average_precision(truth, [guess(), guess(0.9, category=77)], "bbox").class_ap[0] == 1


def test_what_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = data(thing())
    with pytest.raises(InputError, match="image_id 77 is not among the images of truth"):
        average_precision(truth, [guess(image=77)], "bbox")
    with pytest.raises(InputError, match="in image 2 is NaN"):
        average_precision(truth, [guess(math.nan, image=2)], "bbox")
    with pytest.raises(ValueError, match='kind must be "bbox" or "segm"'):
        average_precision(truth, [], "keypoints")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_detections must be at least 1"):
        average_precision(truth, [], "bbox", max_detections=0)
    del truth["images"][1]["not_exhaustive_category_ids"]
    with pytest.raises(InputError, match="image 2 has no 'not_exhaustive_category_ids'"):
        average_precision(truth, [], "bbox", federated=True)
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(InputError, match=r'pip install "longtail\[detection\]"'):
        average_precision(truth, [], "bbox")


def test_groups_of_classes() -> None:
    class_ap = np.array([0.2, 0.4, 0.6, math.nan, 0.8, math.nan])
    assert group_ap(class_ap, [101, 500, 100, 50, 11, 10]) == pytest.approx(
        {"many": 0.3, "medium": 0.7, "few": math.nan}, nan_ok=True
    )
    assert group_ap(class_ap, [9, 8, 7, 6, 2, 0], many=7, few=3) == pytest.approx(
        {"many": 0.3, "medium": 0.6, "few": 0.8}
    )
    with pytest.raises(ValueError, match=r"image_counts must have shape \(6,\), got \(2,\)"):
        group_ap(class_ap, [1, 2])
    with pytest.raises(ValueError, match="few must not be above many"):
        group_ap(class_ap, [1] * 6, many=5, few=9)


def test_detections_become_entries_of_coco() -> None:
    masks = torch.tensor([[[[0.4, 0.5], [1.0, 0.0]]], [[[0.0, 0.0], [0.0, 0.6]]]])
    boxes = torch.tensor([[1.0, 2.0, 4.0, 8.0], [0.0, 0.5, 5.0, 1.5]])
    output = {"boxes": boxes, "labels": torch.tensor([1, 0]), "scores": torch.tensor([0.75, 0.25]), "masks": masks}
    first, second = coco_results(output, 12, [7, 9])
    assert decode(first.pop("segmentation")).tolist() == [[0, 1], [1, 0]]
    assert decode(second.pop("segmentation")).tolist() == [[0, 0], [0, 1]]
    assert first == {"image_id": 12, "category_id": 9, "bbox": [1, 2, 3, 6], "score": 0.75}
    assert second == {"image_id": 12, "category_id": 7, "bbox": [0, 0.5, 5, 1], "score": 0.25}
    assert not coco_results({name: value[:0] for name, value in output.items()}, 12, [7, 9])
