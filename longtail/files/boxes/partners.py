"""The image of a file of annotations, by its name."""

import re
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

from longtail.files.boxes.pairs import by_stem, files_below

_ANNOTATIONS = re.compile(r"annotations?|xmls?|jsons?|labels?", re.IGNORECASE)
_PICTURES = re.compile(r"(image|img|jpegimage|picture|photo)s?|data", re.IGNORECASE)


class Partners:
    """Finds the images of annotations; every folder is read once."""

    def __init__(self) -> None:
        self._folders: dict[Path, list[Path]] = {}
        self._images: dict[Path, dict[str, str]] = {}

    def image(self, annotation: Path, file_name: str | None = None) -> str | None:
        """The image with the name of an annotation, beside it or in a folder of images beside its own; or None.

        Args:
            annotation: path of the file, such as ``Annotations/train/1.xml``.
            file_name: of the image, as the file has it; looked for where no image has the name of the file. Then this
                is read as in an address, where %C3%A4 is a letter.

        Raises:
            InputError: two images have the name.
        """
        own = None if not file_name else Path(PureWindowsPath(file_name).name).stem
        folder = annotation.parent
        if folder not in self._folders:
            self._folders[folder] = _picture_folders(folder)
        for stem in filter(None, (annotation.stem, own, unquote(annotation.stem))):
            for pictures in self._folders[folder]:
                if pictures not in self._images:
                    self._images[pictures] = by_stem(files_below(pictures, deep=False), pictures)
                if path := self._images[pictures].get(stem):
                    return path
        return None


def _picture_folders(folder: Path) -> list[Path]:
    """The folders in which the images of the annotations in a folder may lie, the likeliest first."""
    places = [folder]
    for above in (folder, *folder.parents[:3]):
        if _ANNOTATIONS.fullmatch(above.name):
            beside = sorted(place for place in above.parent.iterdir() if _PICTURES.fullmatch(place.name))
            places += [place / folder.relative_to(above) for place in beside]
            places += beside
    return [place for place in dict.fromkeys(places) if place.is_dir()]
