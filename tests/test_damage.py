"""Damaged texts, tables, pickles and caches: each is one line that names the file, or is read; nothing hangs."""

import io
import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from command import FIT_DIGITS
from damage import contents, trees
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from PIL import Image
from reports.sample import make_detection, make_results, make_segmentation
from rich.console import Console

from longtail.cli.main import main
from longtail.cli.stages import second_stage
from longtail.configuration import parse_yaml
from longtail.data.clips.egtea import EGTEA
from longtail.data.images.cifar import CIFAR10LT
from longtail.errors import InputError
from longtail.files.coco import cache
from longtail.files.coco.annotations import read_annotations
from longtail.files.tables.labelled import Listed
from longtail.files.tables.table import read_table
from longtail.inference import load_run
from longtail.inference.detection import image_ids
from longtail.losses import CrossEntropyLoss
from longtail.methods import Plain
from longtail.models import Backbone
from longtail.recipes import HERE, load_recipe
from longtail.reports.compare import comparison_text
from longtail.reports.results import load_results
from longtail.reports.terminal import evaluation_table
from longtail.tasks.checkpoints import TrainingStopped
from longtail.tasks.classification import Classification

# the folder is written anew by every example
fuzz = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@contextmanager
def one_line(name: object = "") -> Iterator[None]:
    """Whatever is read within may be refused, in one line that names the file."""
    try:
        yield
        return
    except InputError as error:
        text = str(error)
    assert "\n" not in text
    assert str(name) in text


def as_json(tree: Any) -> bytes:
    return json.dumps(tree).encode()


RESULTS = st.one_of(
    trees(make_results(epochs=3)),
    trees(make_detection()),
    trees(make_segmentation()),
    contents(as_json(make_results(epochs=2))),
)


