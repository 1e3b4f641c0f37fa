"""The start of a classifier from text, by a tiny model of open_clip and the formula in float64."""

import json
import sys
from pathlib import Path

import pytest
import torch

from longtail.errors import InputError
from longtail.methods import TextFeatures

NAMES = ["sea_lion", "red fox", "bee"]
CONFIG = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("open_clip")
    from open_clip import CLIP
    from safetensors.torch import save_file

    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("clip")
    model = CLIP(**CONFIG)  # type: ignore[arg-type]
    save_file(
        {name: value.clone() for name, value in model.state_dict().items()}, place / "open_clip_model.safetensors"
    )
    (place / "open_clip_config.json").write_text(json.dumps({"model_cfg": CONFIG, "preprocess_cfg": {}}))
    return place


def test_the_weights_are_those_of_the_formula(folder: Path) -> None:
    import open_clip

    templates = ["a photo of a {class}.", "art of {class}"]
    start = TextFeatures(f"local-dir:{folder}", templates=templates)
    assert (start.images, start.reads_names) == (0, True)
    weights = start(torch.zeros(0, 16), torch.zeros(0, dtype=torch.long), NAMES)
    model = open_clip.create_model(f"local-dir:{folder}").eval()
    tokenize = open_clip.get_tokenizer(f"local-dir:{folder}")
    for name, row in zip(["sea lion", "red fox", "bee"], weights, strict=True):
        total = torch.zeros(12, dtype=torch.float64)
        for template in ("a photo of a %s.", "art of %s"):
            with torch.no_grad():
                text = model.encode_text(tokenize([template % name]))[0].double()
            total += text / text.norm()
        text = total / total.norm()
        expected = torch.stack([(p * text).sum() for p in model.visual.proj.double()])
        assert torch.allclose(row.double(), expected / expected.norm(), atol=1e-5)


def test_more_classes_than_are_encoded_at_once(folder: Path) -> None:
    start = TextFeatures(f"local-dir:{folder}")
    empty = torch.zeros(0, 16), torch.zeros(0, dtype=torch.long)
    alone = start(*empty, NAMES)
    torch.testing.assert_close(start(*empty, 86 * NAMES), alone.repeat(86, 1))  # 258, where 256 are


def test_a_backbone_of_another_model_is_one_line(folder: Path) -> None:
    with pytest.raises(InputError, match="makes 16 features, the backbone 20: give --model") as error:
        TextFeatures(f"local-dir:{folder}")(torch.zeros(0, 20), torch.zeros(0, dtype=torch.long), NAMES)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("model", ["local-dir:nowhere", "no-such-model"])
def test_a_model_that_cannot_be_had_is_one_line(model: str) -> None:
    pytest.importorskip("open_clip")
    with pytest.raises(InputError, match="cannot have the text tower of") as error:
        TextFeatures(model, pretrained=None)(torch.zeros(0, 16), torch.zeros(0, dtype=torch.long), NAMES)
    assert "\n" not in str(error.value)


def test_without_open_clip_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(InputError, match=r'pip install "longtail\[text\]"'):
        TextFeatures()(torch.zeros(0, 16), torch.zeros(0, dtype=torch.long), NAMES)


@pytest.mark.parametrize("templates", [[], ["a photo"], ["{class}", "a {}"]])
def test_a_template_has_a_place_for_the_name(templates: list[str]) -> None:
    with pytest.raises(InputError, match="a template wants"):
        TextFeatures(templates=templates)
