"""How people lay out images and masks: which folders and files are pairs, by split."""

from pathlib import Path

from longtail.errors import InputError
from longtail.files.images.reading import SUFFIXES
from longtail.files.listing import named_in
from longtail.files.pixels.pairs import Pairs, files_by_name, find_pairs, find_splits, read_text
from longtail.files.split_names import SPLIT_NAMES, split_of
from longtail.messages import escape

IMAGES = ("images", "imgs", "img", "JPEGImages", "image_2")
_OBJECTS = "SegmentationObject"  # masks that number the objects of an image, and say nothing of classes
MASKS = ("annotations", "masks", "mask", "labels", "SegmentationClass", "semantic_rgb")


def find_masks(root: Path, needs_train: bool = True) -> dict[str, Pairs]:
    """The pairs of image and mask of every split.

    Known are ``images/`` and ``annotations/`` (or ``masks/``, ``labels/``), each with a folder for every split or flat;
    the same two folders in one for every split; both kinds in the folder of the split, masks with names that end in
    ``_mask``; Pascal VOC's ``JPEGImages/`` and ``SegmentationClass/`` with lists in ``ImageSets/Segmentation/``; the
    layout of CamVid, ``train/`` beside ``trainannot/``, that of Cityscapes, ``leftImg8bit/`` and ``gtFine/``, and that
    of KITTI, in which tools write other classes too. A folder ``default/`` in these is for training, as CVAT calls what
    is in no subset.

    Raises:
        InputError: as ``find_splits``; or a split is there twice.
    """
    if benchmark := _as_benchmark(root):
        return benchmark
    images, masks = _one_of(root, IMAGES), _one_of(root, MASKS)
    if images and not masks and (root / _OBJECTS).is_dir():
        raise InputError(f"{escape(root)} has {_OBJECTS}/ alone, which tells objects apart: add SegmentationClass/")
    lists = {split: root / "ImageSets" / "Segmentation" / f"{split}.txt" for split in SPLIT_NAMES}
    if images and masks and lists["train"].is_file():
        return {split: _listed(file, images, masks) for split, file in lists.items() if file.is_file()}
    tops = [path for path in sorted(root.iterdir()) if path.is_dir() and _split(path)] if root.is_dir() else []
    if (images and masks) or not tops:
        return find_splits(images or root / IMAGES[0], masks or root / MASKS[0], needs_train)
    splits: dict[str, Pairs] = {}
    for top in tops:
        split = _split(top) or ""
        images, masks = _one_of(top, IMAGES), _one_of(top, MASKS)
        if split in splits:
            raise InputError(f"{escape(root)} has several folders for {split}, such as {escape(top)}: keep one of them")
        splits[split] = find_pairs(images, masks) if images and masks else find_pairs(top, top, annotation_end="_mask")
    if needs_train and "train" not in splits:
        raise InputError(f"{escape(root)} has no train folder: add one with the training images and masks")
    return splits


def _as_benchmark(root: Path) -> dict[str, Pairs]:
    """The pairs of a set in the layout of CamVid or Cityscapes, with a colour for each class; else none."""
    streets = (root / "leftImg8bit").is_dir()
    folders = [path for path in sorted((root / "leftImg8bit" if streets else root).glob("*/")) if path.name[0] != "."]
    splits = {}
    for folder in folders:
        masks = root / "gtFine" / folder.name if streets else root / f"{folder.name}annot"
        if masks.is_dir():
            ends = ("_leftImg8bit", "_gtFine_color") if streets else ("", "")
            splits[_split(folder) or "train"] = find_pairs(folder, masks, *ends)
    return splits


def _split(folder: Path) -> str | None:
    """The split of a folder, by its name."""
    return "train" if folder.name.lower() == "default" else split_of(folder.name)


def _one_of(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The folder that has one of these names, the likeliest."""
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _listed(file: Path, images: Path, masks: Path) -> Pairs:
    """The pairs that a list names."""
    pictures, annotations = files_by_name(images, "", SUFFIXES), files_by_name(masks, "", {".png"})
    names = [named_in(line, pictures) for line in read_text(file).splitlines() if line.strip()]
    missing = [images / f"{name}.jpg" for name in names if name not in pictures]
    missing += [masks / f"{name}.png" for name in names if name not in annotations]
    alone = [f"{escape(path)}: is not there, and {escape(file)} names it" for path in sorted(missing)]
    whole = [name for name in names if name in pictures and name in annotations]
    return Pairs([pictures[name][0] for name in whole], [annotations[name][0] for name in whole], alone)
