"""``longtail data``: looks at a data set, and says what it is and what to type next."""

import json
import logging
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from longtail.cli.choice import choose
from longtail.cli.data import build_data, check_table, data_options, data_settings, local_place
from longtail.cli.options import pairs, short_options, take, trust_modules
from longtail.errors import InputError
from longtail.messages import command, escape
from longtail.own_modules import named_in, serve
from longtail.writing import write_atomically

if TYPE_CHECKING:
    from longtail.data.base import LongTailData
    from longtail.reports.dataset import Dataset

DATA_HELP = """\
usage: longtail data WHAT [--html FILE] [--json FILE] [options]

Says of a data set what it is, which classes it has and how skewed they are, how it is split, what comes more than once,
which files cannot be used, and which recipe fits. Nothing is changed, but that readers keep in a folder .longtail
beside the set what they counted or checked, as for a training.

  WHAT                 what longtail fit takes as --data: a folder, a table, or the name of a data set, such as
                       digits_lt, or coco with --data.root FOLDER; for a folder of folders of frames VideoFolder with
                       --data.root FOLDER, as these look like images
  --html FILE          a page with the same, and examples of each class
  --json FILE          the same for programs
  --no-copies          leave out the search for what comes more than once, which reads every image
  --model.many N       limits of the groups of many, medium and few, as for fit
  --model.few N
  --trust MODULE       let it name what is in a module of your own, from now on

The options of the data are those of fit, by their full names, such as --data.group patient, --data.root photos,
--data.val test.csv, --data.val_fraction 0.1 or --data.label_column species. Files that cannot be used are left out and
counted; --data.skip_bad_images false (for boxes --data.skip_bad_annotations false) stops at the first one instead.
"""

INDENT = 12  # of what is said, below each other


def look(args: list[str]) -> int:
    """Look at a data set."""
    if not args or args[0] in ("-h", "--help"):
        sys.stdout.write(DATA_HELP)
        return 0
    trust_modules(args)
    serve(named_in(args))
    page, file = (None if (name := take(args, option)) is None else Path(name) for option in ("--html", "--json"))
    limits = {name: _number(name, take(args, f"--model.{name}")) for name in ("many", "few")}
    compares = "--no-copies" not in args
    options = short_options([arg for arg in args if arg != "--no-copies"])
    what = take(options, "--data") or (options.pop(0) if options and not options[0].startswith("--") else None)
    if what is None:
        raise InputError("give what to look at: longtail data WHAT (longtail data --help tells more)")
    for output in filter(None, (page, file)):
        _check_output(output)
    class_path, words = _recognise(what, data_settings(options))
    if words:
        _say([("format", words)])
    with _notes() as notes:
        data = _read(data_options(what, class_path), class_path, options)
        lines = data.summary()
    from longtail.cli import findings

    dataset = findings.dataset_of(data, what, words, limits)
    said = [note for note in dict.fromkeys(notes) if not (dataset.way_out and note.endswith(dataset.way_out))]
    dataset = replace(dataset, notes=said, lines=lines)
    _say([*(("note", note) for note in dataset.notes), *lines, ("groups", dataset.groups)])
    from longtail.reports.dataset import duplicate_words, validation_words
    from longtail.reports.tail import tail_table
    from longtail.reports.terminal import show

    show(tail_table(dataset))
    _say([("validation", validation_words(dataset))])
    if compares:
        dataset = findings.with_copies(dataset, data, pictures=page is not None)
    _say([("duplicates", duplicate_words(dataset))])
    dataset = _with_recipe(dataset, data, what, options)
    _say([("recipe", dataset.recipe)])
    sys.stdout.write(f"{'next':<{INDENT}}{dataset.next}\n")  # not broken, so that it can be copied
    if page is not None:
        from longtail.cli.examples import examples_of
        from longtail.reports.dataset_page import dataset_page

        write_atomically(page, dataset_page(dataset, examples_of(data)))
        sys.stdout.write(f"{page}\n")
    if file is not None:
        write_atomically(file, json.dumps(dataset.plain(), indent=1) + "\n")
        sys.stdout.write(f"{file}\n")
    return 0


def _check_output(file: Path) -> None:
    """Refuse what cannot be written before any work is done for it."""
    if file.is_dir():
        raise InputError(f"{escape(file)} is a folder: give the name of a file")
    if not file.absolute().parent.is_dir():
        raise InputError(
            f"{escape(file.parent)}: no such folder; make it, or choose another place for {escape(file.name)}"
        )


def _number(name: str, text: str | None) -> float | None:
    try:
        value = None if text is None else float(text)
    except ValueError:
        value = math.nan
    if value is not None and not math.isfinite(value):
        raise InputError(f'--model.{name}: expected a number, got "{escape(text)}"')
    return value


def _say(lines: Sequence[tuple[str, str]]) -> None:
    from longtail.reports.terminal import said

    sys.stdout.write(said(lines, INDENT))
    sys.stdout.flush()


def _recognise(what: str, settings: Mapping[str, str]) -> tuple[str | None, str]:
    """The class that reads a path, and what lies there; of a name nothing is known yet.

    What is wrong with a path is said before anything is imported that takes seconds.
    """
    path, configuration = local_place(what)
    if not path.exists():
        return None, ""
    from longtail.files.formats.recognise import recognise

    recognition = recognise(path, settings.get("configuration", configuration))
    check_table(what, recognition.data, {"skip_bad_images": "true", **settings})
    return recognition.data.path, f"{escape(what)}: {recognition.words}"


@contextmanager
def _notes() -> Iterator[list[str]]:
    """What the package logs goes into a list, as it is said in its place."""
    package = logging.getLogger("longtail")
    notes: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: notes.append(record.getMessage())  # type: ignore[method-assign]
    handlers, package.handlers = package.handlers, [handler]
    try:
        yield notes
    finally:
        package.handlers = handlers


def _read(place: Sequence[str], class_path: str | None, options: Sequence[str]) -> "LongTailData":
    """The set, without what cannot be used unless that is to stop it; the arguments are those of ``build_data``."""
    data = build_data(place, class_path, options)
    settings = dict(pairs(options))
    data.batch_size = 1  # a set may be smaller than a batch
    for name, value in {**data.looks, **({} if data.skips is None else {data.skips: True})}.items():
        if f"--data.{name}" not in settings:
            setattr(data, name, value)
    return data


def _with_recipe(dataset: "Dataset", data: "LongTailData", what: str, options: Sequence[str]) -> "Dataset":
    """The set with the recipe that fits, why, and the command to type next."""
    from longtail.files.images.passed_over import Why

    stops = data.skips is not None and data.whys - {Why.OTHER} and f"--data.{data.skips}" not in dict(pairs(options))
    fit = ["longtail", "fit", "--data", what, *options, *([f"--data.{data.skips}=true"] if stops else [])]
    if data.picks_recipe:
        with _notes():
            choice = choose(fit[2:])
        return replace(dataset, recipe=str(choice).removeprefix("recipe "), next=command(*fit))
    return replace(dataset, next=command(*fit, "--recipe", dataset.recipe))
