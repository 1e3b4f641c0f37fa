"""Methods: a network plus its losses, as plain torch modules."""

from longtail.methods.base import Method
from longtail.methods.bcl import BCL
from longtail.methods.plain import Plain

__all__ = ["BCL", "Method", "Plain"]
