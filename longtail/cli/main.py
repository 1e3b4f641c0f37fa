"""The command ``longtail``. Heavy imports wait until needed, here and in the modules beside it."""

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from longtail import __version__
from longtail.cli.agreement import in_one_voice
from longtail.cli.fit import fit
from longtail.cli.interrupts import insist, leave_at_once, terminated_as_interrupted
from longtail.cli.log import escape_output, is_interrupt, last_word, show_log
from longtail.cli.look import look
from longtail.cli.options import take
from longtail.cli.pack import pack
from longtail.cli.runs import calibrate, compare, recipes, report, test, validate
from longtail.cli.use import export, predict, tradeoff
from longtail.errors import InputError
from longtail.launch import follows, is_first, launch
from longtail.roll_call import named_here
from longtail.signals import STOPPED
from longtail.writing import system_error

HELP = """\
longtail - train, look at and use classifiers, detectors and segmenters for long-tailed image sets

Start
  longtail fit --data photos/                  train on a folder with one subfolder for each class
  longtail fit --recipe bcl --data photos/     the same by a method that you name
  longtail fit --recipe maskrcnn_cdb_w --data coco/   find objects, by annotations in COCO's format
  longtail fit --recipe segmentation/cdb_w --data streets/   give every pixel a class, by images/ and annotations/
  longtail fit --recipe clips/cdb_s --data videos/    classify videos, one subfolder for each class
  longtail fit --recipe digits_lt/bcl          try it on data that comes along
  longtail data photos/                        what is there: classes, splits, copies, what cannot be used
  longtail recipes                             what can be trained

Commands
  data       WHAT    look at a data set before a training; --html FILE with examples of each class
  pack       SRC DEST    write the images of a set into shards, a few large files for a slow disk or a store
  fit        train, evaluate on validation and test, write everything to a run folder
  validate   RUN     evaluate a run again on its validation split, or on another set by --data
  test       RUN     evaluate a run again on its test split, or on another set by --data
  predict    RUN FILE...    classify images or videos, find objects in images, or give their pixels classes
  report     RUN     write report.html: who gained, who paid, what is confused
  compare    RUN RUN...     put runs side by side, seeds merged
  tradeoff   RUN...         from head to tail: what a run gives when turned to its rare classes
  calibrate  RUN     make the probabilities mean something, on the validation images
  export     RUN     write ONNX and safetensors
  recipes            list the recipes

--max-pixels N is for every command that reads images: what an image may have at most (by default 89 million).

longtail COMMAND --help tells the options of a command. Documentation: README.md and docs/.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 2 for what the user can put right, 130 when stopped."""
    args = list(sys.argv[1:] if argv is None else argv)
    if argv is None and str(Path.cwd()) not in sys.path:
        os.environ.setdefault("PYTHONSAFEPATH", "1")  # some libraries start Python, and would import from this folder
    if not args or args[0] in ("-h", "--help", "help"):
        sys.stdout.write(HELP)
        return 0
    if args[0] == "--version":
        sys.stdout.write(f"longtail {__version__}\n")
        return 0
    if argv is None:
        gc.set_threshold(50_000, 10, 10)  # the 4,500 modules of a training are made of objects that all stay
        insist()
    show_log()
    escape_output()
    try:
        if args[0] not in TOGETHER and follows():
            return 0  # the first one does it alone
        with terminated_as_interrupted():
            code = in_one_voice(args[0], partial(_run, args)) if args[0] in TOGETHER else _run(args)
            sys.stdout.flush()  # what does not fit onto a disk is told here, and not as Python ends
        return code
    except InputError as error:
        here = launch()  # a process that Lightning has started speaks for itself, and ends the others
        who = f"{named_here(here.rank)}: " if here.by == "lightning" and here.rank else ""
        last_word(f"longtail: error: {who}{error}")
        return 2
    except (KeyboardInterrupt, SystemExit) as error:
        if not is_interrupt(error):
            raise
        if is_first():
            said = str(error) if isinstance(error, KeyboardInterrupt) else ""
            last_word(f"longtail: {said or 'stopped'}")
        if argv is None:
            leave_at_once(STOPPED)
        return STOPPED
    except BrokenPipeError:  # whoever read the output has seen enough, such as head
        _drop_output()
        return 141
    except OSError as error:
        reason = system_error(error)
        if reason is None:
            raise
        last_word(f"longtail: error: {reason}")
        if error.filename is None:
            _drop_output()
        return 2


def _run(args: list[str]) -> int:
    _limit_pixels(args)
    if args[0] not in COMMANDS:
        raise InputError(f'unknown command "{args[0]}": choose from {", ".join(COMMANDS)}')
    return COMMANDS[args[0]](args[1:]) or 0


def _drop_output() -> None:
    """Let what is still to be printed go nowhere, as it cannot be written."""
    with contextlib.suppress(OSError):  # there is no file behind it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _limit_pixels(args: list[str]) -> None:
    """Remove ``--max-pixels`` from the arguments, and hand it to whatever decodes an image."""
    most = take(args, "--max-pixels")
    if most is not None:
        if not (most.isascii() and most.isdigit() and 0 < int(most) < 2**31):
            raise InputError(f"--max-pixels takes the largest number of pixels of an image, below 2^31, got {most}")
        # the name is longtail.files.images.reading.MOST_PIXELS, which takes long to import
        os.environ["LONGTAIL_MAX_PIXELS"] = most


TOGETHER = ("fit", "validate", "test", "predict")  # what the processes of a launcher share

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "data": look,
    "pack": pack,
    "fit": fit,
    "validate": validate,
    "test": test,
    "predict": predict,
    "report": report,
    "compare": compare,
    "tradeoff": tradeoff,
    "calibrate": calibrate,
    "export": export,
    "recipes": recipes,
}
