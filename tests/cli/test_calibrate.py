"""Calibration, other class frequencies and sets of classes, from the command line."""

import csv
import json
import re
from pathlib import Path

import pytest
import torch
from command import FIT_DIGITS, fails, results

from longtail.cli.main import main
from longtail.data import DigitsLT
from longtail.inference import load_run
from longtail.inference.calibration import Calibration
from longtail.metrics.calibration import probability_figures
from longtail.posthoc.scaling import SCALINGS
from longtail.reports.calibration import FILE_NAME
from longtail.tasks.calibration import AUTO

CLASSES = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits by cross-entropy, whose logits imply the frequencies of training."""
    run = tmp_path_factory.mktemp("runs") / "ce"
    assert main([*FIT_DIGITS, "--epochs", "8", "--run", str(run)]) == 0
    return run


@pytest.fixture(scope="module")
def calibrated(trained: Path) -> Path:
    assert main(["calibrate", str(trained)]) == 0
    return trained


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Test images of digits in files, three of each class."""
    folder = tmp_path_factory.mktemp("digits")
    data = DigitsLT()
    test = data.split("test")
    assert test is not None
    for digit in range(10):
        for row in (test.targets == digit).nonzero()[0][:3].tolist():
            data.picture("test", row).save(folder / f"{digit}-{row}.png")
    return folder


def test_no_calibration_no_promise(trained: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if (trained / FILE_NAME).exists():
        pytest.skip("calibrated by another test before")
    assert "longtail calibrate RUN" in fails(capsys, "predict", str(trained), str(images), "--coverage", "0.9")
    assert "longtail calibrate RUN" in fails(capsys, "predict", str(trained), str(images), "--prior", "estimate")
    assert main(["predict", str(trained), str(images), "--prior", "uniform"]) == 0  # cross-entropy tells


def test_the_command_offers_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    offered = re.search(r"choose from ([a-z, ']+)", fails(capsys, "calibrate", "run", "--kind", "x"))
    assert offered is not None
    assert re.findall(r"[a-z]+", offered[1]) == [AUTO, *SCALINGS]


def test_calibration_improves_what_it_fits(calibrated: Path) -> None:
    content = json.loads((calibrated / FILE_NAME).read_text())
    before, after = (content["figures"]["all"][time]["metrics"] for time in ("before", "after"))
    assert after["negative_log_likelihood"] < before["negative_log_likelihood"]
    assert content["images"] == [10] * 10
    assert {name: figures["after"]["images"] for name, figures in content["figures"].items()} == {
        **{"all": 100, "many": 10, "medium": 30, "few": 60}
    }


def test_the_figures_before_are_those_of_the_network(calibrated: Path) -> None:
    from longtail.tasks.logits import logits_of

    path, _, logits, targets = logits_of(calibrated, "val")
    calibration = Calibration.read(calibrated, 10, path.stem)
    assert calibration is not None
    expected = probability_figures(logits.softmax(1), targets)
    figures = calibration.figures["all"]["before"]["metrics"]
    assert figures == pytest.approx({name: float(value) for name, value in expected.items()}, abs=1e-6)
    shares = calibration.log_probabilities(logits).exp()[torch.arange(100), targets]
    assert calibration.true != shares.tolist(), "fitted on others"
    assert calibration.true == pytest.approx(shares.tolist(), abs=0.3)


def rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text().splitlines()))


