import contextlib
import io
import json
import os
import pickle
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

from longtail.errors import InputError
from longtail.files.coco import cache, stream
from longtail.files.coco.annotations import read_annotations
from longtail.files.coco.places import check_files

TRIANGLE = [1.0, 1.0, 6.3, 1.7, 3.1, 5.9]
SQUARE = [7, 2, 9.5, 2, 9.5, 4.5, 7, 4.5]


def annotation(number, image=5, category=3, box=(1, 1, 5, 4), segmentation=(TRIANGLE,), **fields):
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": list(box),
        "segmentation": list(segmentation) if isinstance(segmentation, tuple) else segmentation,
        **fields,
    }


def coco(*annotations):
    """Images 9 (height 8, width 10), 5 and 7, categories 3 "cat" and 1 "dog"."""
    return {
        "info": {"nested": [1, {"a": "}]"}]},
        "images": [{"id": i, "height": 8, "width": 10, "file_name": f"{i}.jpg"} for i in (9, 5, 7)],
        "annotations": list(annotations),
        "categories": [{"id": 3, "name": "cat"}, {"id": 1, "name": "dog"}],
    }


def lvis(*annotations):
    """As ``coco``, with what LVIS has more."""
    content = coco(*annotations)
    for image in content["images"]:
        image["coco_url"] = f"http://images.cocodataset.org/val2017/{image.pop('file_name')}"
        image |= {"neg_category_ids": [3, 1] if image["id"] == 5 else [], "not_exhaustive_category_ids": [1]}
    for category, frequency in zip(content["categories"], "rf", strict=True):
        category["frequency"] = frequency
    return content


@pytest.fixture
def write(tmp_path):
    def write(content):
        file = tmp_path / "a.json"
        file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return file

    return write


def refusal(file, **options):
    with pytest.raises(InputError) as error:
        read_annotations(file, **options)
    message = str(error.value)
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    return message


def same(a, b):
    return pickle.dumps(arrays(a)) == pickle.dumps(arrays(b))


def arrays(annotations):
    fields = {key: value for key, value in vars(annotations).items() if key != "cache"}
    parts = {key: vars(fields.pop(key)) for key in ("absent", "incomplete", "segments") if fields[key] is not None}
    nested = {f"{key}.{name}": value for key, part in parts.items() for name, value in part.items()}
    return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in (fields | nested).items()}


def test_arrays(write):
    entries = [
        annotation(10, 7, 1, area=2.5, iscrowd=1),
        annotation(4, 9, box=(-2.5, 1, 20, 4)),
        annotation(2, 7, box=(0.5, 0.25, 1, 2)),
    ]
    data = read_annotations(write(coco(*entries)))
    assert len(data) == 3
    assert (data.classes, data.frequencies, data.federated) == (["dog", "cat"], None, False)
    assert data.category_ids.tolist() == [1, 3]
    assert (data.image_ids.tolist(), data.file_names) == ([9, 5, 7], ["9.jpg", "5.jpg", "7.jpg"])
    assert data.sizes.tolist() == [[8, 10]] * 3
    assert (data.ids.tolist(), data.images.tolist(), data.labels.tolist()) == ([4, 10, 2], [0, 2, 2], [1, 0, 1])
    assert [data.ids[data.rows(i)].tolist() for i in range(3)] == [[4], [], [10, 2]]
    assert data.boxes.tolist() == [[0, 1, 10, 5], [1, 1, 6, 5], [0.5, 0.25, 1.5, 2.25]]
    assert data.areas.tolist() == [80, 2.5, 2]
    assert data.crowd.tolist() == [False, True, False]
    dtypes = {name: str(getattr(data, name).dtype) for name in ("ids", "images", "labels", "boxes", "areas", "sizes")}
    assert list(dtypes.values()) == ["int64", "int64", "int64", "float32", "float64", "int32"]
    assert data.negatives(0).tolist() == data.not_exhaustive(2).tolist() == []
    assert data.segments is None
    with pytest.raises(ValueError, match="read without masks"):
        data.mask(0)
    assert len(read_annotations(write(coco())).ids) == 0


def test_lvis(write):
    annotations = read_annotations(write(lvis(annotation(1), annotation(2, 9))))
    assert annotations.federated
    assert annotations.frequencies == ["f", "r"]
    assert annotations.file_names[0] == "val2017/9.jpg"
    assert [annotations.negatives(i).tolist() for i in range(3)] == [[], [1, 0], []]
    assert annotations.not_exhaustive(1).tolist() == [0]


