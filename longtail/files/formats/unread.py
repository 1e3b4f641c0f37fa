"""Files of annotation tools in formats that are not read, so that a line says so and nothing else is made of them."""

import re
from collections.abc import Mapping

_SHAPES = rb'(rectangle|polygon|brush|ellipse|keypoint)labels"'
# The ending of such a file, what its text has, and what it holds.
_KNOWN: tuple[tuple[str, bytes, str], ...] = (
    (".xml", rb"<annotation>.*<polygon>\s*<pt>", "XML of LabelMe's web tool"),
    (".xml", rb"<annotations>.*<track ", "CVAT's XML for video"),
    (".json", rb'"dm_format_version"', "Datumaro's JSON"),
    (".json", rb'"segments_info"', "COCO's panoptic segmentation"),
    (".json", rb'"regions".{0,20}"shape_attributes"', "shapes of the VGG Image Annotator"),
    (".json", rb'"coordinates"\s*:\s*\{\s*"x"', "boxes in CreateML's JSON"),
    (".json", rb'"bounding_box"\s*:\s*\[', "boxes in FiftyOne's JSON"),
    (".json", rb'\A\s*\[(?!.*"choices").*"' + _SHAPES, "shapes in Label Studio's JSON"),
    (".csv", rb'\A(?=.*annotation_id)(?!.*choices"").*' + _SHAPES, "shapes in Label Studio's CSV"),
    (".csv", rb"\AImageID,Source,LabelName,Confidence,XMin", "boxes of Open Images"),
    (".csv", rb"\AMaskPath,ImageID,LabelName", "masks of Open Images"),
    (".txt", rb"\A[^\W\d][^\n]*?( -?[\d.]+){14,15}\s*?(\n|\Z)", "boxes in KITTI's format"),
    (".txt", rb"\A(-?[\d.]+ ){8}\S[^\n]*? [0-2]\s*?(\n|\Z)", "boxes in DOTA's format"),
    (".txt", rb"\A\S[^\n]*\.\w+\s*?\n\d+\s*?\n(\d[\d.]* ){4}", "boxes in WIDER FACE's format"),
    (".txt", rb"\A(\S[^\n]* +[01]\s*?\n)*\S[^\n]* +-1\s*?(\n|\Z)", "a list of images for each class of Pascal VOC"),
    (".tfrecord", rb"", "TFRecord files"),
)
_PATTERNS = [(ending, re.compile(pattern, re.DOTALL), words) for ending, pattern, words in _KNOWN]
ENDINGS = frozenset(ending for ending, _, _ in _KNOWN)
WAY_OUT = "export it as COCO or YOLO, or classes of images as folders"
_CLASSES = "imagelabels.csv"  # Open Images' classes of images, which are read, lie beside its boxes


def unread_format(texts: Mapping[str, bytes]) -> str | None:
    """What the files of a folder hold, where one is in a format that is not read; None for any others.

    Args:
        texts: what is in each file, or its start, by the name of the file.
    """
    if any(name.endswith(_CLASSES) for name in texts):
        return None
    for name, text in texts.items():
        for ending, pattern, words in _PATTERNS:
            if name.lower().endswith(ending) and pattern.search(text):
                return words
    return None
