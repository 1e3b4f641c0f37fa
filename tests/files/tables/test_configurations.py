"""The configurations of a set in the head of its README.md."""

from pathlib import Path

import pytest
from refusal import refusal_of

from longtail.errors import InputError
from longtail.files.tables.configurations import configuration, configuration_names
from longtail.files.tables.features import features_of

FILES = (
    *("data/train-0.parquet", "data/train-1.parquet", "data/val-0.parquet", "extra/a/more.parquet"),
    *(".hidden/train-9.parquet", "small/train.parquet", "small/test.parquet"),
)


def write(root: Path, configs: str) -> Path:
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "README.md").write_text(f"---\nlicense: mit\nconfigs:\n{configs}---\n# A set\n")
    return root


def splits(root: Path, name: str | None = None) -> dict[str, str]:
    files = configuration(root, name).splits
    assert files is not None
    return {file.relative_to(root).as_posix(): split for file, split in sorted(files.items())}


BOTH = {"data/train-0.parquet": "train", "data/train-1.parquet": "train"}


@pytest.mark.parametrize(
    ("data_files", "expected"),
    [
        ("[{split: train, path: data/train-*}]", BOTH),
        ("[{split: train, path: ['data/train-0.parquet', data/train-1.parquet]}]", BOTH),
        ("{train: data/train-*.parquet, validation: [data/val-0.parquet]}", BOTH | {"data/val-0.parquet": "val"}),
        ("data/train-?.parquet", BOTH),
        ("['data/train-[0-9].parquet']", BOTH),
        ("[{split: train, path: '**/train-*'}]", BOTH),
        ("[{split: train, path: 'extra/**'}]", {"extra/a/more.parquet": "train"}),
        ("[{split: train, path: '**/*.parquet'}]", {name: "train" for name in FILES if name[0] != "."}),
        ("[{split: everything, path: data/val-*}]", {"data/val-0.parquet": "all"}),
    ],
)
def test_patterns(tmp_path: Path, data_files: str, expected: dict[str, str]) -> None:
    root = write(tmp_path, f"- config_name: default\n  data_files: {data_files}\n")
    assert splits(root) == expected


SEVERAL = """- config_name: small
  data_dir: small
- config_name: large
  data_files:
  - split: train
    path: data/train-*
  - split: unsupervised
    path: extra/**
- config_name: inner
  data_dir: small
  data_files: {train: train.parquet, test: test*}
"""


def test_several_configurations(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    root = write(tmp_path, SEVERAL)
    assert configuration_names(root) == ["small", "large", "inner"]
    message = f"{root} has several configurations, small, large, inner: give one, by --data.configuration small"
    assert refusal_of(lambda: configuration(root)) == message
    small = configuration(root, "small")
    assert (small.folder, small.splits, small.words) == (root / "small", None, "")
    assert splits(root, "large") == BOTH
    assert "configuration large: unsupervised is neither train, val nor test, and left out" in log.text
    assert splits(root, "inner") == {"small/test.parquet": "test", "small/train.parquet": "train"}
    with pytest.raises(InputError, match=r"has no such configuration, only small, large, inner: give one$"):
        configuration(root, "huge")


@pytest.mark.parametrize("mark", ["default: true", "config_name: default"])
def test_the_default_is_taken_and_told(tmp_path: Path, mark: str) -> None:
    name = "default" if "config_name" in mark else "main"
    entry = f"- config_name: {name}\n  data_files: data/train-*\n" + ("  default: true\n" if name == "main" else "")
    choice = configuration(write(tmp_path, SEVERAL + entry))
    assert choice.name == name
    ways = "(--data.configuration small)"
    assert choice.words == f"configuration {name} taken, not small, large, inner {ways}; "


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("data_files: data/none-*", "configuration default: no file fits data/none-*, of train; copy it there"),
        ("data_files: ../*", "no file fits ../*, of train"),
        ("data_files: 'hf://datasets/o/n/train.parquet'", "no file fits hf://datasets/o/n/train.parquet, of train"),
        ("data_dir: nowhere", "no folder nowhere in the set; copy it there"),
        ("data_dir: ../", "no folder .. in the set"),
        ("data_files: 7", "data_files are no paths, nor a path for each split; correct them"),
        ("data_files: [{split: train}]", "data_files are no paths, nor a path for each split; correct them"),
        ("data_files: []", "data_files are no paths, nor a path for each split"),
        ("data_files: {train: [1]}", "data_files are no paths, nor a path for each split"),
        ("data_files: {dev: data/val*, validation: data/train-1*}", "two splits stand for val, dev, validation"),
        ("data_files: {a: data/val*, b: data/train-1*}", "none of its splits is for training, a, b"),
        ("data_files: {train: 'data/*', test: data/val-*}", "val-0.parquet is in two splits"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, config: str, message: str) -> None:
    root = write(tmp_path, f"- config_name: default\n  {config}\n")
    assert message in refusal_of(lambda: configuration(root))


@pytest.mark.parametrize(
    "head", ["", "---\nconfigs: 3\n---\n", "---\nconfigs: [a]\n---\n", "---\n: : [\n---\n", "---\n"]
)
def test_other_heads_say_nothing(tmp_path: Path, head: str) -> None:
    (tmp_path / "README.md").write_text(head)
    choice = configuration(tmp_path)
    assert (choice.folder, choice.splits, choice.words) == (tmp_path, None, "")
    with pytest.raises(InputError, match=r"README\.md there has none: leave it out"):
        configuration(tmp_path, "small")


INFO = """---
dataset_info:
- config_name: small
  features:
  - name: image
    dtype: image
  - name: objects
    list:
    - name: bbox
      list: float32
      length: 4
    - name: category
      dtype:
        class_label:
          names:
            '0': ant
            '1': bee
- config_name: large
  features:
  - name: label
    dtype: {class_label: {names: {'0': cow}}}
  - name: objects
    struct:
    - name: category
      list: {class_label: {names: {'0': cat, '10': owl, '2': dog}}}
  - name: old
    sequence:
    - name: category
      dtype: {class_label: {names: {'0': elk}}}
---
"""


def test_names_of_classes_are_those_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(INFO)
    file = tmp_path / "data" / "all" / "train.parquet"
    small, large = (features_of(file, None, name) for name in ("small", "large"))
    assert (small.images, small.classes, small.inner) == (["image"], {}, {"objects.category": ["ant", "bee"]})
    assert large.classes == {"label": ["cow"]}
    assert large.inner == {"objects.category": ["cat", "dog", "owl"], "old.category": ["elk"]}
    assert features_of(tmp_path / "large" / "a.parquet", None) == large, "by the folder"