@pytest.mark.parametrize("make", [coco, lvis])
def test_truth_gives_back_the_file(write, make):
    content = make(annotation(4, box=(-2.5, 1, 20, 4), area=3.5, iscrowd=0), annotation(2, area=1.0, iscrowd=1))
    truth = read_annotations(write(content), masks=True).truth(masks=True)
    masks = [entry.pop("segmentation") for entry in truth["annotations"]]
    assert all(mask["size"] == [8, 10] and isinstance(mask["counts"], bytes) for mask in masks)
    for entry in content["annotations"]:
        del entry["segmentation"]
    for entry in content["images"]:
        entry.pop("file_name", None), entry.pop("coco_url", None)
    content["categories"].reverse()
    del content["info"]
    assert truth == content


def run_lengths(mask, compressed):
    """As in a JSON file, with the counts as text or as a list."""
    if compressed:
        codec = pytest.importorskip("pycocotools.mask")
        rle = codec.encode(np.asfortranarray(mask))
        return {"size": rle["size"], "counts": rle["counts"].decode()}
    flat = mask.flatten(order="F").tolist()
    counts, value = [0], 0
    for bit in flat:
        if bit != value:
            counts.append(0)
            value = bit
        counts[-1] += 1
    return {"size": list(mask.shape), "counts": counts}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_masks_are_those_of_pycocotools(write):
    coco_api = pytest.importorskip("pycocotools.coco")
    random = np.random.default_rng(0)
    shapes = [(TRIANGLE,), (TRIANGLE, SQUARE), ([-3, -3, 30, 2, 0.1, 7.7],), ([0.3, 0.7, 9.1, 0.7, 4.3, 7.9],)]
    shapes += [(random.uniform(-1, 11, 12).round(2).tolist(),) for _ in range(20)]
    masks = [random.integers(0, 2, (8, 10), dtype=np.uint8) for _ in range(20)]
    masks += [np.zeros((8, 10), np.uint8), np.ones((8, 10), np.uint8)]
    shapes += [run_lengths(mask, compressed) for mask in masks for compressed in (True, False)]
    entries = [annotation(i, (5, 7, 9)[i % 3], segmentation=shape, iscrowd=1) for i, shape in enumerate(shapes)]
    file = write(coco(*entries))
    with contextlib.redirect_stdout(io.StringIO()):
        reference = coco_api.COCO(str(file))
    data = read_annotations(file, masks=True)
    assert data.segments is not None
    for k, number in enumerate(data.ids.tolist()):
        mask = data.mask(k)
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, reference.annToMask(reference.anns[number]))
        assert data.rle(k) == reference.annToRLE(reference.anns[number]) | {"counts": data.rle(k)["counts"]}


def test_long_run_lengths_are_read(write):
    content = coco(annotation(1, box=(0, 0, 600, 400), segmentation=None))
    content["images"][1] |= {"height": 700, "width": 900}
    mask = np.zeros((700, 900), np.uint8)
    mask[100:650:7, 30:800] = 1
    content["annotations"][0]["segmentation"] = run_lengths(mask, True)
    np.testing.assert_array_equal(read_annotations(write(content), masks=True).mask(0), mask)


@pytest.mark.parametrize("window", [1, 7, 2**22])
@pytest.mark.parametrize("keys", [("categories", "annotations", "version", "images"), ("images", "annotations")])
def test_neither_order_nor_window_matters(write, monkeypatch, window, keys):
    content = lvis(annotation(1, segmentation=(TRIANGLE, SQUARE)), annotation(2, 9)) | {"version": 1.25}
    expected = read_annotations(write(content), masks=True)
    monkeypatch.setattr(stream, "_WINDOW", window)
    ordered = {key: content[key] for key in keys} | content
    file = write(b"\xef\xbb\xbf \n" + json.dumps(ordered, indent=1).encode())
    assert same(read_annotations(file, masks=True), expected)


