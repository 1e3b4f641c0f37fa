"""Sets on Hugging Face's hub, by a fake of it."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from PIL import Image

from longtail.cli.data import data_options
from longtail.cli.hub import downloaded
from longtail.cli.run_folder import run_folder
from longtail.errors import InputError

Hub = Callable[[Callable[..., str]], list[tuple[str, str | None]]]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Puts a function in the place of the download; what it returns fills with what was asked for."""
    monkeypatch.setattr("longtail.cli.data.downloaded", cache(downloaded.__wrapped__))

    def put(answer: Callable[..., str]) -> list[tuple[str, str | None]]:
        requests = []

        def snapshot_download(name: str, *, repo_type: str, revision: str | None) -> str:
            assert repo_type == "dataset"
            requests.append((name, revision))
            return answer()

        monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
        monkeypatch.setattr("longtail.models.downloads.reachable", lambda address: True)
        return requests

    return put


def test_a_set_is_a_folder_once_it_is_fetched(hub: Hub, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "small" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "small" / name / "1.png")
    requests = hub(lambda: str(tmp_path))
    expected = ["--data", "longtail.data.Folder", f"--data.root={tmp_path}"]
    assert data_options("hf:owner/pets", None) == expected
    assert data_options("hf:owner/pets@v1.0", None) == expected
    assert data_options("hf:owner/pets@v1.0:small", None)[-1] == f"--data.root={tmp_path / 'small'}"
    assert data_options("hf:owner/pets", None) == expected
    assert requests == [("owner/pets", None), ("owner/pets", "v1.0"), ("owner/pets", "v1.0")], "once for each name"
    with pytest.raises(
        InputError, match=r"^--data hf:owner/pets:large: the set has no configuration or folder large, only small: give"
    ):
        data_options("hf:owner/pets:large", None)
    assert run_folder("ce", "hf:owner/pets@v1.0:small") == Path("runs/pets-ce")


def test_a_configuration_goes_before_a_folder(hub: Hub, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "small" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "small" / name / "1.png")
    configs = "- {config_name: small, data_dir: small}\n- {config_name: large, data_files: 'large*'}\n"
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    hub(lambda: str(tmp_path))
    root = f"--data.root={tmp_path}"
    assert data_options("hf:owner/pets:small", None)[2:] == [root, "--data.configuration=small"]
    assert data_options("hf:owner/pets:large", None)[2:] == [root, "--data.configuration=large"]
    with pytest.raises(InputError, match="no configuration or folder huge, only small, large: give one"):
        data_options("hf:owner/pets:huge", None)
    with pytest.raises(
        InputError, match=r"^--data hf:owner/pets:small: CIFAR10LT knows no configurations: give a folder"
    ):
        data_options("hf:owner/pets:small", "longtail.data.CIFAR10LT")


class _Response:
    """As much of an answer as the errors look at."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.request = None
        self.status_code = 404


def _raising(error: type[Exception], **options: Any) -> Callable[..., str]:
    def answer() -> str:
        raise error("Not what you think.\nOn two lines", **options)

    return answer


@pytest.mark.parametrize(
    ("error", "options", "message"),
    [
        (GatedRepoError, {"response": _Response()}, "its owner asks for consent: accept its terms"),
        (RepositoryNotFoundError, {"response": _Response()}, "there is no data set of this name: correct the name"),
        (RevisionNotFoundError, {"response": _Response()}, "there is no revision v9: give another one"),
        (LocalEntryNotFoundError, {}, "Not what you think.: give a folder on this machine, or try again"),
    ],
)
def test_what_the_hub_refuses_is_one_line(
    hub: Hub, error: type[Exception], options: dict[str, Any], message: str
) -> None:
    hub(_raising(error, **options))
    with pytest.raises(InputError) as refusal:
        data_options("hf:owner/pets@v9", None)
    assert str(refusal.value).startswith(f"--data hf:owner/pets@v9: {message}")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["hf:", "hf:a/b/c", "hf:a/b@", "hf:a b"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(InputError, match="write hf:OWNER/NAME"):
        data_options(name, None)
