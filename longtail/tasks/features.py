"""The features that a frozen network makes of a data set: computed once, kept on disk, used in place of the images."""

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from longtail.data.images.base import ImageData, LoadedImages
from longtail.data.images.features import FeatureData
from longtail.data.loader import EpochBatches, Loader
from longtail.distributed import from_first, gather, is_first_process, processes
from longtail.errors import InputError
from longtail.files.cache import alone
from longtail.files.progress import progress_bar
from longtail.messages import escape, plural
from longtail.models.trained_state import full_state, state_hash, structure_hash
from longtail.tasks.feature_files import Part, is_whole, part_of
from longtail.tasks.memory_format import ordered
from longtail.writing import WAYS_OUT

logger = logging.getLogger(__name__)

BATCH = 64  # images at a time


class Extraction:
    """Makes features of images with a network in evaluation mode, and keeps them.

    A file of features is named after all that they follow from: the network and its weights, the preprocessing, the
    images, the views. It ends in the CRC-32 of what is before: one that does not fit it is made anew. One that was
    interrupted goes on where it was, or starts over where its part is damaged. The processes of a group share the
    batches, which are those of one process; every process has to call.

    Args:
        network: images (N, 3, H, W), or clips, to features (N, D).
        folder: for the files; None keeps none.
        device: that it computes on.
        precision: called for the context of the computation.
        precision_name: of that precision.
        channels_last: memory format of the images.
    """

    def __init__(
        self,
        network: nn.Module,
        folder: Path | None,
        device: torch.device,
        precision: Callable[[], AbstractContextManager[object]],
        precision_name: str,
        channels_last: bool,
    ) -> None:
        self.network, self.folder, self.device = network.to(device), folder, device
        self.precision, self.precision_name, self.channels_last = precision, precision_name, channels_last
        self.width = int(network.num_features)  # type: ignore[arg-type]

    def __call__(self, data: ImageData, copies: int) -> FeatureData:
        """The set with features in the place of its images.

        Args:
            data: the images.
            copies: augmented views of each training image, K; 1 for the image as evaluation shows it.
        """
        started = time.perf_counter()
        features = {name: self.of_split(data, name, copies if name == "train" else 1) for name in data.split_names}
        logger.info(
            f"features of {plural(sum(map(len, features.values())), 'image')} in {time.perf_counter() - started:.1f} s"
        )
        return FeatureData(data, features)

    def of_rows(self, data: ImageData, rows: Tensor) -> Tensor:
        """Features (M, D) of some training images as evaluation shows them: those that are kept of all, or else
        computed, and not kept."""
        file = self._file(data, "train", 1)
        if from_first(file is not None and file.is_file()):
            return self.of_split(data, "train", 1)[rows, 0]
        batches = _Rows(rows.tolist())
        loader = data.make_loader(data.fixed_images("train"), batches)
        computed = self._batches(data, loader, False, False)
        return torch.cat(list(self._shared(computed, 0, -(-len(rows) // BATCH), data.views_shown("train"))))[:, 0]

    def of_split(self, data: ImageData, name: str, copies: int) -> Tensor:
        """Features (M, K, D) of a split, from disk where they are there: of its copies, or of the views that
        evaluation shows."""
        shape = (copies, data.size(name), data.views_shown(name), self.width)
        file = self._file(data, name, copies)
        if file is None:
            features = torch.cat(list(self._compute(data, name, copies, 0))).view(shape)
        else:
            if not from_first(is_first_process() and is_whole(file, 4 * math.prod(shape))):
                self._write(data, name, copies, file)
            _see(file)
            features = torch.from_numpy(np.memmap(file, dtype=np.float32, mode="c", shape=shape))
        return features.transpose(0, 1).flatten(1, 2)

    @cached_property
    def _network(self) -> list[str]:
        return [structure_hash(self.network), bytes(state_hash(full_state(self.network)).tolist()).hex()]

    def _file(self, data: ImageData, name: str, copies: int) -> Path | None:
        images = data.fingerprint(name)
        if self.folder is None or images is None:
            return None
        about = {
            "network": self._network,
            "input": data.input,
            "images": images,
            "views": [repr(data.views[0]), copies, data.seed] if copies > 1 else data.views_shown(name),
            "precision": self.precision_name,
        }
        key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:20]
        return self.folder / f"{name}-{key}.f32"

    def _write(self, data: ImageData, name: str, copies: int, file: Path) -> None:
        """Compute what is missing of a file, which the first process writes."""
        part: Part | None = None
        row, all_rows = 4 * data.views_shown(name) * self.width, copies * data.size(name)
        try:
            if not is_first_process():
                for _ in self._compute(data, name, copies, from_first(0)):
                    pass
                from_first(None)
                return
            with alone(file.parent, f".{file.stem}.lock"):
                if is_whole(file, all_rows * row):  # by another run that was quicker
                    from_first(all_rows)
                else:
                    if file.is_file():
                        what = "the features in it are not those that were written"
                        logger.warning(f"{escape(file)}: {what}; they are computed anew")
                    with part_of(file) as part:
                        for features in self._compute(data, name, copies, from_first(part.size // row)):
                            part.append(features.numpy().tobytes())
            from_first(None)  # it is there: nobody looks for it before
        except OSError as error:
            way_out = f"{WAYS_OUT[error.errno]}, or " if error.errno in WAYS_OUT else ""
            goes_on = "; the extraction goes on where it was" if part is not None and part.size else ""
            raise InputError(
                f"{escape(file)}: cannot keep the features ({error.strerror}); {way_out}give another folder by "
                f"--features{goes_on}"
            ) from error

    def _compute(self, data: ImageData, name: str, copies: int, done: int) -> Iterator[Tensor]:
        """Features (N, V, D) of batch after batch, of all images and then of their next copy, from a row on; those of
        the batches that the processes of a group computed side by side come as one, to all of them."""
        split = data.split(name)
        assert split is not None
        images = split.images if copies > 1 else data.fixed_images(name)
        rank, world = processes()
        with progress_bar(copies * len(split), f"features of the {name} split", data.noun, done) as bar:
            for copy in range(done // len(split), copies):
                first = (done - copy * len(split)) // BATCH if copy == done // len(split) else 0
                batches = EpochBatches(len(split), BATCH, False, data.seed, rank, world)
                batches.set_epoch(copy)
                batches.start = len(range(rank, first, world))
                loader = data.make_loader(images, batches)
                computed = self._batches(data, loader, copies > 1, name == "test")
                for features in self._shared(computed, first, -(-len(split) // BATCH), data.views_shown(name)):
                    bar.update(len(features))
                    yield features

    def _shared(self, computed: Iterator[Tensor], first: int, end: int, views: int) -> Iterator[Tensor]:
        """The features of all processes, in the order of the batches: those that this one computed of the batches from
        ``first`` to ``end``, of which it has every world-th, and those of the others."""
        rank, world = processes()
        for start in range(first - first % world, end, world):
            mine = first <= start + rank < end
            features = next(computed) if mine else torch.zeros(0, views, self.width, device=self.device)
            yield gather(features).cpu()

    def _batches(self, data: ImageData, loader: Loader, training: bool, testing: bool) -> Iterator[Tensor]:
        """Features (N, V, D) of the views of batch after batch."""
        self.network.eval()
        with torch.inference_mode(), self.precision():
            for batch in loader:
                on_device = {key: v.to(self.device) if isinstance(v, Tensor) else v for key, v in batch.items()}
                views = data.make_views(cast(LoadedImages, on_device), training, testing)["views"]
                features = [self.network(ordered(view, self.channels_last)) for view in views]
                yield torch.stack(features, 1).float()


class _Rows(EpochBatches):
    """Some rows, in order."""

    def __init__(self, rows: list[int]) -> None:
        rank, world = processes()
        super().__init__(len(rows), BATCH, False, 0, rank, world)
        self.chosen = rows

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in super().__iter__():
            yield [(self.chosen[place], 0) for place, _ in batch]


def _see(file: Path) -> None:
    """Wait for a file that the first process has, as some file systems show it late."""
    for _ in range(300):
        if file.is_file():
            return
        time.sleep(0.2)
    raise InputError(
        f"{escape(file)} is not there in process {processes()[0]}: give a folder that all machines share by --features"
    )