def edit(change):
    content = lvis(annotation(1), annotation(2))
    change(content)
    return content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a JSON file (the text breaks off, character 1)"),
        (b"\x1f\x8b\x08", "not a JSON file ('utf-8' codec"),
        (b'{"images": [{"id": 1', "not a JSON file (Expecting ',' delimiter, character 21)"),
        (b'{"images": [] "annotations": []}', "not a JSON file (, or } expected, character 15)"),
        (b'{"images" []}', "not a JSON file (: expected, character 11)"),
        (b"{images: []}", "not a JSON file (a key in quotes expected, character 2)"),
        (b'{"a": 1} {}', "not a JSON file (something follows the end, character 10)"),
        (b'{"a": ' + b"[" * 200_000, "not a JSON file ("),
        (b"[{}]", "not annotations of COCO format (it is a list)"),
        (b'{"images": []}', 'format (no "annotations")'),
        (b'{"images": {}}', 'format (its "images" is not a list)'),
        (b'{"images": [], "images": []}', 'format (two lists are called "images")'),
        (b'{"images": [], "annotations": [], "categories": []}', 'format (its "images" is empty)'),
        (edit(lambda c: c["categories"].clear()), 'format (its "categories" is empty)'),
        (edit(lambda c: c["images"].append(7)), 'format (entry 4 of "images" has a wrong "id")'),
        (edit(lambda c: c["images"][0].pop("height")), 'format (image 9 has no "height")'),
        (edit(lambda c: c["images"][0].update(width=1.5)), 'format (image 9 has a wrong "width")'),
        (edit(lambda c: c["images"][0].update(width=0)), "format (image 9 has no positive height and width)"),
        (edit(lambda c: c["images"][0].pop("coco_url")), 'image 9 has neither "file_name" nor "coco_url"'),
        (edit(lambda c: c["images"][0].update(file_name=3)), 'image 9 has a wrong "file_name"'),
        (edit(lambda c: c["images"][0].update(neg_category_ids=3)), 'image 9 has a wrong "neg_category_ids"'),
        (
            edit(lambda c: c["images"][2].update(not_exhaustive_category_ids=[1, 4])),
            'image 7 has 4 in "not_exhaustive_category_ids", which is not in "categories"',
        ),
        (edit(lambda c: c["images"].extend(c["images"])), "image id 5 is there more than once (and 2 more such)"),
        (edit(lambda c: c["categories"][0].update(id=1)), "category id 1 is there more than once)"),
        (edit(lambda c: c["categories"][0].update(id=[1])), 'entry 1 of "categories" has a wrong "id"'),
        (
            edit(lambda c: [c["categories"][0].update(name="dog"), c["annotations"][1].update(category_id=1)]),
            "2 categories are called dog",
        ),
        (edit(lambda c: c["categories"][0].update(name=None)), 'category 3 has a wrong "name"'),
        (edit(lambda c: c["categories"][0].update(frequency="x")), 'a "frequency" that is not r, c or f'),
        (edit(lambda c: c["categories"][0].pop("frequency")), 'category 3 has no "frequency", but others have'),
        (edit(lambda c: c["annotations"][0].update(id=2)), "annotation id 2 is there more than once)"),
        (
            edit(lambda c: [c["annotations"][1].pop(key) for key in ("bbox", "segmentation")]),
            'annotation 2 has no "bbox"',
        ),
        (edit(lambda c: c["annotations"][1].update(image_id=2**70)), 'annotation 2 has a wrong "image_id"'),
        (edit(lambda c: c["annotations"][1].update(iscrowd="no")), 'annotation 2 has a wrong "iscrowd"'),
    ],
)
def test_a_file_of_another_kind(write, content, reason):
    assert reason in refusal(write(content), skip_bad=True)


def test_a_file_that_cannot_be_read(tmp_path):
    assert "(No such file or directory); give the path" in refusal(tmp_path / "no.json")
    assert "(Is a directory); give the path" in refusal(tmp_path)


FAR = [0, 0, 1e7, 0, 1, 1]
BAD = [
    ({"category": 4}, 'has category 4, which is not in "categories"'),
    ({"image": 4}, 'has image 4, which is not in "images"'),
    ({"box": (1, 2, 3)}, 'has a "bbox" that is not four finite numbers'),
    ({"box": (1, 2, 3, float("nan"))}, 'has a "bbox" that is not four finite numbers'),
    ({"box": (1, 2, 3, "4")}, 'has a "bbox" that is not four finite numbers'),
    ({"box": (1, 2, 0, 4)}, "has a box without area, width 0 and height 4"),
    ({"box": (9, 2, 1e-9, 4)}, "has a box without area, width 1e-09 and height 4"),
    ({"box": (1, 8, 3, 4)}, "has a box outside its image, at [1.0, 8.0, 3.0, 4.0] in 10 x 8"),
    ({"area": -1}, 'has an "area" that is not a number of 0 or more'),
    ({"area": "2"}, 'has an "area" that is not a number of 0 or more'),
]
MASKS = [
    *((shape, 'has no "segmentation"') for shape in (None, [])),
    *(
        (shape, "has a polygon that is not an even count of at least 6 numbers below a million")
        for shape in (
            *([[1, 2, 3, 4]], [TRIANGLE, [*TRIANGLE, 1]], [TRIANGLE, [*TRIANGLE[:5], float("nan")]], [FAR]),
            *(TRIANGLE, [[*TRIANGLE[:5], None]], 7, "text"),
        )
    ),
    *(
        ({"size": size, "counts": counts}, "has run lengths whose counts do not make up their size")
        for size, counts in (
            *(([8, 10], [5, 74]), ([8, 10], [90, -10]), ([8, 10], [40, 40.0]), ([8, 10], []), ([8], [8]), (8, [8])),
            *(([8, 10], "0"), ([8, 10], ""), ([8, 10], "o"), ([8, 10], "é"), ([8, 10], None), ([8, 10.0], [80])),
        )
    ),
    ({"size": [10, 8], "counts": [80]}, "has run lengths of size [10, 8], not of its image, [8, 10]"),
]


