"""Methods: networks with their losses."""

from longtail.methods.base import Method
from longtail.methods.bcl import BCL
from longtail.methods.cibl import CIBL
from longtail.methods.gml import GML, GMLTeacher
from longtail.methods.plain import Plain

__all__ = ["BCL", "CIBL", "GML", "GMLTeacher", "Method", "Plain"]
