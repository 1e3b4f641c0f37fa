"""What the parser refuses, in one line."""

import pytest
from command import fails
from jsonargparse import ArgumentParser

from longtail.errors import InputError
from longtail.models.backbones import Backbone
from longtail.tasks.refusals import building


@pytest.mark.parametrize(
    ("tuning", "options", "words"),
    [
        ("AdaptFormer", {"bottleneck": 0}, "bottleneck must be at least 1, got 0"),
        ("LoRA", {"rank": 0}, "rank must be at least 1, got 0"),
    ],
)
def test_a_value_that_a_class_refuses_is_named_beside_plain_ones(tuning, options, words):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Backbone, "backbone")
    part = {"class_path": f"longtail.models.{tuning}", "init_args": options}
    spec = {"class_path": "longtail.models.Backbone", "init_args": {"name": "resnet8_cifar", "tuning": part}}
    config = parser.parse_object({"backbone": spec})
    with pytest.raises(InputError) as error, building():
        parser.instantiate(config)
    assert str(error.value) == words


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("--data.preprocessing.mean=[0.5]", 'expected a tuple with 3 elements, got "[0.5]"'),
        ("--data.preprocessing.mean=[0.5,a,0.5]", 'expected float, got "a"'),
        ("--data.preprocessing.interpolation=cubic", 'expected bilinear or bicubic, got "cubic"'),
        ("--data.preprocessing.crop=wide", 'expected float, got "wide"'),
        ("--model.many=x", 'expected int, got "x"'),
        ("--model.optimizer.lr=fast", 'expected float, got "fast"'),
        ("--model.method.backbone.tuning=some", 'expected all or none or the import path of a class, got "some"'),
    ],
)
def test_a_wrong_value_is_answered_with_those_that_are_right(option, line, tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    args = ["--recipe", "ce", "--data", str(tmp_path / "photos"), "--run", str(tmp_path / "run")]
    name = option.split("=")[0]
    assert fails(capsys, "fit", *args, option) == f"longtail: error: {name}: {line}"
    assert not (tmp_path / "run").exists()
