"""Sets in COCO's format as the tools lay them out: which JSON files there are, and where their images lie."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from longtail.files.boxes.base import BoxSet, Labelled
from longtail.files.boxes.builder import image_size
from longtail.files.coco.annotations import Annotations, read_annotations
from longtail.files.coco.entries import UNKNOWN
from longtail.files.coco.fields import image_field, tying_fields
from longtail.files.coco.places import check_files, placed
from longtail.files.formats.layouts import boxes_in_file
from longtail.files.listing import IntArray
from longtail.files.split_names import split_in, split_of


class COCOSet(BoxSet):
    """JSON files in COCO's format, and the images that they name."""

    format: ClassVar[str] = "COCO's format"
    needs: ClassVar[str] = "annotations/instances_train*.json, instances_train*.json or train/_annotations.coco.json"

    def find(self, options: dict[str, Path]) -> dict[str, list[Path]]:
        return find_files(self.root) | {split: [file] for split, file in options.items()}

    def folders(self, file: Path, split: str) -> list[Path]:
        """Where the images of a file may lie, the likeliest first."""
        return image_folders(self.root, file, split)

    def read(self, split: str, masks: bool, skip_bad: bool) -> Labelled:
        file = self.places[split]
        annotations, folder = placed(read_annotations(file, masks, skip_bad), self.folders(file, split))
        rows = check_files(annotations, folder, skip_bad)
        return Labelled(_with_sizes(annotations, folder, rows), folder, rows)

    def groups(self, split: str, name: str) -> list[str]:
        """A field of the images in the JSON file, such as "location"."""
        return image_field(self.places[split], name)

    def ties(self) -> list[str]:
        return tying_fields(self.places["train"])


class LVISSet(COCOSet):
    """The files of LVIS v1, whose annotations name the folders of the images as well."""

    format: ClassVar[str] = "LVIS v1"
    needs: ClassVar[str] = "annotations/lvis_v1_train.json or lvis_v1_train.json"

    def find(self, options: dict[str, Path]) -> dict[str, list[Path]]:
        splits = {}
        for split in ("train", "val", "test"):
            files = [folder / f"lvis_v1_{split}.json" for folder in (self.root / "annotations", self.root)]
            if there := [file for file in files if file.is_file()]:
                splits[split] = there
        return splits | {split: [file] for split, file in options.items()}

    def folders(self, file: Path, split: str) -> list[Path]:
        return [self.root]


def _with_sizes(annotations: Annotations, folder: Path, rows: IntArray) -> Annotations:
    """The same with the sizes of those images, where the file has none, as Label Studio has none without an object."""
    unknown = rows[annotations.sizes[rows, 0] == UNKNOWN]
    if not len(unknown):
        return annotations
    sizes = annotations.sizes.copy()
    for i in unknown.tolist():
        sizes[i] = image_size(str(folder / annotations.file_names[i]))[::-1]
    sizes.setflags(write=False)
    return replace(annotations, sizes=sizes, cache=None)


def find_files(root: Path) -> dict[str, list[Path]]:
    """The files of each split: of COCO and CVAT ``instances_*.json`` in ``annotations/`` or in ``root``, of Roboflow
    that in the folder of the split; where none is for training, others by a word of their name, or the only one."""
    files: dict[str, list[Path]] = {}
    for folder in (root / "annotations", root):
        for file in sorted(folder.glob("instances_*.json")):
            _add(files, split_of(file.stem.removeprefix("instances_")), file)
    for folder in sorted(folder for folder in root.iterdir() if folder.is_dir()):
        for file in _boxes_in(folder) if (split := split_of(folder.name)) else []:
            _add(files, split, file)
    if "train" not in files:
        others = [*_boxes_in(root / "annotations"), *_boxes_in(root)]
        for file in others:
            _add(files, split_in(file.stem), file)
        if "train" not in files and len(others) == 1 and not files:
            files["train"] = others
    return files


def image_folders(root: Path, file: Path, split: str) -> list[Path]:
    """Where the images of a file may lie, the likeliest first: never in the folder of another split."""
    name = file.stem.removeprefix("instances_")
    tops = (root, root / "images", root / "data")
    named = [top / name for top in tops]
    called = [
        folder for top in tops if top.is_dir() for folder in sorted(top.iterdir()) if split_of(folder.name) == split
    ]
    beside = [file.parent, file.parent / "images", file.parent / "data"]
    in_split = file.parent.parent == root and split_of(file.parent.name) is not None
    return beside if in_split else [*named, *called, root / "images", root, *beside[:2], root / "data", beside[2]]


def _add(files: dict[str, list[Path]], split: str | None, file: Path) -> None:
    if split is not None and file not in files.setdefault(split, []):
        files[split].append(file)


def _boxes_in(folder: Path) -> list[Path]:
    """The JSON files right in a folder that hold boxes in COCO's format."""
    return [file for file in sorted(folder.glob("*.json")) if file.name[0] != "." and boxes_in_file(file)]
