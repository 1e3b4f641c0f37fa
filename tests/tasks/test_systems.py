"""The systems as the command line trains them: difficulty, sampling, queue and teacher through a whole run."""

import json
from pathlib import Path

import pytest
import torch
from command import results

from longtail.cli.main import main
from longtail.cli.options import without
from longtail.data.images.digits import DigitsLT
from longtail.data.sampling import DifficultySampling, Labels, PowerSampling, RepeatFactorSampling, Sampling
from longtail.inference import load_run

DIGITS = ["fit", "--recipe", "digits_lt/ce", "--precision", "32-true", "--trainer.enable_progress_bar", "false"]
TEACHER = """\
about: the teacher
base: digits_lt/ce
trainer:
  max_epochs: 1
model:
  init_args:
    method:
      init_args:
        backbone:
          init_args: {name: resnet8_cifar}
        classifier: longtail.models.CosineClassifier
        loss: longtail.losses.LogitAdjustedLoss
"""
STUDENT = """\
about: the student
base: digits_lt/bcl
teacher: {teacher}
model:
  init_args:
    method:
      class_path: longtail.methods.GMLTeacher
      init_args:
        teacher:
          class_path: longtail.models.Backbone
          init_args: {{name: resnet8_cifar}}
        backbone:
          class_path: longtail.models.Backbone
          init_args: {{name: resnet8_cifar}}
"""


def state(run: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
    return tensors


def test_weights_and_draws_follow_the_validation_through_one_object(tmp_path: Path) -> None:
    options = ["--model.method.loss", "longtail.losses.ClassDifficultyLoss", "--model.difficulty.tau", "1.5"]
    sampling = ["--data.sampling", "longtail.data.DifficultySampling"]
    assert main([*DIGITS, "--epochs", "2", "--run", str(tmp_path / "run"), *options, *sampling]) == 0
    accuracies = results(tmp_path / "run")["history"][-1]["class_accuracy"]
    tensors = state(tmp_path / "run")
    assert tensors["difficulty.accuracy"].tolist() == pytest.approx(accuracies, abs=1e-4)
    assert torch.equal(tensors["method.loss.difficulty.accuracy"], tensors["difficulty.accuracy"])


@pytest.mark.parametrize("sampling", [PowerSampling(0.5), PowerSampling(progressive=True), DifficultySampling()])
def test_a_sampling_draws_as_many_rows_and_draws_for_each_time(sampling: Sampling) -> None:
    data = DigitsLT(sampling=sampling, batch_size=16)
    pairs = [pair for batch in data.batches("train") for pair in batch]
    rows = len(data.splits.train)
    assert len(pairs) == rows
    assert len({row for row, _ in pairs}) < rows, "rows come with replacement"
    assert len({draw for _, draw in pairs}) == rows, "a row that comes again is augmented anew"


def test_repeat_factors_lengthen_the_epoch() -> None:
    data = DigitsLT(sampling=RepeatFactorSampling(0.1), batch_size=16)
    batches = data.batches("train")
    assert sum(len(batch) for batch in batches) > len(data.splits.train)
    assert len(list(batches)) == len(batches)


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        # shares 0.9, 0.09 and 0.01; factors sqrt(0.33 / 0.09) = 1.915 and sqrt(0.33 / 0.01) = 5.745, so an epoch has
        # 900 + 90 * 1.915 + 10 * 5.745 = 1129.8
        (
            0.001,
            "repeat-factor sampling at threshold 0.001 repeats 0 of 1,000 images, as every class has a larger share of "
            "them: --data.sampling.threshold 0.33, the mean share, would repeat 100, and an epoch have about 1,130",
        ),
        # sqrt(0.04 / 0.01) = 2 for ten images
        (0.04, "repeat-factor sampling at threshold 0.04 repeats 10 of 1,000 images: an epoch has about 1,010"),
    ],
)
def test_how_many_images_are_repeated_is_told(threshold: float, words: str) -> None:
    labels = Labels(torch.arange(3).repeat_interleave(torch.tensor([900, 90, 10])), None, 1000)
    assert RepeatFactorSampling(threshold).about(labels, "image") == words
    equal = Labels(torch.arange(4).repeat_interleave(5), None, 20)
    assert "repeats 0 of 20 videos, as the classes are of equal size" in RepeatFactorSampling().about(equal, "video")
    assert PowerSampling().about(labels, "image") is None


def test_it_is_told_before_the_training_alone(log: pytest.LogCaptureFixture) -> None:
    data = DigitsLT(sampling=RepeatFactorSampling(), batch_size=16)
    data.setup("validate")
    assert log.messages == []
    data.setup("fit")
    assert len(log.messages) == 1
    assert "repeats 0 of 294 images" in log.messages[0]


