"""ImageNet-LT, Places-LT and iNaturalist 2018 from small sets in the published formats."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from longtail.cli.main import main
from longtail.counts import shot_groups
from longtail.data.images.inaturalist import INaturalist2018
from longtail.data.images.published import ImageNetLT, PlacesLT, PublishedLT, Totals
from longtail.data.split import stratified_split
from longtail.errors import InputError
from longtail.recipes import load_recipe

Rows = list[tuple[str, int]]


def make_image(file: Path, label: int) -> None:
    """An image whose colour tells its class, in the format of its suffix."""
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(str(file))).normal(60 + 60 * label, 20, (24, 20, 3))
    Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).save(file)


def make_lists(root: Path, lists: dict[str, Rows], folder: Path | None = None) -> Path:
    """The images of some lists, and the list files."""
    for name, rows in lists.items():
        for path, label in rows:
            make_image(root / path, label)
        (folder or root).mkdir(parents=True, exist_ok=True)
        ((folder or root) / name).write_text("".join(f"{path} {label}\n" for path, label in rows))
    return root


WNIDS = ("n01440764", "n01443537", "n01484850")


def imagenet(root: Path, folder: Path | None = None) -> Path:
    train = [(f"train/{w}/{w}_{i}.JPEG", c) for c, w in enumerate(WNIDS) for i in range((9, 4, 2)[c])]
    val = [(f"train/{w}/{w}_9{i}.JPEG", c) for c, w in enumerate(WNIDS) for i in range(2)]
    test = [(f"val/{w}/ILSVRC2012_val_0000{c}{i}.JPEG", c) for c, w in enumerate(WNIDS) for i in range(3)]
    names = ("ImageNet_LT_train.txt", "ImageNet_LT_val.txt", "ImageNet_LT_test.txt")
    return make_lists(root, dict(zip(names, (train, val, test), strict=True)), folder)


SCENES = ("a/airfield", "a/apartment_building/outdoor", "z/zen_garden")


def places(root: Path, folder: Path | None = None) -> Path:
    train = [(f"data_256/{s}/0000{i}.png", c) for c, s in enumerate(SCENES) for i in range((7, 3, 1)[c])]
    val = [(f"data_256/{s}/0009{i}.png", c) for c, s in enumerate(SCENES) for i in range(2)]
    test = [(f"val_256/Places365_val_{c}{i}.png", c) for c in range(3) for i in range(2)]
    names = ("Places_LT_train.txt", "Places_LT_val.txt", "Places_LT_test.txt")
    return make_lists(root, dict(zip(names, (train, val, test), strict=True)), folder)


def species(part: str, counts: tuple[int, ...]) -> Rows:
    kinds = ("Aves", "Plantae", "Aves")
    return [(f"train_val2018/{kinds[c]}/{c}/{part}{i}.jpg", c) for c, n in enumerate(counts) for i in range(n)]


TRAIN, TEST = species("a", (20, 10, 3)), species("b", (2, 2, 2))


def inaturalist_lists(root: Path, folder: Path | None = None) -> Path:
    return make_lists(root, {"iNaturalist18_train.txt": TRAIN, "iNaturalist18_val.txt": TEST}, folder)


def annotations(rows: Rows, classes: int = 3, first: int = 0) -> dict[str, Any]:
    """What the official JSON files hold."""
    fields = {"license": 3, "rights_holder": "Somebody", "width": 20, "height": 24}
    return {
        "info": {"year": 2018},
        "images": [{"id": first + i, "file_name": path, **fields} for i, (path, _) in enumerate(rows)],
        # in another order than the images
        "annotations": [
            {"id": first + i, "image_id": first + i, "category_id": label} for i, (_, label) in enumerate(rows)
        ][::-1],
        "categories": [{"id": c, "name": f"Genus species{c}", "genus": "Genus"} for c in range(classes)][::-1],
        "licenses": [{"id": 3, "name": "CC", "url": ""}],
    }


def inaturalist(root: Path, folder: Path | None = None) -> Path:
    (folder or root).mkdir(parents=True, exist_ok=True)
    for name, rows, first in (("train2018.json", TRAIN, 0), ("val2018.json", TEST, 437_513)):
        for path, label in rows:
            make_image(root / path, label)
        ((folder or root) / name).write_text(json.dumps(annotations(rows, first=first)))
    return root


def sizes(data: PublishedLT) -> dict[str, list[int]]:
    """Images of every class in every split."""
    splits = {name: data.split(name) for name in ("train", "val", "test")}
    return {name: np.bincount(split.targets, minlength=3).tolist() for name, split in splits.items() if split}


def refusal(data: PublishedLT) -> str:
    with pytest.raises(InputError) as error:
        _ = data.splits
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.fixture
def notices(log: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The lines said so far about other totals than the published ones."""
    return lambda: [line for line in log.messages if "as published" in line]


