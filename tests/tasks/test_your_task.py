"""A task from outside the package, as docs/your_task.md shows it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from command import fails, results
from pages import write_files
from PIL import Image

import longtail
from longtail.cli.main import main
from longtail.inference import export_run, load_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page, and a run of the task."""
    folder = tmp_path_factory.mktemp("ordinal")
    files = ["ordinal_task.py", "ordinal_predictor.py", "ordinal.yaml", "ordinal_data.py"]
    assert write_files("your_task.md", folder) == files
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LONGTAIL_RUN", raising=False)
        trust = ["--trust", "ordinal_task", "--trust", "ordinal_predictor"]
        options = ["--epochs", "2", "--monitor", "distance", *trust]
        assert main(["fit", "--recipe", "ordinal.yaml", "--run", "run", *options]) == 0
    return folder


@pytest.fixture(autouse=True)
def beside_the_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_its_figures_stand_in_the_results(folder: Path) -> None:
    content = results(folder / "run")
    assert (content["task"], content["predictor"]) == ("ordinal recognition", "ordinal_predictor.OrdinalPredictor")
    assert content["words"]["distance"]["label"] == "Distance"
    distances = [epoch["val"]["distance"] for epoch in content["history"]]
    assert content["best_epoch"] == 1 + distances.index(min(distances)), "less is better"
    evaluation = content["evaluations"][0]
    near = [value for value in evaluation["per_class"]["near"] if value is not None]
    assert evaluation["metrics"]["near"] == pytest.approx(sum(near) / len(near))


def test_its_pages_use_its_words(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "run", "--output", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "of the answers are near, with every class counting the same" in page
    assert "classes between answer and truth, over images" in page
    assert "As recorded" not in page
    assert main(["compare", "run", "run", "--output", str(tmp_path / "compare.html")]) == 0
    assert "Distance" in capsys.readouterr().out
    assert "near, few-shot" in (tmp_path / "compare.html").read_text()


def test_it_is_evaluated_again(folder: Path) -> None:
    before = results(folder / "run")["evaluations"]
    assert main(["test", "run"]) == 0
    assert sorted(results(folder / "run")["evaluations"], key=str) == sorted(before, key=str)


def test_it_predicts_with_options_of_its_own(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    own = ["--places", "3"]
    for words in (["run", str(picture), *own], [*own, "run", str(picture)], ["run", *own, str(picture)]):
        assert main(["predict", *words]) == 0
        answers = json.loads(capsys.readouterr().out)
        assert 0 <= answers[str(picture)] <= 9
    assert "this one is of ordinal recognition" in fails(capsys, "predict", "run", str(picture), "--top-k", "2")
    with pytest.raises(SystemExit):
        main(["predict", "run", "--help"])
    text = capsys.readouterr().out
    assert "--places" in text
    assert "--top-k" not in text


def test_it_exports(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    assert type(load_run(Path("run"))).__name__ == "OrdinalPredictor"
    assert [path.name for path in export_run(Path("run"), tmp_path)] == ["model.onnx", "model.safetensors"]


def test_its_logits_are_adjusted_and_its_network_serves_a_second_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tradeoff", "run", "--output", str(tmp_path / "page.html")]) == 0
    (record,) = json.loads((tmp_path / "page.json").read_text())["runs"]
    start = next(point for point in record["points"] if point["strength"] == 0)
    assert start["top1"] is not None
    assert "next: longtail export run" in capsys.readouterr().out
    stage = ["fit", "--recipe", "second/ce", "--from", "run", "--run", str(tmp_path / "stage"), "--epochs", "1"]
    assert main(stage) == 0
    assert results(tmp_path / "stage")["train_counts"] == results(Path("run"))["train_counts"]
    assert "Comparison" not in capsys.readouterr().out, "the figures of another task are others"


def test_a_set_for_it_is_looked_at_with_its_words_its_limits_and_its_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["data", "ordinal_data.OrdinalDigits", "--no-copies", "--json", str(tmp_path / "about.json")]
    assert main(args) == 0
    content = json.loads((tmp_path / "about.json").read_text())
    assert content["thresholds"] == results(Path("run"))["thresholds"] == {"many": 100, "few": 10}
    assert content["grain"] == "digits"
    assert content["recipe"] == "ordinal.yaml"
    assert "longtail fit --data ordinal_data.OrdinalDigits --recipe ordinal.yaml" in capsys.readouterr().out


def test_nobody_asks_whether_a_run_is_of_a_task_by_its_name() -> None:
    pattern = re.compile(r"""task["']?\]? (==|!=|in|not in) ["'(\[{]""")
    assert pattern.search('if results["task"] != "classification":')
    assert [file for file in Path(longtail.__file__).parent.rglob("*.py") if pattern.search(file.read_text())] == []
