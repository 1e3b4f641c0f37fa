"""Configurations of a set, by which the head of its README.md says which files are of which split, as Hugging Face's
hub reads it."""

# ruff: noqa: PTH117, PTH118 - patterns are plain strings

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from longtail.errors import InputError
from longtail.files.split_names import SPLIT_NAMES, split_of_file
from longtail.files.tables.readme import head_of
from longtail.messages import command, escape, some
from longtail.plain import JSON

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Configuration:
    """What was chosen of a set.

    Attributes:
        folder: that has its files.
        name: of the configuration; empty where the set has none.
        splits: "train", "val", "test" or "all" for each of its files; None where that is told from their names.
        others: the names of the other configurations, where nobody chose this one.
    """

    folder: Path
    name: str = ""
    splits: dict[Path, str] | None = None
    others: tuple[str, ...] = ()

    def split_of(self, file: Path) -> str:
        """The split of a file; "all" where nothing says one."""
        return split_of_file(self.folder, file) if self.splits is None else self.splits[file]

    def files(self, suffixes: Collection[str]) -> list[Path]:
        """The files that it names, with these suffixes."""
        return sorted(file for file in self.splits or () if file.suffix.lower() in suffixes)

    @property
    def words(self) -> str:
        """What was taken, as a line of what was read begins; nothing where there was nothing to choose."""
        if not self.others:
            return ""
        ways = command("--data.configuration", self.others[0])
        return f"configuration {escape(self.name)} taken, not {some(self.others)} ({ways}); "


def configuration_names(root: Path) -> list[str]:
    """The names of the configurations of the set in a folder; empty where README.md has none."""
    return list(_configurations(root))


def configuration(root: Path, name: str | None = None) -> Configuration:
    """The configuration of a name; without one the only one, the one that README.md makes the default, or that is
    called default. A set without configurations is its folder.

    Raises:
        InputError: there is no such, several and no default, or files that it names are not there.
    """
    known = _configurations(root)
    if name is not None and name not in known:
        there = f"only {some(list(known), 10)}: give one" if known else "and README.md there has none: leave it out"
        raise InputError(f"{command('--data.configuration', name)}: {escape(root)} has no such configuration, {there}")
    if not known:
        return Configuration(root)
    chosen = _default(root, known) if name is None else name
    about = known[chosen]
    others = tuple(other for other in known if other != chosen) if name is None else ()
    base = os.path.normpath(str(about.get("data_dir") or ""))
    if not (root / base).is_dir() or os.path.isabs(base) or base.startswith(os.pardir):
        raise InputError(f"{_place(root, chosen)}: no folder {escape(base)} in the set; copy it there")
    if about.get("data_files") is None:
        return Configuration(root / base, chosen, None, others)
    return Configuration(root, chosen, _files(root, base, chosen, about["data_files"]), others)


def _configurations(root: Path) -> dict[str, dict[str, JSON]]:
    entries = head_of(root).get("configs")
    entries = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return {str(entry["config_name"]): entry for entry in entries if "config_name" in entry}


def _default(root: Path, known: dict[str, dict[str, JSON]]) -> str:
    marked = [name for name, about in known.items() if about.get("default") is True]
    chosen = marked or [name for name in known if name == "default" or len(known) == 1]
    if len(chosen) != 1:
        ways = command("--data.configuration", next(iter(known)))
        raise InputError(f"{escape(root)} has several configurations, {some(list(known), 10)}: give one, by {ways}")
    return chosen[0]


def _files(root: Path, base: str, name: str, data_files: JSON) -> dict[Path, str]:
    """The split of each file that a configuration names."""
    patterns = _patterns(root, name, data_files)
    places: dict[str, str] = {}
    for split in patterns:
        ours = next((ours for ours, names in SPLIT_NAMES.items() if split.lower() in names), None)
        if ours is None and len(patterns) > 1:
            logger.info(f"{_place(root, name)}: {escape(split)} is neither train, val nor test, and left out")
        elif ours in places.values():
            raise InputError(f"{_place(root, name)}: two splits stand for {ours}, {some(list(patterns))}: keep one")
        else:
            places[split] = ours or "all"
    if not places:
        raise InputError(f"{_place(root, name)}: none of its splits is for training, {some(list(patterns))}")
    paths = _below(root)
    splits: dict[Path, str] = {}
    for split, ours in places.items():
        for pattern in patterns[split]:
            expression = _expression(os.path.normpath(os.path.join(base, pattern)))
            fits = [root / path for path in paths if re.fullmatch(expression, path)]
            if not fits:
                raise InputError(
                    f"{_place(root, name)}: no file fits {escape(pattern)}, of {escape(split)}; copy it there"
                )
            if twice := next((file for file in fits if splits.get(file, ours) != ours), None):
                raise InputError(f"{_place(root, name)}: {escape(twice.name)} is in two splits; correct its patterns")
            splits |= dict.fromkeys(fits, ours)
    return splits


def _patterns(root: Path, name: str, data_files: JSON) -> dict[str, list[str]]:
    """The patterns of each split: of paths alone, for training."""
    paths = [data_files] if isinstance(data_files, str) else data_files
    if isinstance(paths, list) and paths and all(isinstance(path, str) for path in paths):
        return {"train": paths}
    try:
        if isinstance(data_files, list):
            data_files = {entry["split"]: entry["path"] for entry in data_files}
        patterns = {str(split): [its] if isinstance(its, str) else list(its) for split, its in data_files.items()}
        if patterns and all(isinstance(pattern, str) for its in patterns.values() for pattern in its):
            return patterns
    except (KeyError, TypeError, AttributeError):
        pass
    raise InputError(f"{_place(root, name)}: data_files are no paths, nor a path for each split; correct them")


def _expression(pattern: str) -> str:
    """A pattern of paths as a regular expression: ** stands for any folders, * and ? for what is within a name."""
    parts = re.split(r"(\*\*/?|\*|\?|\[[^\]]+\])", Path(pattern).as_posix())
    marks = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(marks.get(part, part.replace("[!", "[^") if part[:1] == "[" else re.escape(part)) for part in parts)


def _below(root: Path) -> list[str]:
    """The files in a folder and below, by their paths from there; none that is hidden."""
    paths = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name[0] != "." and name[:2] != "__")
        short = Path(folder).relative_to(root)
        paths += [(short / name).as_posix() for name in sorted(names) if name[0] != "."]
    return paths


def _place(root: Path, name: str) -> str:
    return f"{escape(root / 'README.md')}, configuration {escape(name)}"