def test_sets_hold_the_most_probable_classes(calibrated: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    command = ["predict", str(calibrated), str(images), "--output", str(out), "--top-k", "10"]
    sizes = []
    for coverage in ("0.5", "0.9"):
        out.unlink(missing_ok=True)
        assert main([*command, "--coverage", coverage, "--sets", "marginal"]) == 0
        sets = [row["set"].split("|") for row in rows(out)]
        sizes.append(sum(map(len, sets)))
        for row, names in zip(rows(out), sets, strict=True):
            assert names == [row[f"class_{rank + 1}"] for rank in range(len(names))]
    assert 30 <= sizes[0] < sizes[1]
    out.unlink()
    assert main([*command, "--coverage", "0.9"]) == 0  # by prevalence: rare classes before more probable ones
    for row in rows(out):
        ranks = {row[f"class_{rank}"]: rank for rank in range(1, 11)}
        assert row["class_1"] in row["set"].split("|")
        assert [ranks[name] for name in row["set"].split("|")] == sorted(ranks[name] for name in row["set"].split("|"))
    out.unlink()
    assert main([*command, "--coverage", "0.9", "--sets", "class", "--format", "jsonl"]) == 0
    assert all("set" in json.loads(line) for line in out.read_text().splitlines())


def test_a_prior_is_what_the_posterior_is_multiplied_by(calibrated: Path, images: Path, tmp_path: Path) -> None:
    """Probabilities under the file's frequencies are those under equal ones times the file's, normalised."""
    prior = {name: 2.0 ** -(c + 1) for c, name in enumerate(CLASSES)}
    prior["9"] *= 2  # to sum to 1
    for name, text in (("p.json", json.dumps(prior)), ("p.csv", "\n".join(f"{k},{v}" for k, v in prior.items()))):
        (tmp_path / name).write_text(text)
    answers = {}
    for value in ("uniform", str(tmp_path / "p.json"), str(tmp_path / "p.csv")):
        out = tmp_path / f"{len(answers)}.csv"
        command = ["predict", str(calibrated), str(images), "--prior", value, "--top-k", "10", "--output", str(out)]
        assert main(command) == 0
        answers[value] = [
            {row[f"class_{k}"]: float(row[f"probability_{k}"]) for k in range(1, 11)} for row in rows(out)
        ]
    uniform, weighted, table = answers.values()
    assert weighted == table
    for flat, share in zip(uniform, weighted, strict=True):
        joint = {name: flat[name] * prior[name] for name in CLASSES}
        assert share == pytest.approx({name: value / sum(joint.values()) for name, value in joint.items()}, abs=1e-4)


def test_the_frequencies_of_the_images_are_estimated(
    calibrated: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(calibrated), str(images), "--prior", "estimate", "--output", str(tmp_path / "out.csv")]
    assert main(command) == 0
    errors = capsys.readouterr().err
    assert "class frequencies of 30 images, estimated (95 % interval): " in errors
    assert "uncertain" in errors
    path = sorted(images.iterdir())[0]
    assert "at least as many images as classes, got 1 for 10" in fails(
        capsys, "predict", str(calibrated), str(path), "--prior", "estimate"
    )


def test_the_exported_model_is_calibrated(calibrated: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert main(["export", str(calibrated), "--prior", "uniform", "--output", str(tmp_path)]) == 0
    classifier = load_run(calibrated)
    pixels = torch.randint(0, 256, (3, *classifier.shape), dtype=torch.uint8)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    logits = torch.from_numpy(session.run(None, {"images": classifier.normalise(pixels).numpy()})[0])
    expected = classifier.posterior.under("uniform")(classifier.logits(pixels))
    torch.testing.assert_close(logits.softmax(1), expected, atol=1e-4, rtol=1e-3)


def test_a_split_is_measured_under_other_frequencies(calibrated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = results(calibrated)
    assert main(["test", str(calibrated), "--prior", "uniform"]) == 0
    output = capsys.readouterr().out
    assert "--prior uniform" in output
    assert "Balanced accuracy" in output
    assert results(calibrated) == before


def test_a_split_is_measured_with_adjusted_logits(calibrated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Strength 0 changes nothing; one that lets nothing but the counts decide predicts the smallest class always."""
    assert main(["test", str(calibrated), "--strength", "0"]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "Balanced accuracy" in line]
    before, after = re.findall(r"[\d.]+%", row)
    assert before == after
    assert main(["test", str(calibrated), "--strength", "100"]) == 0
    output = capsys.readouterr().out
    assert "--strength 100" in output
    assert re.search(r"Balanced accuracy .* 10\.0%", output)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--coverage", "1"], "coverage must be between 0 and 1"),
        (["--coverage", "nan"], "coverage must be between 0 and 1"),
        (["--prior", "nowhere.csv"], "nowhere.csv: cannot be read"),
        (["--prior", "uniform", "--strength", "1"], "leave out one"),
    ],
)
def test_wrong_options_are_one_line(
    calibrated: Path, images: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert message in fails(capsys, "predict", str(calibrated), str(images), *options)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\n".join(f"{c},0.1" for c in range(9)), "lacks the class 9"),
        ("\n".join(f"{c},0.1" for c in [*range(10), "ten"]), "has no class ten"),
        ("\n".join(f"{c},0.2" for c in range(10)), "sum to 2"),
        ("\n".join(f"{c},{0.2 if c else -0.8}" for c in range(10)), "the frequency of 0 is -0.8"),
        ("class,prior\n0,many", "line 2"),
        ("0,0.5\n0,0.5", "line 2 names a class again"),
        ("0,nan", "no list of a class and its frequency"),
        ("", "is empty"),
    ],
)
def test_frequencies_that_cannot_be_used(
    calibrated: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    file = tmp_path / "prior.csv"
    file.write_text(content)
    line = fails(capsys, "predict", str(calibrated), str(images), "--prior", str(file))
    assert message in line
    assert str(file) in line


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"scaling": {"kind": "temperature", "scale": [1], "bias": [0]}}']
)
def test_a_damaged_calibration_is_named(
    calibrated: Path, images: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    file = calibrated / FILE_NAME
    before = file.read_text()
    try:
        file.write_text(content)
        assert str(file) in fails(capsys, "predict", str(calibrated), str(images))
    finally:
        file.write_text(before)


def test_the_report_shows_how_sure_and_how_right(calibrated: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["report", str(calibrated), "--output", str(page)]) == 0
    part = page.read_text().split("<h2>Probabilities</h2>")[1].split("</section>")[0]
    content = json.loads((calibrated / FILE_NAME).read_text())
    for time in ("before", "after"):
        assert f"{content['figures']['few'][time]['metrics']['brier_score']:.3f}" in part
    assert part.count("<svg") == 1
    assert "confidence (%)" in part
