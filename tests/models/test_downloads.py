"""Published weights where there is no network."""

import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from longtail.errors import InputError
from longtail.models import downloads
from longtail.models.backbones import Backbone
from longtail.models.downloads import from_hub, impatient, reachable
from longtail.models.segmenters import SMP

NOWHERE = "http://127.0.0.1:9"  # nobody listens there


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A hub that cannot be reached, an empty store of what was fetched, and nobody who waits for another try."""

    def sleep(seconds: float) -> None:
        raise AssertionError(f"waits {seconds} s for another try")

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", NOWHERE)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", NOWHERE + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(time, "sleep", sleep)


@pytest.mark.parametrize(
    "make", [lambda: Backbone("test_resnet", pretrained=True), lambda: SMP("tu-test_resnet", "FPN", pretrained=True)]
)
def test_without_network_it_is_refused_at_once(make: Callable[[], Any], offline: None) -> None:
    problem = r"^no pretrained weights for .*test_resnet \(http://127\.0\.0\.1:9 cannot be reached.*--weights FILE"
    with pytest.raises(InputError, match=problem):
        make()
    assert constants.HF_HUB_OFFLINE is False, "the next may try again"
    assert socket.getdefaulttimeout() is None


def test_what_was_fetched_before_needs_no_network(
    offline: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file lies as the hub would have put it."""
    import timm

    network = timm.create_model("test_resnet")
    repository = timm.get_pretrained_cfg("test_resnet").hf_hub_id
    folder = tmp_path / "hub" / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    (folder / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save_file(network.state_dict(), folder / "snapshots" / ("0" * 40) / "model.safetensors")
    state = Backbone("test_resnet", pretrained=True).body.state_dict()
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in state.items())


def test_only_errors_of_the_download_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "reachable", lambda address: False)
    with pytest.raises(KeyError), from_hub():
        raise KeyError
    with from_hub():
        assert constants.HF_HUB_OFFLINE
        assert socket.getdefaulttimeout() == downloads.SECONDS
    monkeypatch.setattr(downloads, "reachable", lambda address: True)
    with pytest.raises(OSError, match=r"^disk full$"), from_hub():
        raise OSError("disk full")


def test_impatience_ends() -> None:
    with impatient():
        assert socket.getdefaulttimeout() == downloads.SECONDS
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (urllib.error.HTTPError(NOWHERE, 503, "busy", None, None), True),  # type: ignore[arg-type]
        (urllib.error.URLError(ssl.SSLCertVerificationError("unknown certificate")), True),
        (urllib.error.URLError(socket.gaierror(-3, "no such name")), False),
        (TimeoutError("timed out"), False),
    ],
)
def test_who_answers_is_there(answer: Exception, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def urlopen(request: urllib.request.Request, timeout: float) -> None:
        assert request.get_method() == "HEAD"
        assert timeout == downloads.SECONDS
        raise answer

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    assert reachable("https://example.org") == expected
