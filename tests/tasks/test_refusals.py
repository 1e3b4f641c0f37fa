"""What the parser refuses, in one line."""

import pytest
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