@fuzz
@given(content=RESULTS)
def test_results(content: Any, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(content if isinstance(content, bytes) else as_json(content))
    with one_line():
        results = load_results(tmp_path)
        console = Console(file=io.StringIO())
        console.print(evaluation_table(results, results["evaluations"]))
        console.print(comparison_text([tmp_path, tmp_path]))


RECIPE = (HERE / "_own.yaml").read_bytes()
RECIPES = st.one_of(contents(RECIPE), trees(yaml.safe_load(RECIPE)).map(lambda tree: yaml.safe_dump(tree).encode()))


@fuzz
@given(content=RECIPES)
def test_recipes(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with one_line():
        load_recipe(str(file))


@pytest.mark.parametrize(
    "text",
    [
        "&a [*a]",
        "&a {x: *a}",
        "a: &a [1, 1]\n"
        + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(22)),
        "a: &a {k: 1}\n"
        + "".join(f"{chr(98 + i)}: &{chr(98 + i)}\n  <<: [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(22)),
        "[" * 2000,
        "x: 2020-13-45",
        "!!timestamp x",
        "!!python/object/apply:os.system [ls]",
    ],
    ids=["list in itself", "mapping in itself", "doubled", "merged", "deep", "no date", "no time", "code"],
)
def test_yaml_that_never_ends_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^.+$"):
        parse_yaml(text)


def test_a_recipe_that_is_its_own_base(tmp_path: Path) -> None:
    for name, base in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.yaml").write_text(f"base: [{base}, {base}]")
    with pytest.raises(InputError, match="is its own base"):
        load_recipe(str(tmp_path / "a.yaml"))


def test_what_names_anything_but_recipes_as_its_base(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("base: 5")
    with pytest.raises(InputError, match="its base must be the name of a recipe"):
        load_recipe(str(tmp_path / "a.yaml"))


METHOD = {
    "class_path": "longtail.methods.Plain",
    "init_args": {
        "backbone": {"class_path": "longtail.models.Backbone", "init_args": {"name": "resnet20_cifar"}},
        "loss": {"class_path": "longtail.losses.CrossEntropyLoss", "init_args": {}},
    },
}
INPUT = {"size": 16, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear", "crop": 1.0}
CONFIG = {
    "model": {"init_args": {"method": METHOD}},
    "data": {"class_path": "longtail.data.Folder", "init_args": {"root": "photos", "views": []}},
}


@settings(parent=fuzz, max_examples=8)
@given(config=st.one_of(trees(CONFIG).map(yaml.safe_dump), contents(yaml.safe_dump(CONFIG).encode())))
def test_the_configuration_in_results(config: str | bytes, tmp_path: Path) -> None:
    results: Any = make_results(epochs=1)
    results["config"] = config.decode("utf-8", "replace") if isinstance(config, bytes) else config
    results["data"]["input"] = INPUT
    (tmp_path / "results.json").write_text(json.dumps(results))
    state = Plain(results["train_counts"], Backbone("resnet20_cifar"), CrossEntropyLoss()).state_dict()
    torch.save({"state_dict": {f"method.{name}": value for name, value in state.items()}}, tmp_path / "last.ckpt")
    with one_line(tmp_path):
        load_run(tmp_path)
    for name in ("crt", "lws"):
        with one_line(tmp_path):
            second_stage(load_recipe(f"second/{name}"), tmp_path)


# What reads the results of a run, and what reads config.yaml; test and tradeoff do as validate does.
OF_RESULTS = ["predict", "export", "report", "compare", "validate", "resume", "from"]
OF_CONFIG = ["validate", "resume", "config"]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the smallest kind, with an image beside it."""
    run = tmp_path_factory.mktemp("runs") / "run"
    options = ["--epochs", "1", "--precision", "32-true", "--trainer.limit_train_batches", "1"]
    options += ["--trainer.enable_progress_bar", "false", "--trainer.logger", "false", "--trainer.accelerator", "cpu"]
    assert main([*FIT_DIGITS, "--run", str(run), *options]) == 0
    Image.new("RGB", (20, 20), "red").save(run.parent / "a.png")
    return run


@contextmanager
def holding(file: Path, content: bytes) -> Iterator[None]:
    """A file has another content inside."""
    before = file.read_bytes()
    try:
        file.write_bytes(content)
        yield
    finally:
        file.write_bytes(before)


def every_command(names: list[str], run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command ends by itself, in one line if it fails; trainings and evaluations stop where they would begin."""
    rerun = run.parent / "again"
    args = {
        "predict": ["predict", str(run), str(run.parent / "a.png")],
        "compare": ["compare", str(run), str(run), f"--output={run.parent / 'c.html'}"],
        "resume": ["fit", "--resume", str(run)],
        "config": ["fit", "--config", str(run / "config.yaml"), "--run", str(rerun)],
        "from": ["fit", "--recipe", "second/crt", "--from", str(run), "--run", str(rerun)],
    }

    def stop(*args: Any, **options: Any) -> None:
        raise TrainingStopped

    for name in names:
        shutil.rmtree(rerun, ignore_errors=True)
        capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            for method in ("fit", "validate"):
                patch.setattr(Trainer, method, stop)
            patch.setattr(Classification, "prepare", lambda task, data, *_: data)
            try:
                code = main(args.get(name, [name, str(run)]))
            except TrainingStopped:  # of an evaluation
                code = 0
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("longtail: ")]
        errors = [line for line in lines if line.startswith("longtail: error")]
        assert (code, len(errors)) in ((0, 0), (130, 0), (2, 1)), (name, code, lines)


@settings(parent=fuzz, max_examples=4)
@given(data=st.data())
def test_every_command_on_damaged_results(
    data: st.DataObject, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = digits / "results.json"
    tree = json.loads(file.read_bytes())
    whole = trees({key: value for key, value in tree.items() if key != "config"}).map(
        lambda part: {"config": tree["config"], **part} if isinstance(part, dict) else part
    )
    of_data = trees(tree["data"]).map(lambda part: {**tree, "data": part})
    with holding(file, as_json(data.draw(st.one_of(whole, of_data)))):
        every_command(OF_RESULTS, digits, capsys)


@settings(parent=fuzz, max_examples=4)
@given(data=st.data())
def test_every_command_on_a_damaged_configuration(
    data: st.DataObject, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = digits / "config.yaml"
    before = file.read_bytes()
    config = yaml.safe_load(before)
    of_data = trees(config["data"]).map(lambda part: yaml.safe_dump({**config, "data": part}).encode())
    of_model = trees(config["model"]).map(lambda part: yaml.safe_dump({**config, "model": part}).encode())
    with holding(file, data.draw(st.one_of(contents(before), of_data, of_model))):
        every_command(OF_CONFIG, digits, capsys)


@pytest.mark.parametrize("key", INPUT)
def test_what_the_network_takes_is_not_said(key: str, digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = digits / "results.json"
    tree = json.loads(file.read_bytes())
    del tree["data"]["input"][key]
    with holding(file, as_json(tree)):
        assert main(["predict", str(digits), str(digits.parent / "a.png")]) == 2
    assert f"{file}: data.input lacks {key}" in capsys.readouterr().err


TABLES = {
    "t.csv": "path,label\n" + "".join(f'"{i}.png",{i % 2}\n' for i in range(6)),
    "t.tsv": "path\tlabel\n" + "".join(f"{i}.png\tc{i % 2}\n" for i in range(6)),
    "t.txt": "".join(f"{i}.png {i % 2}\n" for i in range(6)),
}


@pytest.mark.parametrize("name", [*TABLES, "t.parquet"])
@fuzz
@given(data=st.data())
def test_tables(name: str, data: st.DataObject, tmp_path: Path) -> None:
    for i in range(6):
        (tmp_path / f"{i}.png").touch()
    if name not in TABLES:
        pa = pytest.importorskip("pyarrow")
        pq = pytest.importorskip("pyarrow.parquet")
        buffer = io.BytesIO()
        pq.write_table(pa.table({"path": [f"{i}.png" for i in range(6)], "label": ["a", "b"] * 3}), buffer)
        content = buffer.getvalue()
    else:
        content = TABLES[name].encode()
    (tmp_path / name).write_bytes(data.draw(contents(content)))
    with one_line(name):
        read_table(tmp_path / name)


def test_parquet_of_invalid_text(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    ends, text = np.array([0, 2, 7], dtype=np.int32), b"\xff\xfe1.png"
    paths = pa.StringArray.from_buffers(2, pa.py_buffer(ends.tobytes()), pa.py_buffer(text))
    pq.write_table(pa.table({"path": paths, "label": ["a", "b"]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"t\.parquet: not a readable Parquet file \(.*utf-8"):
        read_table(tmp_path / "t.parquet")


PIXELS = np.random.default_rng(0).integers(0, 255, (20, 3072), dtype=np.uint8)
BATCH = {b"data": PIXELS, b"labels": [i % 10 for i in range(20)], b"batch_label": b"a batch"}
META = {b"label_names": [b"class%d" % i for i in range(10)]}


def edges(content: bytes) -> st.SearchStrategy[bytes]:
    """What is wrong is not among the pixels, which are most of it."""
    first = contents(content[:200]).map(lambda part: part + content[200:])
    return st.one_of(first, contents(content[-200:]).map(lambda part: content[:-200] + part))


def odd_pickle(tree: dict[bytes, Any]) -> st.SearchStrategy[bytes]:
    small = {key.decode(): value if key != b"data" else [1] for key, value in tree.items()}
    return trees(small).map(lambda t: pickle.dumps({k.encode(): v for k, v in t.items() if isinstance(k, str)}, 2))


CIFAR = st.one_of(
    *(st.tuples(st.just("data_batch_1"), kind(BATCH)) for kind in (odd_pickle, lambda t: edges(pickle.dumps(t, 2)))),
    *(st.tuples(st.just("batches.meta"), kind(META)) for kind in (odd_pickle, lambda t: contents(pickle.dumps(t, 2)))),
)


def write_cifar(root: Path, **changes: bytes) -> None:
    (root / "cifar-10-batches-py").mkdir(exist_ok=True)
    for name in (*CIFAR10LT.train_files, CIFAR10LT.test_file, "batches.meta"):
        content = pickle.dumps(META if name == "batches.meta" else BATCH, 2)
        (root / "cifar-10-batches-py" / name).write_bytes(changes.get(name, content))


@fuzz
@given(file=CIFAR)
def test_pickles_of_cifar(file: tuple[str, bytes], tmp_path: Path) -> None:
    write_cifar(tmp_path, **dict([file]))
    with one_line("cifar-10-batches-py"):
        CIFAR10LT(root=tmp_path, factor=0.5).read()


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02r\xff\xff\xff\xff.",  # a place in the memory of a reader that would have four billion of them
        b"\x80\x05\x8e\xff\xff\xff\xff\xff\x00\x00\x00x.",  # terabytes announced
        pickle.dumps(BATCH, 2).replace(b"M\x00\x0c", b"J\xff\xff\xff\x7f"),  # an array of another shape than its bytes
    ],
    ids=["memory", "length", "shape"],
)
def test_a_pickle_that_says_it_is_large_takes_no_time(content: bytes, tmp_path: Path) -> None:
    write_cifar(tmp_path, data_batch_1=content)
    with pytest.raises(InputError, match="data_batch_1"):
        CIFAR10LT(root=tmp_path).read()


POLYGON = [[1, 2, 6, 2, 6, 8, 1, 8]]
COCO = {
    "images": [
        {"id": i, "height": 20, "width": 30, "file_name": f"{i}.jpg", "neg_category_ids": [2]} for i in range(4)
    ],
    "categories": [{"id": 1, "name": "a", "frequency": "r"}, {"id": 2, "name": "b", "frequency": "c"}],
    "annotations": [
        {
            **{"id": i, "image_id": i % 4, "category_id": 1 + i % 2, "bbox": [1, 2, 5, 6], "area": 30, "iscrowd": 0},
            "segmentation": POLYGON if i % 2 else {"size": [20, 30], "counts": [100, 50, 450]},
        }
        for i in range(6)
    ],
}


def use_annotations(file: Path, skip_bad: bool) -> None:
    annotations = read_annotations(file, masks=True, skip_bad=skip_bad)
    annotations.truth(masks=True)
    for k in range(len(annotations.ids)):
        annotations.mask(k)


@fuzz
@given(content=st.one_of(trees(COCO).map(as_json), contents(as_json(COCO))))
def test_annotations(content: bytes, tmp_path: Path) -> None:
    pytest.importorskip("faster_coco_eval")
    file = tmp_path / "train.json"
    file.write_bytes(content)
    for skip_bad in (False, True):
        with one_line("train.json"):
            use_annotations(file, skip_bad)
    with one_line("train.json"):
        image_ids([Listed("0.jpg", "0.jpg"), Listed("1.jpg", "1.jpg")], file)


@pytest.mark.parametrize("number", [2**63, -(2**70), 1e999])
def test_ids_beyond_64_bits(number: float, tmp_path: Path) -> None:
    file = tmp_path / "train.json"
    file.write_text(json.dumps({"images": [{"id": number, "file_name": "0.jpg"}]}))
    with pytest.raises(InputError, match=r"train\.json: cannot read ids"):
        image_ids([Listed("0.jpg", "0.jpg")], file)
    assert image_ids([Listed(f"{10**20}.jpg", "")], None) == [1], "a name that is no such number counts as a name"


@settings(parent=fuzz, max_examples=15)
@given(data=st.data())
def test_a_damaged_cache_is_not_used(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    pytest.importorskip("faster_coco_eval")
    file = tmp_path_factory.mktemp("coco") / "train.json"
    file.write_bytes(as_json(COCO))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "_CACHED_FROM", 0)
        truth = read_annotations(file, masks=True).truth(masks=True)
        (folder,) = (file.parent / ".longtail").iterdir()
        part = data.draw(st.sampled_from(sorted(folder.iterdir())))
        part.write_bytes(data.draw(contents(part.read_bytes())))
        assert read_annotations(file, masks=True).truth(masks=True) == truth


def write_egtea(root: Path) -> bytes:
    clips = [f"P{i}-R{i}-X-{j}" for i in range(3) for j in range(4)]
    for clip in clips:
        (root / f"{clip}.mp4").touch()
    content = "".join(f"{clip} {1 + k % 3} {1 + k % 2} {1 + k % 4} 2\n" for k, clip in enumerate(clips)).encode()
    for name in EGTEA.files.values():
        (root / name).write_bytes(content)
    return content


@fuzz
@given(data=st.data())
def test_split_files_of_egtea(data: st.DataObject, tmp_path: Path) -> None:
    content = write_egtea(tmp_path)
    (tmp_path / EGTEA.files["train"]).write_bytes(data.draw(contents(content)))
    with one_line(EGTEA.files["train"]):
        EGTEA(root=tmp_path).list_images()


@pytest.mark.parametrize(
    ("write", "read", "name"),
    [
        (write_egtea, lambda root: EGTEA(root=root).list_images(), EGTEA.files["train"]),
        (write_cifar, lambda root: CIFAR10LT(root=root).read(), "cifar-10-batches-py/test_batch"),
    ],
)
def test_a_folder_in_the_place_of_a_file(
    write: Callable[[Path], object], read: Callable[[Path], object], name: str, tmp_path: Path
) -> None:
    write(tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=Path(name).name):
        read(tmp_path)