def test_imagenet_lt(tmp_path: Path) -> None:
    data = ImageNetLT(imagenet(tmp_path), batch_size=2, num_workers=0, image_size=16)
    assert sizes(data) == {"train": [9, 4, 2], "val": [2, 2, 2], "test": [3, 3, 3]}
    assert data.classes == list(WNIDS)
    assert data.image_counts == [9, 4, 2]
    batch = next(iter(data.test_dataloader()))
    assert batch["images"].shape == (2, 1, 3, 16, 16)
    assert batch["targets"].tolist() == [0, 0]
    assert data.picture("val", 0).size == (20, 24)


def test_places_lt(tmp_path: Path) -> None:
    data = PlacesLT(places(tmp_path), batch_size=2, num_workers=0, image_size=16)
    assert sizes(data) == {"train": [7, 3, 1], "val": [2, 2, 2], "test": [2, 2, 2]}
    assert data.classes == ["airfield", "apartment_building/outdoor", "zen_garden"]


def test_inaturalist_tests_on_its_val_images_and_holds_out_training_images(tmp_path: Path) -> None:
    root = inaturalist(tmp_path)
    data = INaturalist2018(root, batch_size=2, num_workers=0, image_size=16)
    assert sizes(data) == {"train": [18, 9, 3], "val": [2, 1, 0], "test": [2, 2, 2]}
    assert data.classes == ["Genus species0", "Genus species1", "Genus species2"]
    whole = INaturalist2018(root, val_fraction=0, batch_size=2, num_workers=0, image_size=16)
    assert sizes(whole) == {"train": [20, 10, 3], "test": [2, 2, 2]}


def test_inaturalist_lists_and_json_are_the_same_set(tmp_path: Path) -> None:
    inaturalist(tmp_path / "images", tmp_path / "json")
    inaturalist_lists(tmp_path / "images", tmp_path / "lists")
    coco, text = (INaturalist2018(tmp_path / "images", tmp_path / lists).list_images() for lists in ("json", "lists"))
    for split in ("train", "test"):
        assert coco[split].paths == text[split].paths
        assert coco[split].targets.tolist() == text[split].targets.tolist()
    assert text["train"].classes == ["0", "1", "2"]
    names = [{"id": c, "name": name} for c, name in enumerate(("Parus major", "Bellis perennis", "Pica pica"))]
    for lists in ("json", "lists"):
        (tmp_path / lists / "categories.json").write_text(json.dumps(names))
        listings = INaturalist2018(tmp_path / "images", tmp_path / lists).list_images()
        assert listings["train"].classes == listings["test"].classes == ["Parus major", "Bellis perennis", "Pica pica"]


