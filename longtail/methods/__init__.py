"""Methods: networks with their losses."""

from longtail.methods.base import Method
from longtail.methods.bcl import BCL
from longtail.methods.boxes import ObjectnessBoxes, SigmoidBoxes, SoftmaxBoxes
from longtail.methods.cibl import CIBL
from longtail.methods.distilled import Distilled
from longtail.methods.gml import GML, GMLTeacher
from longtail.methods.pixel_gml import PixelGML
from longtail.methods.pixels import PixelPlain
from longtail.methods.plain import Plain
from longtail.methods.probe import NearestClassMean, Probe
from longtail.methods.rcnn import RCNN
from longtail.methods.start import ClassMeans, HeadStart
from longtail.methods.text import TextFeatures

__all__ = [
    "BCL",
    "CIBL",
    "GML",
    "RCNN",
    "ClassMeans",
    "Distilled",
    "GMLTeacher",
    "HeadStart",
    "Method",
    "NearestClassMean",
    "ObjectnessBoxes",
    "PixelGML",
    "PixelPlain",
    "Plain",
    "Probe",
    "SigmoidBoxes",
    "SoftmaxBoxes",
    "TextFeatures",
]
