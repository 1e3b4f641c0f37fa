"""Annotations of images, built object by object by the readers of formats that are not COCO's."""

from collections.abc import Sequence
from pathlib import Path

from longtail.errors import InputError
from longtail.files.coco.annotations import Annotations, annotations_of
from longtail.files.coco.entries import Categories, Images, Instances, Segmentations
from longtail.files.coco.ids import OddError
from longtail.files.coco.reader import content_of
from longtail.files.coco.results import codec
from longtail.files.images.checks import fault_of
from longtail.files.images.reading import upright_size
from longtail.messages import escape
from longtail.plain import JSON

_REASONS = 3  # why objects are bad, of as many


def image_size(path: str) -> tuple[int, int]:
    """Width and height of an image once it is upright.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        return upright_size(path)
    except MemoryError:
        raise
    except Exception as error:  # on damaged files, decoders raise nearly anything
        raise InputError(f"{escape(path)}: {fault_of(path) or 'cannot be read'}; replace or remove it") from error


class Builder:
    """Collects the images of a split and the objects in them.

    Args:
        source: the file or folder that is read, for messages.
        classes: the C names; ids of categories are 0..C-1.
        masks: whether the shapes are wanted. Raises ``InputError`` where they are and faster-coco-eval is missing.
    """

    def __init__(self, source: Path, classes: Sequence[str], masks: bool) -> None:
        self.source = source
        self._images, self._categories = Images(), Categories()
        self._instances = Instances(Segmentations(codec()) if masks else None)
        self._bad: list[str] = []
        for number, name in enumerate(classes):
            self._categories.add({"id": number, "name": name})

    @property
    def has_masks(self) -> bool:
        """Whether the shapes are wanted."""
        return self._instances.segmentations is not None

    def add_image(self, name: str, width: int, height: int) -> None:
        """An image, by its path; the objects that are added next are in it."""
        number = len(self._images.ids) + 1
        self._images.add({"id": number, "file_name": name, "width": width, "height": height})

    def add_object(
        self,
        place: str,
        label: int,
        box: Sequence[float] | None,
        shape: JSON = None,
        crowd: bool = False,
        area: float | None = None,
    ) -> None:
        """An object in the image that was added last.

        Args:
            place: where it stands, for messages.
            label: its class.
            box: x, y, width, height in pixels; that of the shape where left out.
            shape: polygons or run lengths as in COCO's format.
            crowd: whether it counts neither as right nor as wrong.
            area: in square pixels; that of the box where left out.
        """
        instances = self._instances
        entry = {"id": len(instances.ids) + 1, "image_id": len(self._images.ids), "category_id": label, "bbox": box}
        instances.add(entry | {"segmentation": shape, "iscrowd": int(crowd), "area": area})
        instances.places.append(place)

    def add_bad(self, place: str, reason: str) -> None:
        """An object, or what was to be one, that cannot be used."""
        self._bad.append(f"{place} {reason}".rstrip())

    def annotations(self, skip_bad: bool) -> Annotations:
        """All of it.

        Raises:
            InputError: there is no image or no class, or an object cannot be used and is not to be left out.
        """
        if not self._images.ids:
            raise InputError(f"{escape(self.source)} has no annotated image: is it the right folder?")
        if not self._categories.ids:
            raise InputError(f"{escape(self.source)}: no object in it has a class")
        try:
            content = content_of(self._images, self._categories, self._instances)
        except OddError as error:
            raise InputError(f"{escape(self.source)}: {error}; correct it") from error
        about = content.about
        if self._bad:
            about["alike"] = 1 if about["bad"] else len(self._bad)
            about["reasons"] = [*self._bad, *about["reasons"]][:_REASONS]
            about["bad"], about["total"] = about["bad"] + len(self._bad), about["total"] + len(self._bad)
        return annotations_of(self.source, content, skip_bad)
