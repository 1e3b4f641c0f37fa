"""The engine around a detector: boxes and instance masks."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from longtail.data.base import LongTailData
from longtail.data.boxes.base import DetectionData
from longtail.difficulty import ClassDifficulty
from longtail.distributed import from_first, gather_to_first, sum_over_processes
from longtail.errors import InputError
from longtail.files.coco.results import coco_results, codec, decode
from longtail.methods.rcnn import RCNN
from longtail.metrics.detection import AveragePrecision, average_precision, group_ap
from longtail.reports.overlays import data_uri, draw_instances
from longtail.reports.results import weakest_classes
from longtail.tasks.base import Task, sgd
from longtail.tasks.schedules import Schedule

KINDS: dict[str, Literal["bbox", "segm"]] = {"box": "bbox", "mask": "segm"}
EXAMPLES_EACH, EXAMPLE_SIDE = 2, 512  # images of a weak class in the report, and their longer side in pixels
SHOWN_FROM = 0.3  # score of a detection that is drawn there
FIGURES = {
    "ap": "ap",
    "ap50": "ap50",
    "ap75": "ap75",
    "ap_small": "ap_small_area",
    "ap_mid_sized": "ap_medium_area",
    "ap_large": "ap_large_area",
}


class Detection(Task):
    """Trains and evaluates a detector with Lightning's Trainer.

    Average precision is COCO's, or LVIS' where the validation annotations are in its format.

    Args:
        method: network and losses.
        class_counts: training instances of each class (C,).
        optimizer: called with the parameters.
        schedule: of the learning rate; by default ``StepSchedule()``.
        many: classes in more training images are many-shot, in LVIS' words frequent.
        few: classes in fewer training images are few-shot, in LVIS' words rare.
        difficulty: called with the number of classes to make the difficulty of the classes. It is updated after each
            validation; the weights of every ``ClassDifficultyLoss`` and the sampling of the data are made from it.
        difficulty_from: what the accuracy of a class is: "accuracy", how many proposals on its objects get it as the
            class of highest score; or "ap50", its AP of boxes at IoU 0.5.
    """

    name = "detection"

    def __init__(
        self,
        method: RCNN,
        class_counts: list[int],
        optimizer: OptimizerCallable = sgd,
        schedule: Schedule | None = None,
        many: int = 100,
        few: int = 11,
        difficulty: Callable[[int], ClassDifficulty] = ClassDifficulty,
        difficulty_from: Literal["accuracy", "ap50"] = "accuracy",
    ) -> None:
        super().__init__(method, len(class_counts), optimizer, schedule, many, few, difficulty)
        self.difficulty_from = difficulty_from
        self.kinds = ["box", "mask"] if method.masks else ["box"]
        self.monitors = [f"{kind}_{name}" for kind in reversed(self.kinds) for name in (*FIGURES, *_groups())]
        # Proposals on objects of a class that got it, and all of them. No buffer: averaged weights swap those.
        self._hits = torch.zeros(2, len(class_counts), dtype=torch.int64)
        self._found: list[dict[str, Any]] = []

    def check(self, data: LongTailData) -> None:
        """Check that a data set and the method fit.

        Raises:
            InputError: on data of another kind, another number of classes, or masks that are missing.
        """
        if not isinstance(data, DetectionData):
            raise InputError(f"{type(data).__name__} has no boxes: give data for detection, such as --data coco")
        if self.method.num_classes != len(data.classes):
            raise InputError(f"the method has {self.method.num_classes} classes, {data.source} has {len(data.classes)}")
        if self.method.masks and not data.masks:
            raise InputError("the network segments instances: give --data.masks true, or a network without masks")
        codec()  # needed after the first epoch
        super().check(data)

    def record(self) -> dict[str, Any]:
        """What this task adds to the results of a run."""
        accuracies = {
            "accuracy": "accuracy of the box classifier on matched proposals",
            "ap50": "AP50 of the boxes",
        }
        return {
            **super().record(),
            "instance_counts": self.data.instance_counts,
            "accuracy_of": accuracies[self.difficulty_from],
        }

    def _images(self, batch: dict[str, Any]) -> list[Tensor]:
        return [image.float() / 255 for image in batch["images"]]

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """One step of the method; logs the loss and its parts."""
        out: dict[str, Tensor] = self.method(self._images(batch), batch["targets"])
        self.log_parts(out, len(batch["images"]))
        return out["loss"]

    def _evaluate(self, batch: dict[str, Any]) -> None:
        part = self.data.parts["test" if self.trainer.testing else "val"]
        found, pairs = self.method.detect(self._images(batch), batch["targets"])
        for each, row in zip(found, batch["rows"].tolist(), strict=True):
            self._found += coco_results(each, int(part.image_ids[row]), part.annotations.category_ids.tolist())
        true, predicted = pairs.cpu().unbind(1)
        self._hits[0] += torch.bincount(true[true == predicted], minlength=self._hits.shape[1])
        self._hits[1] += torch.bincount(true, minlength=self._hits.shape[1])

    def _finish(self, split: str) -> None:
        found = gather_to_first(self._found)
        hits, matched = sum_over_processes(self._hits.to(self.device)).cpu().double()
        accuracy = hits / matched  # nan where nothing was matched
        self._found = []
        self._hits.zero_()
        self.evaluation = from_first(None if found is None else self._measure(split, found, accuracy))
        metrics, per_class = self.evaluation["metrics"], self.evaluation["per_class"]
        self.log_figures(split, {name: torch.tensor(value) for name, value in metrics.items()})
        if self.fitting:
            chosen = {"accuracy": per_class["accuracy"], "ap50": per_class["box_ap50"]}[self.difficulty_from]
            self.measured(torch.tensor(chosen))

    def _measure(self, split: str, found: list[dict[str, Any]], accuracy: Tensor) -> dict[str, Any]:
        """All figures of a split, as they stand in the results."""
        part = self.data.parts[split]
        labels, owners = part.labels()
        classes, federated = len(self.data.classes), part.annotations.federated
        instances = torch.bincount(torch.from_numpy(labels), minlength=classes)
        pairs = torch.unique(torch.from_numpy(owners * classes + labels)) % classes
        per_class = {
            "images": torch.bincount(pairs, minlength=classes).tolist(),
            "instances": instances.tolist(),
            "accuracy": accuracy.tolist(),
        }
        metrics = {"box_accuracy": float(accuracy.nanmean())}
        truth = part.truth("mask" in self.kinds)
        for kind in self.kinds:
            measured: AveragePrecision = average_precision(truth, found, KINDS[kind], federated)
            metrics |= {f"{kind}_{name}": getattr(measured, attribute) for name, attribute in FIGURES.items()}
            groups = group_ap(measured.class_ap, self.data.image_counts, **self.thresholds)
            metrics |= {f"{kind}_ap_{group}": value for group, value in groups.items()}
            per_class |= {
                f"{kind}_ap": measured.class_ap.tolist(),
                f"{kind}_ap50": measured.class_ap50.tolist(),
            }
        figures = {"split": split, "images": len(part.rows), "metrics": metrics, "per_class": per_class}
        return figures if self.fitting else {**figures, "examples": self._examples(split, found, per_class)}

    def _examples(
        self, split: str, found: list[dict[str, Any]], per_class: dict[str, list[Any]]
    ) -> list[dict[str, Any]]:
        """Images of the classes that need help most, with what is there and what was found."""
        part = self.data.parts[split]
        labels, owners = part.labels()
        wanted = {
            c: list(dict.fromkeys(owners[labels == c].tolist()))[:EXAMPLES_EACH]
            for c in weakest_classes(per_class[f"{self.kinds[-1]}_ap"], self.data.image_counts)
        }
        rows = {int(part.image_ids[row]): row for of_class in wanted.values() for row in of_class}
        of_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for each in found:
            if each["image_id"] in rows and each["score"] >= SHOWN_FROM:
                of_image[rows[each["image_id"]]].append(each)
        return [
            {
                "class": c,
                "name": part.annotations.file_names[part.rows[row]],
                **self._pictures(split, row, of_image[row]),
            }
            for c, chosen in wanted.items()
            for row in chosen
        ]

    def _pictures(self, split: str, row: int, found: Sequence[dict[str, Any]]) -> dict[str, str]:
        """One image with its annotations and with its detections drawn in."""
        part, names = self.data.parts[split], self.data.classes
        annotations, masks = part.annotations, "mask" in self.kinds
        picture = self.data.picture(split, row)
        chosen = part.instances(row).tolist()
        labels = annotations.labels[chosen].tolist()
        truth = draw_instances(
            picture,
            annotations.boxes[chosen].tolist(),
            [names[label] for label in labels],
            labels,
            None,
            [annotations.mask(k).astype(bool) for k in chosen] if masks else None,
        )
        index = {category: c for c, category in enumerate(annotations.category_ids.tolist())}
        classes = [index[each["category_id"]] for each in found]
        predicted = draw_instances(
            picture,
            [(x, y, x + width, y + height) for x, y, width, height in (each["bbox"] for each in found)],
            [names[c] for c in classes],
            classes,
            [each["score"] for each in found],
            [decode(each["segmentation"]) for each in found] if masks else None,
        )
        return {"truth": data_uri(truth, EXAMPLE_SIDE), "predicted": data_uri(predicted, EXAMPLE_SIDE)}


def _groups() -> list[str]:
    return ["ap_many", "ap_medium", "ap_few"]
