"""Reading and writing results.json."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import longtail.reports
from longtail.errors import InputError
from longtail.reports.groups import ends, group_of, group_sizes
from longtail.reports.results import final_evaluation, load_results, ordered_evaluations, save_results
from longtail.writing import write_atomically

from .sample import make_detection, make_results, make_segmentation, write_run


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    results = make_results(hostile=True)
    assert load_results(write_run(tmp_path, results)) == results
    assert os.listdir(tmp_path) == ["results.json"]  # noqa: PTH208 - hidden files count


def test_numbers_that_json_lacks_become_null(tmp_path: Path) -> None:
    results = make_results()
    results["history"][0]["train"]["loss"] = float("nan")
    results["evaluations"][0]["metrics"]["top1"] = float("inf")
    content = load_results(write_run(tmp_path, results))
    assert content["history"][0]["train"]["loss"] is None
    assert content["evaluations"][0]["metrics"]["top1"] is None
    text = (tmp_path / "results.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in the file"))


def test_numbers_that_json_lacks_are_read_as_null(tmp_path: Path) -> None:
    text = json.dumps({**make_results(), "seconds": float("nan")})
    (tmp_path / "results.json").write_text(text, encoding="utf-8")
    assert load_results(tmp_path)["seconds"] is None


def test_the_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    write_run(tmp_path, make_results())
    (tmp_path / "other").touch()
    assert (tmp_path / "results.json").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path, make_results(seed=1))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"results\.json: cannot be written \(No space left on device\)"):
        save_results(tmp_path, make_results(seed=2))
    assert load_results(tmp_path)["seed"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_interrupted_save_removes_its_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "page.html", "text")
    assert not list(tmp_path.iterdir())


def test_saving_into_a_missing_folder_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone/results\.json: cannot be written"):
        save_results(tmp_path / "gone", make_results())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file; give the folder of a run"),
        ("{", "not valid JSON"),
        ("[]", "format None instead of 1"),
        ('{"format": 2}', "format 2 instead of 1"),
        ('{"format": 1, "name": "x"}', "lacks best_epoch, classes"),
        (b"\xff\xfe", "not valid JSON"),
    ],
)
def test_unusable_file(tmp_path: Path, text: str | bytes | None, message: str) -> None:
    if text is not None:
        (tmp_path / "results.json").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError, match=message) as error:
        load_results(tmp_path)
    assert str(error.value).startswith(str(tmp_path / "results.json"))
    assert "\n" not in str(error.value)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone: no such folder; give the folder of a run"):
        load_results(tmp_path / "gone")


def test_lists_of_different_length(tmp_path: Path) -> None:
    results = make_results()
    results["evaluations"][0]["per_class"]["accuracy"].pop()
    write_run(tmp_path, results)
    with pytest.raises(InputError, match="per_class lists do not have 10 entries"):
        load_results(tmp_path)
    results = make_results()
    results["train_counts"].pop()
    write_run(tmp_path, results)
    with pytest.raises(InputError, match="10 classes but 9 entries in train_counts"):
        load_results(tmp_path)


def test_lists_of_a_task(tmp_path: Path) -> None:
    results = make_detection()
    assert load_results(write_run(tmp_path, results)) == results
    results["label_counts"].pop()
    write_run(tmp_path, results)
    with pytest.raises(InputError, match="10 classes but 9 entries in label_counts"):
        load_results(tmp_path)
    for results, name in (
        (make_results(), "accuracy"),
        (make_detection(masks=False), "box_ap"),
        (make_segmentation(), "iou"),
    ):
        del results["evaluations"][0]["per_class"][name]  # type: ignore[misc]
        write_run(tmp_path, results)
        with pytest.raises(InputError, match=rf"an evaluation whose per_class lacks {name};"):
            load_results(tmp_path)


@pytest.mark.parametrize("key", ["task", "predictor", "grain"])
@pytest.mark.parametrize("value", [None, ["detection"], {}, "left out"])
def test_a_run_that_does_not_introduce_itself_is_of_another_version(tmp_path: Path, key: str, value: Any) -> None:
    results: Any = make_results()
    results[key] = value
    if value == "left out":
        del results[key]
    write_run(tmp_path, results)
    message = rf"results\.json: unknown {key} .+; read it with the version of longtail that"
    with pytest.raises(InputError, match=message) as error:
        load_results(tmp_path)
    assert "\n" not in str(error.value)


def test_a_task_of_ones_own_is_read(tmp_path: Path) -> None:
    results = make_results()
    results["task"] = "pose"
    assert load_results(write_run(tmp_path, results))["task"] == "pose"


def test_class_accuracies_of_another_length(tmp_path: Path) -> None:
    results = make_results()
    results["history"][1]["class_accuracy"] = [0.5]
    write_run(tmp_path, results)
    with pytest.raises(InputError, match="an epoch whose class_accuracy does not have 10 entries"):
        load_results(tmp_path)


def test_the_ends_of_the_groups() -> None:
    assert ends({"few", "many", "medium"}) == ("many", "few")
    assert ends(["few", "medium"]) == ("medium", "few")
    assert ends(["few"]) is None
    assert ends([]) is None


def test_test_counts_before_val_and_last_before_best() -> None:
    results = make_results()
    best, last = results["evaluations"]
    val = {**last, "split": "val"}
    results["evaluations"] = [val, best, last]  # type: ignore[list-item]
    assert final_evaluation(results) is last
    assert ordered_evaluations(results) == [last, best, val]
    results["evaluations"] = []
    assert final_evaluation(results) is None


def test_groups_at_their_limits() -> None:
    thresholds = make_results()["thresholds"]
    assert [group_of(count, thresholds) for count in (101, 100, 20, 19, 0)] == [
        "many",
        "medium",
        "medium",
        "few",
        "few",
    ]
    assert group_sizes([500, 100, 5, 6], thresholds) == {"many": 1, "medium": 1, "few": 2}


def test_reports_need_neither_torch_nor_lightning() -> None:
    packages = set()
    for path in Path(longtail.reports.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                packages |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                packages.add((node.module or "").split(".")[0])
    expected = {"longtail", "numpy", "matplotlib", "rich", "PIL", "yaml", "jinja2", "markupsafe"}
    assert packages - set(sys.stdlib_module_names) == expected


def test_matplotlib_is_imported_only_to_draw() -> None:
    code = "import sys, longtail.reports.report, longtail.reports.compare; print('matplotlib' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "False"


def test_saved_json_is_plain_ascii(tmp_path: Path) -> None:
    write_run(tmp_path, make_results(hostile=True))
    assert json.loads((tmp_path / "results.json").read_text(encoding="ascii"))["format"] == 1