def test_names_that_are_not_unique_give_way_to_numbers(tmp_path: Path) -> None:
    root = inaturalist(tmp_path)
    content = annotations(TRAIN)
    content["categories"][0]["name"] = content["categories"][1]["name"]
    (root / "train2018.json").write_text(json.dumps(content))
    assert INaturalist2018(root).list_images()["train"].classes == ["0", "1", "2"]

    rows = [("train/x/1.png", 0), ("train/x/2.png", 1), ("train/y/3.png", 1)]
    folder = make_lists(tmp_path / "mixed", {f"ImageNet_LT_{s}.txt": rows for s in ("train", "val", "test")})
    assert ImageNetLT(folder).list_images()["train"].classes == ["0", "1"]


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (imagenet, ImageNetLT),
        (places, PlacesLT),
        (inaturalist, INaturalist2018),
        (inaturalist_lists, INaturalist2018),
    ],
)
def test_lists_may_lie_elsewhere_and_are_missed_in_one_line(
    make: Callable[[Path, Path], Path], kind: type[PublishedLT], tmp_path: Path
) -> None:
    make(tmp_path / "images", tmp_path / "lists")
    data = kind(tmp_path / "images", tmp_path / "lists", batch_size=2, image_size=16)
    assert len(data.classes) == 3
    assert data.source == f"{tmp_path}/images ({kind.title})"
    message = refusal(kind(tmp_path / "images"))
    assert f"{tmp_path}/images" in message
    assert kind.files["train"] in message
    assert message.endswith("or give their folder by --data.lists")
    for file in sorted((tmp_path / "lists").iterdir(), reverse=True):  # the training file goes last
        file.unlink()
        assert file.name in refusal(kind(tmp_path / "images", tmp_path / "lists"))


def test_other_totals_are_said_in_one_line(tmp_path: Path, notices: Callable[[], list[str]]) -> None:
    _ = ImageNetLT(imagenet(tmp_path), batch_size=2, image_size=16).splits
    [line] = notices()
    assert line == (
        f"{tmp_path} is not ImageNet-LT as published: "
        "train has 15 images of 3 classes (9 to 2 each), not 115,846 images of 1,000 classes (1,280 to 5 each); "
        "val has 6 images of 3 classes (2 each), not 20,000 images of 1,000 classes (20 each); "
        "test has 9 images of 3 classes (3 each), not 50,000 images of 1,000 classes (50 each)"
    )


