"""What the task that takes a data set makes of it: the words for its classes, and the recipe to try first."""

from dataclasses import replace
from typing import NamedTuple

from longtail.data.base import LongTailData
from longtail.data.boxes.base import DetectionData
from longtail.data.clips.folder import ClipData
from longtail.data.images.base import ImageData
from longtail.data.images.several_labels import SeveralLabels
from longtail.data.pixels.base import SegmentationData
from longtail.files.layouts import find_layouts
from longtail.recipes import recipe_names
from longtail.reports.grains import BOXES, CLIPS, IMAGES, LABELS, MASKS, PIXELS, Grain


class Kind(NamedTuple):
    """What is known of a task without importing it.

    Attributes:
        grain: how classes are counted.
        limits: of many and few, where none are given.
        shares: whether these are parts of the mean count of a class.
        recipe: the one to try first, as docs/methods.md has it.
    """

    grain: Grain
    limits: tuple[float, float]
    shares: bool
    recipe: str


SHOTS = (100, 20)
KINDS: dict[type, Kind] = {  # a class before those that it is derived from
    ClipData: Kind(CLIPS, SHOTS, False, "clips/logit_adjusted"),
    SeveralLabels: Kind(LABELS, SHOTS, False, "multilabel/bce"),
    ImageData: Kind(IMAGES, SHOTS, False, "logit_adjusted"),
    DetectionData: Kind(BOXES, (100, 11), False, "fasterrcnn_logit_adjusted"),
    SegmentationData: Kind(PIXELS, (1.0, 0.2), True, "segmentation/logit_adjusted"),
}


def kind_of(data: LongTailData) -> Kind:
    """The kind of a set; one with recipes of its own gets one of these."""
    other = Kind(replace(IMAGES, noun=data.group_noun, sample=data.noun), SHOTS, False, "NAME")
    kind = next((kind for data_class, kind in KINDS.items() if isinstance(data, data_class)), other)
    if isinstance(data, DetectionData) and any(layout.shapes for layout in find_layouts(data.root)):
        kind = kind._replace(grain=MASKS, recipe="maskrcnn_logit_adjusted")
    own = [name for name in recipe_names() if name.startswith(f"{data.short_name}/")]
    first = [name for name in own if name.endswith("logit_adjusted")]
    return kind._replace(recipe=[*first, *own, kind.recipe][0])