def test_a_sampling_is_for_training_alone() -> None:
    data = DigitsLT(sampling=PowerSampling(), batch_size=16)
    rows = [row for batch in data.batches("val") for row, _ in batch]
    assert rows == list(range(len(rows)))


def test_a_teacher_is_trained_first_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("teacher.yaml").write_text(TEACHER)
    Path("student.yaml").write_text(STUDENT.format(teacher=tmp_path / "teacher.yaml"))
    args = ["fit", "--recipe", "student.yaml", *DIGITS[3:], "--epochs", "1"]
    assert main([*args, "--run", "student"]) == 0
    trained = state(Path("student-teacher"))
    tensors = state(Path("student"))
    for name, value in trained.items():
        if name.startswith(("method.backbone.", "method.classifier.")):
            assert torch.equal(tensors[name.replace("method.", "method.key_encoder.")], value), name

    time = Path("student-teacher/last.ckpt").stat().st_mtime_ns
    assert main([*args, "--run", "again", "--teacher", "student-teacher"]) == 0
    assert Path("student-teacher/last.ckpt").stat().st_mtime_ns == time
    Path("student-teacher/last.ckpt").unlink()
    assert load_run(Path("student")).method.num_classes == 10, "a run is used without its teacher's run"
    assert main(["fit", "--resume", "student", "--epochs", "2"]) == 0, "and gone on with"


def test_a_teacher_for_a_recipe_without_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DIGITS, "--teacher", "somewhere"]) == 2
    assert 'the recipe "digits_lt/ce" has no teacher: leave out --teacher' in capsys.readouterr().err


def test_options_go_with_their_values() -> None:
    options = ["--model.lr", "3", "--epochs", "2", "--data.views=[a]", "--data.views", "[b, c]", "--seed", "1"]
    assert without(options, ("--model.", "--data.views")) == ["--epochs", "2", "--seed", "1"]


def test_a_loss_leaves_its_temperature_out_of_weight_decay(tmp_path: Path) -> None:
    method = ["--model.method", "longtail.methods.GML", "--model.method.queue_size", "60"]
    recipe = ["fit", "--recipe", "digits_lt/bcl", *DIGITS[3:], "--epochs", "1", "--run", str(tmp_path / "run")]
    assert main([*recipe, *method]) == 0
    checkpoint = torch.load(tmp_path / "run/last.ckpt", weights_only=True)
    decayed, rest = checkpoint["optimizer_states"][0]["param_groups"]
    assert (decayed["weight_decay"] > 0, rest["weight_decay"], len(rest["params"])) == (True, 0.0, 1)
    assert "method.contrastive.log_temperature" in checkpoint["state_dict"]
    assert (checkpoint["state_dict"]["method.queue.targets"] >= 0).any()


DISTILLED = """\
about: one network that learns from two
base: digits_lt/ce
teacher: [{first}, digits_lt/bcl]
model:
  init_args:
    method:
      class_path: longtail.methods.Distilled
      init_args:
        backbone:
          class_path: longtail.models.Backbone
          init_args: {{name: resnet8_cifar}}
"""


def test_several_teachers_of_any_kind_are_trained_first_and_taken_by_their_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plain.yaml").write_text(TEACHER)
    Path("distilled.yaml").write_text(DISTILLED.format(first=tmp_path / "plain.yaml"))
    args = ["fit", "--recipe", "distilled.yaml", *DIGITS[3:], "--epochs", "1"]
    assert main([*args, "--run", "student"]) == 0
    runs = [Path("student-teacher-plain"), Path("student-teacher-bcl")]
    times = [(run / "last.ckpt").stat().st_mtime_ns for run in runs]
    tensors = state(Path("student"))
    for i, run in enumerate(runs):
        for name, value in load_run(run).method.state_dict().items():
            assert torch.equal(tensors[f"method.teachers.methods.{i}.{name}"], value), name
    assert {"classifier", "distillation"} <= results(Path("student"))["history"][-1]["train"].keys()

    assert main([*args, "--run", "again", "--teacher", str(runs[1])]) == 0
    assert times == [(run / "last.ckpt").stat().st_mtime_ns for run in runs]
    for run in runs:
        (run / "last.ckpt").unlink()
        (run / "best.ckpt").unlink()
    assert len(load_run(Path("again")).method.teachers.methods) == 1, "a run is used without its teachers' runs"
    assert main(["fit", "--resume", "again", "--epochs", "2"]) == 0, "and gone on with"

    capsys.readouterr()
    assert main([*args, "--run", "third", "--teacher", "nowhere"]) == 2
    assert "--teacher nowhere: no run is there; train it first" in capsys.readouterr().err
    content = json.loads(Path("again/results.json").read_text())
    content["classes"].reverse()
    Path("again/results.json").write_text(json.dumps(content))
    assert main([*args, "--run", "third", "--teacher", "again"]) == 2
    assert "the teacher again has other classes than" in capsys.readouterr().err
    assert not Path("third").exists()