@pytest.mark.parametrize(
    ("fields", "reason", "masks"),
    [(*case, False) for case in BAD] + [({"segmentation": shape}, reason, True) for shape, reason in MASKS],
)
def test_a_bad_annotation(write, log, fields, reason, masks):
    good = [annotation(1), annotation(3, 7, segmentation=(SQUARE,))]
    file = write(coco(good[0], annotation(2, **fields), good[1]))
    repair = "; repair or remove it, or leave such annotations out by --data.skip_bad_annotations true"
    assert refusal(file, masks=masks) == f"{file}: annotation 2 {reason}{repair}"
    annotations = read_annotations(file, masks=masks, skip_bad=True)
    assert log.messages == [f"{file}: left out 1 of 3 annotations: annotation 2 {reason}"]
    assert len(annotations) == 3
    if masks:
        read_annotations(file)
        expected = read_annotations(write(coco(*good)), masks=True)
        assert [annotations.rle(k) for k in range(2)] == [expected.rle(k) for k in range(2)]
    else:
        assert annotations.bad == 1
        assert same(replace(annotations, bad=0), read_annotations(write(coco(*good))))


def test_a_short_polygon_among_others_goes_alone(write, log, parses):
    entries = [
        annotation(1, segmentation=(SQUARE,)),
        annotation(2, segmentation=([1, 2, 3, 4], TRIANGLE, [], SQUARE, [5, 5])),
        annotation(3, 9, segmentation=([1, 2, 3, 4, 5], SQUARE)),
    ]
    file = write(coco(*entries))
    words = "4 polygons of fewer than three points, of 2 annotations, such as annotation 2, whose other polygons stay"
    line = f"{file}: left out {words}"
    copies = [read_annotations(file, masks=True) for _ in range(2)]
    assert log.messages == [line, line]  # the second from the cache
    entries[1]["segmentation"], entries[2]["segmentation"] = [TRIANGLE, SQUARE], [SQUARE]
    expected = read_annotations(write(coco(*entries)), masks=True)
    for copy in copies:
        assert copy.ids.tolist() == expected.ids.tolist()
        for k in range(3):
            np.testing.assert_array_equal(copy.mask(k), expected.mask(k))
    assert len(log.messages) == 2
    read_annotations(file)
    assert len(log.messages) == 2  # without masks no polygon is read


def test_a_short_polygon_that_is_all_there_is_makes_the_annotation_bad(write):
    assert "has a polygon that is not" in refusal(
        write(coco(annotation(1, segmentation=([1, 2, 3, 4], [])))), masks=True
    )


def test_many_bad_annotations(write, log):
    flat, last = [annotation(i, box=(1, 1, 0, 2)) for i in range(4)], annotation(4, 99)
    file = write(coco(*flat, last, annotation(5)))
    assert (
        "annotation 0 has a box without area, width 0 and height 2 (and 3 more such, 1 bad in other ways); "
        in refusal(file)
    )
    assert read_annotations(file, skip_bad=True).ids.tolist() == [5]
    assert log.messages[0].startswith(f"{file}: left out 5 of 6 annotations: annotation 0 has a box ")
    assert log.messages[0].endswith("annotation 2 has a box without area, width 0 and height 2 and 2 more")
    assert "none of the 5 annotations can be used (annotation 0 has" in refusal(write(coco(*flat, last)), skip_bad=True)


