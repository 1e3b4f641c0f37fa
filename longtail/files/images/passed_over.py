"""What lies in a set of images and is none of it: counted, and named so that nothing is missed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto

from longtail.files.images.formats import HEIF_SUFFIXES, NEEDS_HEIF
from longtail.messages import some

# What cameras write, before it is developed.
_RAW = frozenset(".3fr .arw .cr2 .cr3 .dng .erf .nef .nrw .orf .pef .raf .raw .rw2 .srw".split())  # noqa: SIM905


class Why(Enum):
    """Why something is left out. Where it is not ``OTHER``, it would be an error, had it not been asked to leave such
    out."""

    OTHER = auto()  # it is none of the set
    FAULTY = auto()  # it cannot be used
    GONE = auto()  # it is named, and not there


@dataclass
class PassedOver:
    """What a folder holds beside the images of its classes.

    Attributes:
        suffixes: how many files of other kinds lie in class folders, by suffix.
        beside: the number of images beside class folders.
        folders: the names of folders beside those of splits.
        unlabelled: the number of images of a test folder that has no classes.
        others: how many of what else were left out, with the words for why.
    """

    suffixes: Counter[str] = field(default_factory=Counter)
    beside: int = 0
    folders: list[str] = field(default_factory=list)
    unlabelled: int = 0
    others: Counter[tuple[str, str, Why]] = field(default_factory=Counter)

    def leave_out(self, count: int, noun: str, reason: str, why: Why = Why.OTHER) -> None:
        """Note that so many of something were left out, such as of "row", "without image"."""
        self.others[noun, reason, why] += count

    def counts(self, noun: str) -> list[tuple[int, str, str, Why]]:
        """How many of what were passed over, and why, as a summary says it."""
        counts = [
            (self.suffixes.total(), "file", f"of another kind ({named_suffixes(self.suffixes)})", Why.OTHER),
            (self.beside, noun, "beside the class folders", Why.OTHER),
            (len(self.folders), "folder", f"beside those of the splits ({some(self.folders)})", Why.OTHER),
            (self.unlabelled, noun, "of a test split without classes", Why.OTHER),
            *((count, *what) for what, count in self.others.items()),
        ]
        return [count for count in counts if count[0]]


def named_suffixes(suffixes: Counter[str]) -> str:
    """Suffixes of other files, with what would make images of them."""
    ways = [NEEDS_HEIF] if HEIF_SUFFIXES & suffixes.keys() else []
    if raw := sorted(_RAW & suffixes.keys()):
        ways.append(f"raw data of cameras, {some(raw)}, has to be developed")
    return "; ".join([some([suffix for suffix, _ in suffixes.most_common()]), *ways])