def test_the_published_totals_pass_in_silence(
    tmp_path: Path, notices: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    published = {"train": Totals(15, 3, 9, 2), "val": Totals(6, 3, 2, 2), "test": Totals(9, 3, 3, 3)}
    monkeypatch.setattr(ImageNetLT, "published", published)
    _ = ImageNetLT(imagenet(tmp_path), batch_size=2, image_size=16).splits
    assert notices() == []


def test_a_list_with_bad_rows(tmp_path: Path) -> None:
    root = places(tmp_path)
    (root / "data_256/a/airfield/00003.png").unlink()
    assert refusal(PlacesLT(root)) == (
        f"{root}/Places_LT_train.txt, line 4: no such file: {root}/data_256/a/airfield/00003.png; "
        f"correct the paths, which start from {root}, or give another root"
    )
    places(tmp_path)
    val = root / "Places_LT_val.txt"
    val.write_text(val.read_text().replace("png 2", "png 365"))
    assert refusal(PlacesLT(root)).startswith(f"{val}, line 5: label 365 is not one of the 3 known classes (0, 1, 2)")
    val.write_text("data_256/a/airfield/00090.png\n")
    assert refusal(PlacesLT(root)).startswith(f"{val}, line 1: only one field")
    (root / "Places_LT_train.txt").write_text("")
    assert "Places_LT_train.txt: the table is empty" in refusal(PlacesLT(root))


def change(key: str, index: int, **values: Any) -> Callable[[dict[str, Any]], Any]:
    """Change an entry of a JSON file; None removes a field."""

    def edit(content: dict[str, Any]) -> Any:
        entry = content[key][index]
        entry.update(values)
        content[key][index] = {name: value for name, value in entry.items() if value is not None}
        return content

    return edit


def without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda content: {name: value for name, value in content.items() if name != key}


def with_more(key: str, *entries: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda content: {**content, key: [*content[key], *entries]}


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (without("annotations"), "no 'annotations'"),  # such as test2018.json
        (without("images"), "no 'images'"),
        (without("categories"), "no 'categories'"),
        (lambda content: [content], "another structure"),
        (lambda content: 5, "another structure"),
        (lambda content: {**content, "images": 5}, "another structure"),
        (lambda content: {**content, "images": [[1]]}, 'entries of "images" lack a field or have a wrong one'),
        (lambda content: {**content, "images": [], "annotations": []}, "no images"),
        (change("images", 1, file_name=None), 'entries of "images" lack a field or have a wrong one'),
        (change("images", 1, id=None), 'entries of "images" lack a field or have a wrong one'),
        (change("images", 1, file_name=7), 'entries of "images" lack a field or have a wrong one'),
        (change("annotations", 0, category_id=None), 'entries of "annotations" lack a field or have a wrong one'),
        (change("annotations", 0, category_id="2"), 'entries of "annotations" lack a field or have a wrong one'),
        (change("annotations", 0, category_id=True), 'entries of "annotations" lack a field or have a wrong one'),
        (change("annotations", 0, image_id="32"), 'entries of "annotations" lack a field or have a wrong one'),
        (change("annotations", 0, image_id=[32]), "another structure"),
        (change("annotations", 0, category_id=3), "image 32 has category 3, there are 3, 0 to 2"),
        (change("annotations", 0, category_id=-1), "image 32 has category -1, there are 3, 0 to 2"),
        (change("annotations", 0, image_id=1), 'an image comes twice in "annotations"'),
        (change("annotations", 0, image_id=99), "image 32 has no annotation"),
        (with_more("annotations", {"image_id": 99, "category_id": 0}), "image 99 has an annotation but no entry"),
        (with_more("images", {"id": 0, "file_name": "x.jpg"}), 'an image comes twice in "images"'),
        (with_more("categories", {"id": 4, "name": "x"}), "categories are not numbered 0, 1, 2, ..."),
        (with_more("categories", {"id": 2, "name": "x"}), "categories are not numbered 0, 1, 2, ..."),
        (with_more("categories", {"id": 3}), "no 'name'"),
        (with_more("categories", 3), "another structure"),
    ],
)
def test_json_that_is_not_of_the_set(break_it: Callable[[dict[str, Any]], Any], reason: str, tmp_path: Path) -> None:
    root = inaturalist(tmp_path)
    file = root / "train2018.json"
    file.write_text(json.dumps(break_it(annotations(TRAIN))))
    assert refusal(INaturalist2018(root)) == (
        f"{file}: not a file of iNaturalist 2018 ({reason}); give train2018.json and val2018.json as published"
    )


@pytest.mark.parametrize("content", [b"", b'{"images": [', b"path 0\n", b"\xff\xfe{", b"[" * 100_000])
def test_what_is_not_json(content: bytes, tmp_path: Path) -> None:
    root = inaturalist(tmp_path)
    (root / "val2018.json").write_bytes(content)
    message = refusal(INaturalist2018(root))
    assert message.startswith(f"{root}/val2018.json: not a JSON file (")
    assert message.endswith("; unpack its archive again")


def test_json_and_files_that_do_not_fit(tmp_path: Path) -> None:
    root = inaturalist(tmp_path)
    (root / TRAIN[4][0]).unlink()
    (root / TRAIN[9][0]).unlink()
    assert refusal(INaturalist2018(root)) == (
        f"{root}/train2018.json, image 4: no such file: {root}/{TRAIN[4][0]}, {root}/{TRAIN[9][0]}; "
        f"unpack the images below {root}, or give another root"
    )
    inaturalist(tmp_path)
    (root / "train2018.json").write_text(json.dumps(change("images", 2, file_name="../x.jpg")(annotations(TRAIN))))
    assert f"train2018.json, image 2: path ../x.jpg is not inside {root}" in refusal(INaturalist2018(root))
    (root / "train2018.json").write_text(json.dumps(annotations(TRAIN, classes=4)))
    assert "val2018.json: has 3 categories where train2018.json has 4; " in refusal(INaturalist2018(root))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a JSON file"),
        ('[{"name": "x"}]', "not a file of iNaturalist 2018 (no 'id'); give categories.json as published"),
        ('[{"id": 0, "name": "x"}]', "has 1 categories where the training images have 3; replace or remove it"),
    ],
)
def test_bad_categories(content: str, message: str, tmp_path: Path) -> None:
    root = inaturalist_lists(tmp_path)
    (root / "categories.json").write_text(content)
    assert f"{root}/categories.json: {message}" in refusal(INaturalist2018(root))


