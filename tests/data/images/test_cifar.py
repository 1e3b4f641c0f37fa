"""CIFAR-LT from files in the official layout."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from longtail.counts import exponential_counts, long_tail_subset
from longtail.data.images.cifar import CIFAR10LT, CIFAR100LT, download_archive
from longtail.errors import InputError


@pytest.fixture
def official(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        content = {
            b"data": random.integers(0, 256, (80, 3072), dtype=np.uint8),
            b"labels": (np.arange(80) % 10).tolist(),
        }
        (folder / name).write_bytes(pickle.dumps(content))
    meta = {b"label_names": [f"class{c}".encode() for c in range(10)], b"num_vis": 3072}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta))
    return tmp_path


def test_the_subset_is_the_published_shuffle(official: Path) -> None:
    data = CIFAR10LT(official, factor=0.1, val_fraction=0, batch_size=8)
    assert data.image_counts == exponential_counts(40, 10, 0.1).tolist()
    assert data.classes[:2] == ["class0", "class1"]
    assert data.split("val") is None
    targets = np.arange(400) % 10
    expected = targets[long_tail_subset(targets, exponential_counts(40, 10, 0.1))]
    assert data.splits.train.targets.tolist() == expected.tolist()
    test = data.split("test")
    assert test is not None
    assert len(test) == 80


def test_validation_is_held_out_of_the_subset(official: Path) -> None:
    whole = CIFAR10LT(official, factor=0.1, val_fraction=0, batch_size=8)
    data = CIFAR10LT(official, factor=0.1, val_fraction=0.25, batch_size=8)
    val = data.split("val")
    assert val is not None
    assert len(val) + len(data.splits.train) == len(whole.splits.train)
    assert min(data.image_counts) >= 1


def test_validation_per_class_is_taken_before_the_imbalance(official: Path) -> None:
    data = CIFAR10LT(official, factor=0.5, profile="step", val_per_class=10, batch_size=8)
    val = data.split("val")
    assert val is not None
    assert np.bincount(val.targets).tolist() == [10] * 10
    assert data.image_counts == [30] * 5 + [15] * 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": 0.0}, "factor"),
        ({"profile": "flat"}, "exponential, step"),
        ({"val_fraction": 1.0}, "val_fraction"),
        ({"val_per_class": 40}, "val_per_class"),
        ({"batch_size": 10_000}, "--batch-size"),
    ],
)
def test_wrong_options(official: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _ = CIFAR10LT(official, **options).splits  # type: ignore[arg-type]


def test_missing_files_name_the_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cifar-100-python is not there"):
        _ = CIFAR100LT(tmp_path).splits


@pytest.mark.parametrize("content", [b"", b"junk", pickle.dumps({b"data": []})])
def test_damaged_files(official: Path, content: bytes) -> None:
    (official / "cifar-10-batches-py" / "test_batch").write_bytes(content)
    with pytest.raises(InputError, match="test_batch"):
        _ = CIFAR10LT(official, batch_size=8).splits


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch pwned",)


def test_a_pickle_with_code_is_refused(official: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(official)
    (official / "cifar-10-batches-py" / "test_batch").write_bytes(pickle.dumps({b"data": Evil()}))
    with pytest.raises(InputError, match="system"):
        _ = CIFAR10LT(official, batch_size=8).splits
    assert not Path("pwned").exists()


def test_a_download_with_a_wrong_checksum_leaves_nothing(tmp_path: Path) -> None:
    archive = tmp_path / "set.tar.gz"
    archive.write_bytes(b"not it")
    with pytest.raises(InputError, match="checksum"):
        download_archive(archive.as_uri(), "0" * 32, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []
    with pytest.raises(InputError, match="by hand"):
        download_archive((tmp_path / "none").as_uri(), "0" * 32, tmp_path / "data")
