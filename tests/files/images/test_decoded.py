"""Images decoded once."""

import errno
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from longtail.augment.views import PlainView
from longtail.data import Folder, VideoFolder
from longtail.errors import InputError
from longtail.files.images import decoded as module
from longtail.files.images.decoded import decoded, pixel_folder
from longtail.files.images.reading import decode


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(5):
            pixels = random.integers(0, 256, (30 + i, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.jpg")
    return tmp_path / "photos"


def files(photos: Path) -> list[str]:
    return sorted(map(str, photos.rglob("*.jpg")))


def one_folder(home: Path) -> Path:
    (folder,) = (path for path in home.iterdir() if path.is_dir())
    return folder


def test_pixels_are_those_of_the_files_or_smaller(photos, tmp_path):
    paths = files(photos)
    whole = decoded(paths, 100, None, tmp_path / "whole").reader(paths)
    for row, path in enumerate(paths):
        np.testing.assert_array_equal(whole[row], np.asarray(decode(path)))
    small = decoded(paths, 15, None, tmp_path / "small").reader(paths[::-1])
    assert [small[row].shape for row in range(5)] == [(15, 18, 3), (15, 18, 3), (15, 19, 3), (15, 19, 3), (15, 20, 3)]
    picture = decode(paths[-1], lambda *size: min(size) / 15).resize((18, 15), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(small[0], np.asarray(picture))
    copy = pickle.loads(pickle.dumps(small))
    np.testing.assert_array_equal(copy[3], small[3])
    small[0][:] = 7  # nobody's file
    np.testing.assert_array_equal(decoded(paths, 15, None, tmp_path / "small").reader(paths[::-1])[0], copy[0])


@pytest.mark.parametrize("crops", [[None], [PlainView(), PlainView()]])
def test_tensors_are_equal_where_nothing_is_made_smaller(photos, crops):
    views = [PlainView() if view is None else view for view in crops]
    options: dict[str, Any] = {"root": photos, "views": views, "batch_size": 2, "image_size": 24}
    plain, disk = Folder(**options), Folder(**options, cache="disk", cache_size=64)
    for split in ("train", "val"):
        ours, theirs = disk.split(split).images, plain.split(split).images
        for row in range(len(ours.images)):
            for draw in (0, 1):
                assert torch.equal(ours[row, draw][0]["images"], theirs[row, draw][0]["images"])
    assert (photos / ".longtail" / "decoded").is_dir()


def test_where_there_are_no_locks_each_decodes_for_itself(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "alone", lambda home: home.mkdir(parents=True, exist_ok=True) or nullcontext(False))
    paths = files(photos)
    with ThreadPoolExecutor(2) as pool:
        for reader in pool.map(lambda _: decoded(paths, 100, None, tmp_path / "home").reader(paths), range(2)):
            np.testing.assert_array_equal(reader[3], np.asarray(decode(paths[3])))
    one_folder(tmp_path / "home")


def test_features_of_smaller_pixels_are_others(photos):
    plain, disk = Folder(photos, image_size=24), Folder(photos, image_size=24, cache="disk", cache_size=16)
    assert plain.fingerprint("train") != disk.fingerprint("train")


def test_it_is_done_once_for_each_state_of_the_files(photos, tmp_path, monkeypatch, log):
    calls = []
    monkeypatch.setattr(module, "decode", lambda *args: calls.append(args[0]) or decode(*args))
    paths = files(photos)
    with ThreadPoolExecutor(2) as pool:  # each waits for the other
        list(pool.map(lambda _: decoded(paths, 64, None, tmp_path / "home"), range(2)))
    decoded(paths[::-1], 64, None, tmp_path / "home")
    assert len(calls) == 10
    assert "pixels of 10 images in" in log.text
    os.utime(paths[0], (1, 1))
    decoded(paths, 64, None, tmp_path / "home")
    assert len(calls) == 20


@pytest.mark.parametrize("loss", [0, 1])
def test_it_goes_on_where_it_was_stopped(photos, tmp_path, monkeypatch, loss):
    monkeypatch.setattr(module, "_BLOCK", 3)
    paths, home, calls = files(photos), tmp_path / "home", []

    def stop(path: str, *args: Any) -> Image.Image:
        calls.append(path)
        if path == paths[7] and len(calls) < 10:
            raise InputError("stopped")
        return decode(path, *args)

    monkeypatch.setattr(module, "decode", stop)
    with pytest.raises(InputError, match="stopped"):
        decoded(paths, 64, None, home)
    part = one_folder(home)
    assert part.suffix == ".part"
    os.truncate(part / "pixels.bin", (part / "pixels.bin").stat().st_size - loss)
    calls.clear()
    monkeypatch.setattr(module, "decode", lambda path, *args: calls.append(path) or decode(path, *args))
    pixels = decoded(paths, 64, None, home).reader(paths)
    assert sorted(calls) == paths[6 - loss :]
    for row, path in enumerate(paths):
        np.testing.assert_array_equal(pixels[row], np.asarray(decode(path)))


def test_a_full_disk_leaves_nothing(photos, tmp_path, monkeypatch):
    paths, home = files(photos), tmp_path / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
        with pytest.raises(InputError, match=r"need about 0.0 GB, and 0.0 GB are free: give a smaller --data"):
            decoded(paths, 64, None, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "save", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(InputError, match="No space left on device: free some space"):
            decoded(paths, 64, None, home)
    assert not [path for path in home.iterdir() if path.is_dir()]


def test_options(photos, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"give --data.cache disk or ram too"):
        Folder(photos, cache_size=64)
    with pytest.raises(InputError, match="these are videos: leave it out"):
        VideoFolder(root=photos, cache="ram")
    monkeypatch.setattr(module, "_MEMORY", tmp_path / "shm")
    with pytest.raises(InputError, match=r"give --data.cache disk"):
        pixel_folder("ram", photos)
    (tmp_path / "shm").mkdir()
    data = Folder(photos, cache="ram", batch_size=2, image_size=24)
    assert data.splits.val.images[0, 0][0]["images"].shape == (1, 3, 24, 24)
    folder = one_folder(tmp_path / "shm" / f"longtail-{os.getuid()}")
    assert folder.name.startswith("56-")  # the smallest crop, 0.25 of the area and 3:4, has 24 pixels on its short side
