"""Commands that use a run: ``predict``, ``tradeoff`` and ``export``."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longtail.cli.agreement import grouped
from longtail.cli.options import add_checkpoint, add_trust, command_parser, short_options
from longtail.errors import InputError
from longtail.reports.results import FILE_NAME
from longtail.roll_call import Facts, checksum

if TYPE_CHECKING:
    from longtail.inference.base import Predictor


def predict(args: list[str]) -> int:
    """Classify images or videos, find objects in images, or give their pixels classes."""
    predictor, settings = _parse(PREDICT, args)
    with grouped(partial(_facts, settings)):
        _, run = _load(predictor, settings)
        run.predict(settings.pop("images"), settings.pop("output"), settings.pop("skip_bad_images"), **settings)
    return 0


def _facts(settings: dict[str, Any]) -> Facts:
    """What a process tells of the options that were parsed, and of the run; of what may be a path only that it is
    given."""
    options = {name: value for name, value in settings.items() if name != "results"}
    plain = {name: value if isinstance(value, int | float | None) else "given" for name, value in options.items()}
    run = checksum(json.dumps(settings["results"], sort_keys=True).encode())
    facts = {f"has the option {name} {{}}": str(value) for name, value in plain.items()}
    return {**facts, "reads results of the run with the checksum {}": run}


def _load(predictor: "type[Predictor]", settings: dict[str, Any]) -> "tuple[Path, Predictor]":
    """The folder of the run, and the run, by what was parsed for it, which is taken out."""
    folder, results, weights = settings.pop("run"), settings.pop("results"), settings.pop("weights")
    if weights is not None:
        from longtail.inference.beside import with_weights

        results = with_weights(folder, results, weights)
    return folder, predictor.load(folder, results, settings.pop("checkpoint"))


def _for_all(parser: argparse.ArgumentParser) -> None:
    add_checkpoint(parser)
    parser.add_argument(
        "--weights", type=Path, help="the file of weights that a part of the network was trained beside, if it moved"
    )


def _for_predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        type=Path,
        help="where the answer goes; by default it is printed",
    )
    _for_all(parser)
    parser.add_argument(
        "--skip-bad-images", "--skip-bad-videos", action="store_true", help="leave out files that cannot be read"
    )


def export(args: list[str]) -> int:
    """Write ONNX and safetensors, or a folder of timm."""
    predictor, settings = _parse(EXPORT, args)
    folder, run = _load(predictor, settings)
    output = settings.pop("output") or predictor.export_folder(folder, **settings)
    for path in run.export(output, **settings):
        sys.stdout.write(f"{path}\n")
    return 0


def _for_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, help="folder; by default one in that of the run")
    _for_all(parser)


@dataclass(frozen=True)
class _Use:
    """A command whose options are those of every run, and those that the predictor of a run adds."""

    name: str
    about: str
    add: Callable[[argparse.ArgumentParser], None]
    files: str | None = None

    def add_own(self, parser: argparse.ArgumentParser, predictor: "type[Predictor]") -> None:
        """Add the options for runs of one predictor alone."""
        getattr(predictor, f"{self.name}_options")(parser)

    def parser(self) -> argparse.ArgumentParser:
        """A parser of what is the same for every run."""
        parser = command_parser(self.name, self.about)
        parser.add_argument("run", type=Path, help="folder of the run")
        if self.files is not None:
            parser.add_argument("images", type=Path, nargs="+", help=self.files)
        self.add(parser)
        add_trust(parser)
        return parser

    def own_parser(self, predictor: "type[Predictor]") -> argparse.ArgumentParser:
        """A parser of the options for runs of one predictor alone."""
        parser = command_parser(self.name, usage=argparse.SUPPRESS, add_help=False)
        self.add_own(parser, predictor)
        return parser

    def run(self, args: list[str]) -> str | None:
        """The folder of the run, wherever it stands among the options: of the words that may be it, the first one that
        is, as those before it may be values of options that only its predictor knows."""
        from longtail.inference.runs import shipped

        parser = command_parser(self.name, add_help=False, conflict_handler="resolve")
        parser.add_argument("run", nargs="?")
        parser.add_argument("images", nargs="*")
        self.add(parser)
        add_trust(parser)
        for predictor in shipped():
            self.add_own(parser, predictor)
        known = parser.parse_known_args(args)[0]
        words: list[str] = [word for word in (known.run, *known.images) if word is not None]
        return next((word for word in words if (Path(word) / FILE_NAME).is_file()), known.run)


PREDICT = _Use(
    "predict",
    "use a run on files, folders and lists of images, or videos: classify them, find objects in them, or give their "
    "pixels classes",
    _for_predict,
    "image or video files, folders of them, and tables that list them in a column called path",
)
EXPORT = _Use("export", "write a run's model as ONNX and safetensors, checked against torch", _for_export)


def _parse(use: _Use, args: list[str]) -> "tuple[type[Predictor], dict[str, Any]]":
    """The class that uses the run, and the options: those of every run, "results", and those of that class.

    Raises:
        InputError: on a wrong option; one of other runs is told as such.
    """
    from longtail.inference.runs import shipped

    run = use.run(args)
    if run is None:
        if {"-h", "--help"} & set(args):
            texts = (use.own_parser(predictor).format_help() for predictor in shipped())
            sys.stdout.write("\n".join([use.parser().format_help(), *(text for text in texts if text.strip())]))
            raise SystemExit(0)
        use.parser().error("the folder of a run is required")
    from longtail.inference.runs import foreign_option, predictor_of, tasks_that
    from longtail.reports.results import load_results

    results = load_results(Path(str(run)))
    predictor = predictor_of(results)
    parser = use.parser()
    use.add_own(parser, predictor)
    options, rest = parser.parse_known_args(args)
    if rest:
        option = rest[0].split("=")[0]
        if tasks := tasks_that(lambda predictor: _knows(use.own_parser(predictor), rest)):
            raise foreign_option(option, results, tasks)
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return predictor, {**vars(options), "results": results}


def _knows(parser: argparse.ArgumentParser, rest: list[str]) -> bool:
    """Whether a parser knows the option that stands first."""
    try:
        return rest[0] not in parser.parse_known_args(rest)[1]
    except InputError:  # of its value
        return True


def tradeoff(args: list[str]) -> int:
    """Measure runs from head to tail."""
    parser = command_parser(
        "tradeoff", "measure on validation images what adjusting the logits of trained runs would do"
    )
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs; further options as for fit")
    parser.add_argument(
        "--output", type=Path, help="page, with a JSON beside it; by default tradeoff.html in the run, or here"
    )
    add_checkpoint(parser)
    add_trust(parser)
    options, rest = parser.parse_known_args(args)
    from longtail.inference.runs import check_use
    from longtail.reports.results import load_results
    from longtail.reports.tradeoff import check_output, check_runs, tradeoff_notes, tradeoff_text, write_tradeoff

    output = options.output or (options.runs[0] if len(options.runs) == 1 else Path()) / "tradeoff.html"
    runs = [load_results(run) for run in options.runs]  # what is wrong is said before anything is measured
    for results in runs:
        check_use(results, "tradeoff")
    check_runs(runs)
    check_output(output)
    from longtail.reports.terminal import show
    from longtail.tasks.tradeoff import measure

    curves = [measure(run, options.checkpoint, short_options(rest)) for run in options.runs]
    show(tradeoff_text(curves))
    sys.stdout.write("".join(f"{note}\n" for note in tradeoff_notes(curves)))
    for path in write_tradeoff(curves, output):
        sys.stdout.write(f"{path}\n")
    for curve in curves:
        sys.stdout.write(f"next: {curve.export}\n")
    return 0
