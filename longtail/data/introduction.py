"""What a data set says of itself: the command line and the tasks ask the class, and nobody keeps a list of them.

But for one: a path is recognised before any class is imported, by ``longtail.files.formats.readers``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from longtail.errors import InputError
from longtail.files.formats.readers import Reader
from longtail.messages import command, escape

if TYPE_CHECKING:
    from longtail.data.base import LongTailData


@dataclass(frozen=True)
class Located:
    """What ``--data PATH``, or an address, means: the class that reads it, and its options that name the place."""

    data: type[LongTailData]
    options: dict[str, Path | str]


class Introduction:
    """Base of the data modules that holds what is known of one before it is built.

    Attributes:
        short_name: what ``--data NAME`` calls the class by; None for a class that is only named by its import path.
        needs: how to give what it reads, as a message goes on where that is missing or is of another kind.
        movable: its options that leave the splits of a run as they are, so that an evaluation may change them.
        split_options: its options that the splits follow from, which a run keeps where it is gone on from.
        roots: its options that say which set is meant, so that a second stage with one of them is on another set; a
            benchmark is the same set wherever it lies.
        places: its options that say where parts of a set lie or what its files call them, and may be left out; another
            set has its own.
        of_input: its options that follow from what the network of a run takes, with their keys in the record of that.
        any_size: whether images are resized from any size, so that size and central crop follow the weights of a
            network; else they have one size and are shown whole, unless an option says otherwise or the network keeps a
            part of its weights, which the size follows then.
        noun: for a sample, of which a batch holds so many.
        skips: its option that leaves out what cannot be used, which is an error otherwise; None without one.
        looks: its options, and their values, with which a look at the set is enough to tell what is there.
        picks_recipe: whether ``longtail fit`` without a recipe picks one by how many images and classes it lists: of
            a ``FileData``.
        packs: whether ``longtail pack`` can write it: a ``FileData`` of images with one class each.
    """

    short_name: ClassVar[str | None] = None
    needs: ClassVar[str] = "give --data FOLDER"
    movable: ClassVar[frozenset[str]] = frozenset({"batch_size"})
    split_options: ClassVar[frozenset[str]] = frozenset()
    roots: ClassVar[frozenset[str]] = frozenset({"root"})
    places: ClassVar[frozenset[str]] = frozenset()
    of_input: ClassVar[Mapping[str, str]] = {}
    any_size: ClassVar[bool] = False
    noun: ClassVar[str] = "image"
    skips: ClassVar[str | None] = None
    looks: ClassVar[Mapping[str, bool]] = {}
    picks_recipe: ClassVar[bool] = False
    packs: ClassVar[bool] = False

    @classmethod
    def at_address(cls, address: str) -> Located:
        """What the address of a set in a store means when it is given to ``--data``.

        Raises:
            InputError: here, as hardly a class reads from stores.
        """
        raise not_read(cls, Reader.SHARDS.path, {"root": address})


def not_read(data: type[Introduction], other: str, options: Mapping[str, Path | str]) -> InputError:
    """What is said of a path, or an address, that a class does not read, and another one does.

    Args:
        data: the class that was asked.
        other: import path of the other one.
        options: of the other one, such as "root", the last of them the path.
    """
    path = list(options.values())[-1]
    words = [word for option, place in options.items() for word in (f"--data.{option}", place)]
    way_out = command("--data", other, *words)
    return InputError(f"{escape(path)} is nothing that {data.__name__} reads: give what it does, or {way_out}")
