"""Commands that use a run: ``predict``, ``tradeoff`` and ``export``."""

import sys
from pathlib import Path

from longtail.cli.options import command_parser, short_options
from longtail.errors import InputError


def predict(args: list[str]) -> int:
    """Classify images or videos, find objects in images, or give their pixels classes."""
    uses = "classify them, find objects in them, or give their pixels classes"
    parser = command_parser("predict", f"use a run on files and folders of images, or videos: {uses}")
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("images", type=Path, nargs="+", help="image or video files, and folders of them")
    parser.add_argument(
        "--output",
        type=Path,
        help="file for the answer, by default it is printed; for segmentation a new folder for PNGs",
    )
    parser.add_argument("--checkpoint", choices=("best", "last"), help="by default best on validation, else last")
    parser.add_argument(
        "--skip-bad-images", "--skip-bad-videos", action="store_true", help="leave out files that cannot be read"
    )
    of_images = parser.add_argument_group("for runs of classification")
    of_images.add_argument("--top-k", type=int, default=5, help="classes to name for each image (default 5)")
    of_images.add_argument("--format", choices=("csv", "jsonl"), default="csv", help="of the answer (default csv)")
    of_images.add_argument(
        "--strength", type=float, default=0.0, help="of the logit adjustment; above 0 for the rare classes (default 0)"
    )
    of_images.add_argument("--batch-size", type=int, default=64)
    of_objects = parser.add_argument_group("for runs of detection, whose answer is results in COCO's format")
    of_objects.add_argument("--score", type=float, default=0.5, help="least score in the pictures (default 0.5)")
    of_objects.add_argument("--annotations", type=Path, help="COCO file with the ids of the images")
    of_both = parser.add_argument_group(
        "for runs of detection, and of segmentation, whose answer is a PNG for each image"
    )
    of_both.add_argument("--overlays", type=Path, help="folder for a picture of each image with what was found")
    known = parser.parse_args(args)
    from longtail.reports.results import load_results

    task = load_results(known.run).get("task", "classification")
    own = {("classification",): of_images, ("detection",): of_objects, ("detection", "segmentation"): of_both}
    for tasks, group in own.items():
        for action in group._group_actions:
            if task not in tasks and any(arg.split("=")[0] in action.option_strings for arg in args):
                whose = f"runs of {' and '.join(tasks)}"
                raise InputError(f"{action.option_strings[0]} is for {whose}, this one is of {task}: leave it out")
    if task == "segmentation":
        if known.output is None:
            raise InputError("give --output FOLDER, for a PNG of each image with the class of its pixels")
        from longtail.inference.segmentation import load_segmenter, segment_files

        segment_files(
            load_segmenter(known.run, known.checkpoint),
            known.images,
            known.output,
            known.overlays,
            known.skip_bad_images,
        )
        return 0
    if task == "detection":
        from longtail.inference.detection import detect_files, load_detector

        detect_files(
            load_detector(known.run, known.checkpoint),
            known.images,
            known.output,
            known.overlays,
            known.annotations,
            known.score,
            known.skip_bad_images,
        )
        return 0
    from longtail.inference.classification import load_run, predict_files

    predict_files(
        load_run(known.run, known.checkpoint, known.strength),
        known.images,
        known.output,
        known.format,
        known.top_k,
        known.batch_size,
        known.skip_bad_images,
    )
    return 0


def tradeoff(args: list[str]) -> int:
    """Measure runs from head to tail."""
    parser = command_parser(
        "tradeoff", "measure on validation images what adjusting the logits of trained runs would do"
    )
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs; further options as for fit")
    parser.add_argument(
        "--output", type=Path, help="page, with a JSON beside it; by default tradeoff.html in the run, or here"
    )
    parser.add_argument("--checkpoint", choices=("best", "last"), help="by default best on validation, else last")
    known, rest = parser.parse_known_args(args)
    from longtail.reports.results import load_results
    from longtail.reports.tradeoff import check_output, check_runs, tradeoff_text, write_tradeoff

    output = known.output or (known.runs[0] if len(known.runs) == 1 else Path()) / "tradeoff.html"
    check_runs([load_results(run) for run in known.runs])  # what is wrong is said before anything is measured
    check_output(output)
    from rich.console import Console

    from longtail.tasks.tradeoff import measure

    curves = [measure(run, known.checkpoint, short_options(rest)) for run in known.runs]
    Console().print(tradeoff_text(curves))
    for path in write_tradeoff(curves, output):
        sys.stdout.write(f"{path}\n")
    for curve in curves:
        sys.stdout.write(f"next: {curve.export}\n")
    return 0


def export(args: list[str]) -> int:
    """Write ONNX and safetensors."""
    parser = command_parser("export", "write a run's model as ONNX and safetensors, checked against torch")
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--output", type=Path, help="folder; by default export/ in the run's folder")
    parser.add_argument("--checkpoint", choices=("best", "last"), help="by default best on validation, else last")
    parser.add_argument(
        "--strength", type=float, default=0.0, help="of the logit adjustment; above 0 for the rare classes (default 0)"
    )
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="for segmentation: of the images in pixels, where the network cannot take any (by default any)",
    )
    known = parser.parse_args(args)
    from longtail.reports.results import load_results

    output = known.output or known.run / "export"
    task = load_results(known.run).get("task", "classification")
    own = {"classification": ("--strength", known.strength), "segmentation": ("--size", known.size)}
    for other, (option, given) in own.items():
        if given and task != other:
            raise InputError(f"{option} is for runs of {other}, this one is of {task}: leave it out")
    from longtail.export.classification import export_run
    from longtail.export.detection import export_detector
    from longtail.export.segmentation import export_segmenter

    if task == "segmentation":
        paths = export_segmenter(known.run, output, known.checkpoint, known.size)
    elif task == "detection":
        paths = export_detector(known.run, output, known.checkpoint)
    else:
        paths = export_run(known.run, output, known.checkpoint, known.strength)
    for path in paths:
        sys.stdout.write(f"{path}\n")
    return 0