@pytest.fixture
def parses(monkeypatch):
    """Every file has a cache; a list of the files that were read in spite of it."""
    calls, parse = [], cache.parse
    monkeypatch.setattr(cache, "_CACHED_FROM", 1)
    monkeypatch.setattr(cache, "parse", lambda file, masks: calls.append(masks) or parse(file, masks))
    return calls


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize(
    "entries", [(), (annotation(1), annotation(2, segmentation=run_lengths(np.eye(8, 10), False)))]
)
def test_cache(write, monkeypatch, parses, entries, masks):
    file = write(lvis(*entries))
    fresh, copy = (read_annotations(file, masks=masks) for _ in range(2))
    assert parses == [masks]
    assert fresh.cache == copy.cache
    assert not copy.boxes.flags.writeable
    clone = pickle.loads(pickle.dumps(copy))
    assert clone.cache == copy.cache
    monkeypatch.setattr(cache, "_CACHED_FROM", 2**24)
    direct = read_annotations(file, masks=masks)
    assert direct.cache is None
    assert not direct.boxes.flags.writeable
    assert same(fresh, direct)
    assert same(copy, direct)
    assert same(clone, direct)
    assert same(pickle.loads(pickle.dumps(direct)), direct)
    shutil.rmtree(copy.cache)
    with pytest.raises(InputError, match="was removed in the meantime; start again"):
        pickle.loads(pickle.dumps(copy))


def test_the_cache_of_a_changed_file_is_replaced(write, parses):
    first = read_annotations(write(coco(annotation(1))))
    file = write(coco(annotation(2)))
    os.utime(file, ns=(1, 1))
    second = read_annotations(file)
    assert second.ids.tolist() == [2]
    assert first.ids.tolist() == [1]
    read_annotations(file, masks=True)
    assert parses == [False, False, True]
    assert len(list((file.parent / ".longtail").iterdir())) == 2


def test_the_cache_keeps_what_is_bad(write, log, parses):
    file = write(coco(annotation(1), annotation(2, 99)))
    assert refusal(file) == refusal(file)
    assert read_annotations(file, skip_bad=True).ids.tolist() == [1]
    assert len(log.messages) == len(parses) == 1


@pytest.mark.parametrize("name", ["about.json", "boxes.npy", "crowd.npy"])
@pytest.mark.parametrize("damage", [b"", b"{}", None, "cut", "other"])
def test_a_damaged_cache_is_made_anew(write, parses, name, damage):
    file = write(coco(annotation(1)))
    annotations = read_annotations(file)
    part = annotations.cache / name
    if damage is None:
        part.unlink()
    elif damage == "other":
        shutil.copy(annotations.cache / "ids.npy", part)
    else:
        part.write_bytes(part.read_bytes()[:-3] if damage == "cut" else damage)
    for _ in range(2):
        assert read_annotations(file).boxes.tolist() == [[1, 1, 6, 5]]
    assert len(parses) == 2


def test_no_cache_where_the_folder_cannot_be_written(write, log, parses, tmp_path):
    (tmp_path / ".longtail").touch()
    file = write(coco(annotation(1)))
    for _ in range(2):
        assert read_annotations(file).cache is None
    assert len(parses) == len(log.messages) == 2
    assert log.messages[0].startswith(f"{tmp_path}/.longtail: cannot be written (")


def test_no_part_of_a_cache_is_left(write, log, parses, monkeypatch, tmp_path):
    def full(file, values):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert read_annotations(write(coco(annotation(1)))).ids.tolist() == [1]
    assert "(No space left on device)" in log.messages[0]
    assert list((tmp_path / ".longtail").iterdir()) == []


def test_the_cache_of_a_quicker_process_stays(write, parses, monkeypatch):
    file = write(coco(annotation(1)))
    parse = cache.parse

    def slow(file, masks):
        content = parse(file, masks)
        monkeypatch.setattr(cache, "parse", parse)
        quicker.append(read_annotations(file))
        return content

    quicker = []
    monkeypatch.setattr(cache, "parse", slow)
    slower = read_annotations(file)
    assert slower.cache == quicker[0].cache
    assert [path.name for path in (file.parent / ".longtail").iterdir()] == [slower.cache.name]


def test_masks_without_faster_coco_eval(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval.core", None)
    file = write(coco(annotation(1)))
    with pytest.raises(InputError, match=r'pip install "longtail\[detection\]"'):
        read_annotations(file, masks=True)
    read_annotations(file)


def test_check_files(write, tmp_path):
    annotations = read_annotations(write(lvis()))
    (tmp_path / "val2017").mkdir()
    (tmp_path / "val2017" / "9.jpg").touch()
    with pytest.raises(InputError) as error:
        check_files(annotations, tmp_path)
    assert str(error.value) == (
        f"{annotations.file}, image 5: no such file: {tmp_path}/val2017/5.jpg; 2 of 3 images are missing: "
        f"put them below {tmp_path}, or leave such images out by --data.skip_bad_annotations true"
    )
    for number in (5, 7):
        (tmp_path / "val2017" / f"{number}.jpg").touch()
    check_files(annotations, tmp_path)
