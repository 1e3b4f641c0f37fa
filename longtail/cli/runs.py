"""Commands that look at runs and recipes: ``validate``, ``test``, ``report``, ``compare`` and ``recipes``."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from longtail.cli.agreement import meet_anew, trainer_options
from longtail.cli.data import data_options
from longtail.cli.options import add_checkpoint, add_trust, command_parser, short_options
from longtail.errors import InputError
from longtail.launch import follows
from longtail.messages import command


def recipes(args: list[str]) -> int:
    """List the recipes."""
    command_parser("recipes", "list the shipped recipes").parse_args(args)
    from longtail.recipes import load_recipe, recipe_names

    names = recipe_names()
    width = max(map(len, names))
    for name in names:
        sys.stdout.write(f"{name:<{width}}  {load_recipe(name)['about']}\n")
    return 0


def validate(args: list[str]) -> int:
    """Evaluate a run on its validation split."""
    return _evaluate("val", args)


def test(args: list[str]) -> int:
    """Evaluate a run on its test split."""
    return _evaluate("test", args)


def calibrate(args: list[str]) -> int:
    """Fit what makes the probabilities of a run mean something."""
    parser = command_parser(
        "calibrate", "fit the probabilities of a run on its validation images, for predict and export to use"
    )
    parser.add_argument("run", type=Path, help="folder of the run; further options as for fit")
    parser.add_argument(
        "--kind",
        choices=("auto", "temperature", "group", "bias", "vector"),
        default="auto",
        help="one scale; a scale and an offset for many, medium and few; one scale and an offset for every class; a "
        "scale and an offset for every class (default the best of them by cross-fitting)",
    )
    add_checkpoint(parser)
    parser.add_argument("--coverage", type=float, default=0.9, help="of the sets that are measured (default 0.9)")
    parser.add_argument(
        "--reject-rate",
        type=float,
        default=0.05,
        metavar="RATE",
        help="share of the images of the classes that may be rejected, where that is measured (default 0.05)",
    )
    parser.add_argument(
        "--class-means",
        action="store_true",
        help="also take the mean features of the classes, by training images, for predict --reject distance",
    )
    parser.add_argument(
        "--outsiders",
        type=Path,
        metavar="FOLDER",
        help="images, or videos, of none of the classes: measure how well each score of --reject tells them "
        "(with --class-means)",
    )
    add_trust(parser)
    options, rest = parser.parse_known_args(args)
    from longtail.reports.calibration import calibration_tables
    from longtail.reports.terminal import show
    from longtail.tasks.calibration import calibrate as fit

    settings = (options.coverage, options.reject_rate, options.class_means, options.outsiders)
    calibration, file = fit(options.run, options.kind, options.checkpoint, short_options(rest), *settings)
    for table, notes in calibration_tables(options.run.name, asdict(calibration)):
        show(table)
        sys.stdout.write("".join(f"{note}\n" for note in notes))
    sys.stdout.write(f"{file}\nnext: {command('longtail', 'predict', options.run, 'FILE', '--coverage', '0.9')}\n")
    return 0


def _evaluate(split: Literal["val", "test"], args: list[str]) -> int:
    parser = command_parser({"val": "validate"}.get(split, split), f"evaluate a run on its {split} split")
    parser.add_argument("run", type=Path, help="folder of the run; further options as for fit")
    add_trust(parser)
    parser.add_argument("--data", help="another labelled set with the classes of the run, by default its own")
    parser.add_argument("--prior", help="class frequencies to measure under, beside the run as it is; as of predict")
    parser.add_argument("--strength", type=float, help="of a logit adjustment to measure, beside the run as it is")
    options, rest = parser.parse_known_args(args)
    if options.prior is not None or options.strength is not None:
        if options.data is not None:
            raise InputError("--prior and --strength measure on the run's own splits: leave out --data")
        if follows():
            return 0  # the first one measures alone
        from longtail.reports.terminal import show
        from longtail.tasks.calibration import measure_under

        show(measure_under(split, options.run, options.prior, options.strength or 0.0, short_options(rest)))
        return 0
    rest = short_options(rest)
    rest += trainer_options(rest)
    meet_anew()
    if options.data is None:
        from longtail.tasks.evaluation import evaluate_run

        evaluate_run(split, options.run, rest)
        return 0
    from longtail.tasks.evaluation import read_config
    from longtail.tasks.other_data import evaluate_on
    from longtail.trust import building_from_run

    config = read_config(options.run)
    with building_from_run(options.run, config):
        data = data_options(options.data, config["data"]["class_path"])
    evaluate_on(split, options.run, data, rest)
    return 0


def report(args: list[str]) -> int:
    """Write report.html."""
    parser = command_parser("report", "write one self-contained report.html about a run")
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--output", type=Path, help="by default report.html in the run's folder")
    options = parser.parse_args(args)
    from longtail.reports.report import write_report

    sys.stdout.write(f"{write_report(options.run, options.output)}\n")
    return 0


def compare(args: list[str]) -> int:
    """Put runs side by side."""
    parser = command_parser("compare", "put runs side by side; runs that differ only by seed are merged")
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs; changes are against the first")
    parser.add_argument("--output", type=Path, default=Path("compare.html"), help="default compare.html")
    options = parser.parse_args(args)
    from longtail.reports.compare import columns_text, comparison_notes, write_columns
    from longtail.reports.seeds import load_columns
    from longtail.reports.terminal import show

    columns = load_columns(options.runs)
    show(columns_text(columns))
    sys.stdout.write("".join(f"{note}\n" for note in comparison_notes(columns)))
    sys.stdout.write(f"{write_columns(columns, options.output)}\n")
    return 0
