"""What the data modules share: what a path means, splits, counts, loaders and sampling."""

import logging
import os
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from torch.utils.data import Dataset

from longtail.data.appearance import Appearance
from longtail.data.introduction import Introduction, Located
from longtail.data.loader import EpochBatches, Loader, collate_lists
from longtail.data.record import Recall, SplitFiles, SplitRecord
from longtail.data.sampling import Sampling
from longtail.data.splits import Split, Splits, tell_unmeasured
from longtail.data.summary import Line, summary_of
from longtail.data.trained import Trained
from longtail.difficulty import ClassDifficulty
from longtail.errors import InputError
from longtail.files.archives import refuse_archive
from longtail.files.formats.layouts import refuse_boxes
from longtail.files.images.passed_over import Why
from longtail.messages import SPLITS, escape, plural
from longtail.plain import Input
from longtail.reports.grains import IMAGES, Grain
from longtail.samplers.base import EpochSampler

logger = logging.getLogger(__name__)


class LongTailData(Introduction, Appearance, pl.LightningDataModule, ABC):
    """Base of the data modules.

    Batches are dicts; "rows" (N,) are the rows of their images in the split, and "targets" has an entry for each.

    Args:
        batch_size: images of a batch in one process.
        num_workers: processes that decode images; None for one for each core, at most 8.
        sampling: how training images are drawn; each once an epoch where left out.

    Attributes:
        trained: of the run that the set is to evaluate, or whose splits it takes.
        recall: the splits of a run, where they are taken from its record.
        left_out: how many of what were left out when the set was read; see ``leave_out``.
        whys: the reasons of all of these.
    """

    trained: Trained | None = None
    recall: Recall | None = None
    measured_alone = False  # whether a run is evaluated on it, and not trained

    def __init__(self, batch_size: int, num_workers: int | None, sampling: Sampling | None) -> None:
        super().__init__()
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, got {batch_size}")
        self.batch_size = batch_size
        self.num_workers = min(8, os.cpu_count() or 1) if num_workers is None else num_workers
        self.sampling = sampling
        self.left_out: dict[tuple[str, str], int] = {}
        self.whys: set[Why] = set()
        self.ways_out: dict[str, str] = {}  # of a split that leaves a class without images
        self.difficulty: ClassDifficulty | None = None  # that of the task, for the sampling
        self.seed = torch.initial_seed()  # of the order and the augmentation: that of seed_everything

    @classmethod
    def located(cls, path: Path) -> Located:
        """What a path that is there means when it is given to ``--data``: here the folder ``root``.

        A class may name another one that reads what lies there, such as the one for tables.

        Raises:
            InputError: on a path of another kind.
        """
        if not path.is_dir():
            refuse_archive(path)
            refuse_boxes(path)
            raise InputError(f"{escape(path)} is no folder, as {cls.__name__} wants: {cls.needs}")
        return Located(cls, {"root": path})

    @abstractmethod
    def read(self) -> Splits:
        """Read the set. Called once, through ``splits``.

        Raises:
            InputError: if something in it cannot be used.
        """

    @property
    @abstractmethod
    def source(self) -> str:
        """Where the images come from, for people."""

    @property
    @abstractmethod
    def input(self) -> Input:
        """What the network takes, for the record and for prediction."""

    def make_loader(self, images: Dataset[object], batches: EpochBatches) -> Loader:
        """Make the loader of a split, with worker processes; here images and targets of a batch are lists."""
        return Loader(images, batches, self.num_workers, collate_lists, torch.cuda.is_available())

    @cached_property
    def splits(self) -> Splits:
        """The set, read on first use."""
        splits = self.read()
        if self.recall is not None:
            for left_out in self.recall.tell(self.source, self.noun):
                self.leave_out(*left_out)
            self.recall.record.check_classes(splits.classes, self.source)
        if self.measured_alone:
            tell_unmeasured(splits, self.noun)
        else:
            self.check(splits)
        return splits

    def split_files(self, split: str) -> SplitFiles | None:
        """The files of a split, for the record of a run; None where it has none."""
        return None

    def keep_splits(self, record: SplitRecord, measured_alone: bool) -> None:
        """Take the splits of a run, when the set is read: every file stays in its own, and new ones are left out.

        Args:
            record: of the run.
            measured_alone: whether the run is evaluated, and not trained further.
        """
        self.recall, self.trained, self.measured_alone = Recall(record), record.trained, measured_alone

    def check(self, splits: Splits) -> None:
        """Check a set that was read, and say which classes cannot be measured.

        Raises:
            InputError: if it cannot be trained on.
        """
        if len(splits.train) < self.batch_size:
            size = plural(len(splits.train), self.noun)
            raise InputError(
                f"batch_size {self.batch_size} is larger than the training set of {size}: "
                f"give --batch-size {max(min(2, len(splits.train)), len(splits.train) // 2)} or less"
            )
        tell_unmeasured(splits, self.noun, self.ways_out)

    def labelled(self, split: str, classes: list[str]) -> Split:
        """The images that a finished run is evaluated on, as "val" or "test", with the classes of the run.

        Raises:
            InputError: if the set cannot be read so, or has other classes.
        """
        raise InputError(f"{type(self).__name__} is evaluated by runs that were trained on it alone: leave out --data")

    def only_evaluate(self, split: str, trained: Trained) -> None:
        """Make of the set one that a finished run is evaluated on: as "val" or "test", with the classes of the run.

        Raises:
            InputError: as ``labelled``.
        """
        self.trained = trained
        images = self.labelled(split, trained.classes)
        none = np.zeros(0, dtype=np.int64)
        self.splits = Splits.of(trained.classes, {"train": Split(images.images, none, none, 0), split: images})
        tell_unmeasured(self.splits, self.noun)

    @property
    def classes(self) -> list[str]:
        """Class names in the order of their indices."""
        return self.splits.classes

    @property
    def image_counts(self) -> list[int]:
        """Training images that have each class; of a finished run that is evaluated on the set, those of the run.

        Raises:
            InputError: if that has kept other counts alone, as a run of segmentation its pixels.
        """
        if self.trained is not None and self.group_noun == self.noun:
            return self.trained.group_counts
        if self.trained is not None and self.recall is None:
            raise InputError(
                f"the run has kept the training {self.group_noun}s of each class, not its {self.noun}s: "
                "take group_counts"
            )
        return self.splits.train.class_sizes(len(self.classes))

    @property
    def label_counts(self) -> list[int]:
        """Training labels of each class, whatever carries them: the ``class_counts`` of methods and tasks.

        Where an image has one label, ``image_counts``; a grain of other labels names its own counts.
        """
        return self.image_counts

    @property
    def group_counts(self) -> list[int]:
        """What the groups of many, medium and few go by, and the results call ``train_counts``.

        ``image_counts``, unless a grain goes by another of its counts.
        """
        return self.image_counts

    @property
    def group_noun(self) -> str:
        """The noun for what ``group_counts`` counts."""
        return self.noun

    @property
    def grain(self) -> Grain:
        """How its classes are counted, and the words for it, before a task is chosen."""
        return replace(IMAGES, noun=self.group_noun, sample=self.noun)

    @property
    def recipe(self) -> str | None:
        """The recipe to try first, where none is for this very set: its name or its file; None where there is none."""
        return None

    def leave_out(self, count: int, noun: str, reason: str, why: Why = Why.OTHER) -> None:
        """Note that ``count`` of something were left out of the set, such as of "image file", "that cannot be read"."""
        if count:
            self.left_out[noun, reason] = self.left_out.get((noun, reason), 0) + count
            self.whys.add(why)

    def class_size(self, label: int) -> str:
        """How much there is of a class for training, for people."""
        return plural(self.group_counts[label], f"training {self.group_noun}")

    def summary(self) -> list[Line]:
        """What is said of the set before a training."""
        return summary_of(self)

    @property
    def time_options(self) -> list[str]:
        """Options of the data that make a step shorter, for people."""
        return []

    def split(self, name: str) -> Split | None:
        """The split called "train", "val" or "test"."""
        return {"train": self.splits.train, "val": self.splits.val, "test": self.splits.test}[name]

    @property
    def split_names(self) -> list[str]:
        """Those of "train", "val" and "test" that are there."""
        return [name for name in SPLITS if self.split(name) is not None]

    def size(self, name: str) -> int:
        """Number of images of a split that is there."""
        split = self.split(name)
        assert split is not None
        return len(split)

    def setup(self, stage: str) -> None:
        """Read the set, and say before the training how its images are drawn."""
        train = self.splits.train
        if stage == "fit" and self.sampling is not None and (about := self.sampling.about(train.labels, self.noun)):
            logger.info(about)

    def batches(self, name: str) -> EpochBatches:
        """The batches of a split in this process; those of an evaluation are so small that every process has one."""
        split = self.split(name)
        assert split is not None
        trainer = self.trainer
        world, rank = (trainer.world_size, trainer.global_rank) if trainer is not None else (1, 0)
        train = name == "train"
        sampler, begin = (self._sampler(split), self.begin_epoch) if train else (None, None)
        size = self.batch_size if train else max(1, min(self.batch_size, len(split) // world))
        return EpochBatches(len(split), size, train, self.seed, rank, world, sampler, begin)

    def begin_epoch(self, epoch: int) -> None:
        """Called before the first training image of an epoch is fetched."""
        return

    def step_cost(self, epoch: int, epochs: int) -> float:
        """What a step of an epoch, counted from 0, costs as a part of the dearest of the run; here they are alike."""
        return 1.0

    def _sampler(self, split: Split) -> EpochSampler | None:
        if self.sampling is None:
            return None
        difficulty = self.difficulty or ClassDifficulty(len(self.classes))
        epochs = self.trainer.max_epochs if self.trainer is not None else None
        return self.sampling(split.labels, difficulty, epochs or 1, self.seed)

    def _loader(self, name: str) -> Loader | list[Loader]:
        split = self.split(name)
        return [] if split is None else self.make_loader(split.images, self.batches(name))

    def train_dataloader(self) -> Loader | list[Loader]:
        """Shuffled training batches."""
        return self._loader("train")

    def val_dataloader(self) -> Loader | list[Loader]:
        """Validation batches in order; none if nothing is held out."""
        return self._loader("val")

    def test_dataloader(self) -> Loader | list[Loader]:
        """Test batches in order; none without a test split."""
        return self._loader("test")