def test_bad_images_are_looked_for_on_request(tmp_path: Path) -> None:
    root = imagenet(tmp_path)
    path = root / "train" / WNIDS[0] / f"{WNIDS[0]}_3.JPEG"
    path.write_bytes(path.read_bytes()[:-40])
    assert ImageNetLT(root, batch_size=2, image_size=16).image_counts == [9, 4, 2]
    assert str(path) in refusal(ImageNetLT(root, batch_size=2, image_size=16, check_images=True))
    assert ImageNetLT(root, batch_size=2, image_size=16, skip_bad_images=True).image_counts == [8, 4, 2]
    with pytest.raises(InputError, match="skip_bad_images needs the check"):
        ImageNetLT(root, check_images=False, skip_bad_images=True)


def test_the_shot_groups_of_inaturalist_are_the_published_ones() -> None:
    published = np.arange(2, 1001)
    train, _ = stratified_split(np.repeat(np.arange(len(published)), published), 0.1, seed=0)
    counts = np.bincount(np.repeat(np.arange(len(published)), published)[train])
    options = load_recipe("inaturalist2018/ce")["model"]["init_args"]
    groups = shot_groups(counts.tolist(), options["many"], options["few"])
    for name, expected in shot_groups(published.tolist()).items():
        assert groups[name].tolist() == expected.tolist(), name


FAST = ["--epochs", "1", "--workers", "0", "--batch-size", "4", "--backbone", "resnet8_cifar", "--image-size", "16"]


@pytest.mark.parametrize(
    ("recipe", "make", "train_counts", "splits"),
    [
        ("imagenet_lt/ce", imagenet, [9, 4, 2], {"val", "test"}),
        ("places_lt/bcl", places, [7, 3, 1], {"val", "test"}),
        ("inaturalist2018/logit_adjusted", inaturalist, [18, 9, 3], {"val", "test"}),
    ],
)
def test_the_command_line_trains(
    recipe: str,
    make: Callable[[Path, Path | None], Path],
    train_counts: list[int],
    splits: set[str],
    tmp_path: Path,
) -> None:
    root = make(tmp_path / "images", tmp_path / "lists")
    run = tmp_path / "run"
    place = ["--data", str(root), "--data.lists", str(tmp_path / "lists"), "--pretrained=false"]
    assert main(["fit", "--recipe", recipe, *place, "--run", str(run), *FAST]) == 0
    results = json.loads((run / "results.json").read_text())
    assert results["train_counts"] == train_counts
    assert {evaluation["split"] for evaluation in results["evaluations"]} == splits
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["data"]["init_args"]["min_scale"] == 0.08
    assert main(["test", str(run)]) == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--data", "images"], r"no folder or table at .images."),
        (["--data", "./images"], r"images/ImageNet_LT_train\.txt, .*--data\.lists"),
        (["--data", "./images", "--data.val_fraction", "0.1"], "ImageNetLT has no option val_fraction"),
        ([], r"data/ImageNet_LT_train\.txt.*--data\.lists"),
    ],
)
def test_wrong_options_are_one_line(
    args: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if args and args[1] == "./images":
        (tmp_path / "images").mkdir()
    assert main(["fit", "--recipe", "imagenet_lt/ce", *args, "--run", str(tmp_path / "run")]) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("longtail: error: ")]
    assert re.search(message, line), line
    assert not (tmp_path / "run").exists()
