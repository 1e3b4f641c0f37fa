"""The command ``longtail``: words for people, translated to Lightning's options. Heavy imports wait until needed."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from longtail import __version__
from longtail.errors import InputError

HELP = """\
longtail - train, look at and use classifiers, detectors and segmenters for long-tailed image sets

Start
  longtail fit --recipe bcl --data photos/     train on a folder with one subfolder for each class
  longtail fit --recipe maskrcnn_cdb_w --data coco/   find objects, by annotations in COCO's format
  longtail fit --recipe segmentation/cdb_w --data streets/   give every pixel a class, by images/ and annotations/
  longtail fit --recipe clips/cdb_s --data videos/    classify videos, one subfolder for each class
  longtail fit --recipe digits_lt/bcl          try it on data that comes along
  longtail recipes                             what can be trained

Commands
  fit        train, evaluate on validation and test, write everything to a run folder
  validate   RUN     evaluate a run again on its validation split
  test       RUN     evaluate a run again on its test split
  predict    RUN FILE...    classify images or videos, find objects in images, or give their pixels classes
  report     RUN     write report.html: who gained, who paid, what is confused
  compare    RUN RUN...     put runs side by side, seeds merged
  tradeoff   RUN...         from head to tail: what a run gives when turned to its rare classes
  export     RUN     write ONNX and safetensors
  recipes            list the recipes

longtail COMMAND --help tells the options of a command. Documentation: README.md and docs/.
"""

FIT_HELP = """\
usage: longtail fit --recipe NAME [--data WHAT] [options]

  --recipe NAME        a shipped recipe (longtail recipes) or a YAML file
  --data WHAT          a folder, a table (CSV, TSV, Parquet, list file), or cifar10_lt, cifar100_lt, digits_lt; for
                       detection a folder in COCO's format, or coco or lvis with --data.root FOLDER; for
                       segmentation a folder with images/, annotations/ (a PNG for each image, with the class of
                       its pixels) and classes.txt, or camvid, ade20k or cityscapes with --data.root FOLDER; for
                       clips a folder or a table of videos, or egtea with --data.root FOLDER
  --run FOLDER         where the run goes; by default runs/<data>-<recipe>
  --resume RUN         go on with a stopped run
  --teacher RUN        run of the teacher, for recipes that have one; it is trained first if it is not there

  --epochs N           --batch-size N        --lr X             --seed N
  --backbone NAME      a timm name, or resnet20_cifar, resnet32_cifar, resnet56_cifar; for segmentation an encoder of
                       segmentation-models-pytorch, for clips a video network of torchvision
  --pretrained         start from published weights    --weights FILE   start from a local file
  --image-size N       --workers N           --skip-bad-images
                       (for detection: --data.view, --model.method.min_size, --data.skip_bad_annotations true;
                       for segmentation N is the shorter side, and --data.view.size that of the training crops;
                       for clips also --data.frames, --data.test_clips and --skip-bad-videos)
  --precision P        bf16-mixed, 32-true, ... (by default bfloat16 where the hardware has it)
  --compile            use torch.compile               --no-channels-last
  --ema DECAY          average the weights, such as 0.999
  --clip NORM          clip the gradient to this norm
  --monitor METRIC     of the best epoch on validation (by default balanced_accuracy, AP or miou)

Every other option of the trainer, the model and the data can be given by its full name, such as
--trainer.devices 2, --model.many 50, --data.val_fraction 0.1, --trainer.logger WandbLogger.
longtail fit --help-all lists those of the trainer; --data.help CLASS and --model.help CLASS those of a class.
"""

# What people type, and the option it stands for; a pair sets a flag.
SHORT: dict[str, str | tuple[str, str]] = {
    "--epochs": "--trainer.max_epochs",
    "--batch-size": "--data.batch_size",
    "--lr": "--model.optimizer.lr",
    "--seed": "--seed_everything",
    "--backbone": "--model.method.backbone.name",
    "--weights": "--model.method.backbone.weights",
    "--pretrained": ("--model.method.backbone.pretrained", "true"),
    "--image-size": "--data.image_size",
    "--workers": "--data.num_workers",
    "--skip-bad-images": ("--data.skip_bad_images", "true"),
    "--skip-bad-videos": ("--data.skip_bad_images", "true"),
    "--precision": "--trainer.precision",
    "--compile": ("--model.compile", "true"),
    "--no-channels-last": ("--model.channels_last", "false"),
    "--clip": "--trainer.gradient_clip_val",
}
NAMED_DATA = {
    "ade20k": "longtail.data.ADE20K",
    "camvid": "longtail.data.CamVid",
    "cifar10_lt": "longtail.data.CIFAR10LT",
    "cifar100_lt": "longtail.data.CIFAR100LT",
    "cityscapes": "longtail.data.Cityscapes",
    "coco": "longtail.data.COCO",
    "digits_lt": "longtail.data.DigitsLT",
    "egtea": "longtail.data.EGTEA",
    "lvis": "longtail.data.LVIS",
}
NEED_ROOT = {
    "longtail.data.Folder": "give --data FOLDER or --data TABLE",
    "longtail.data.COCO": "give --data FOLDER, or --data coco --data.root FOLDER, with images and annotations",
    "longtail.data.LVIS": "give --data lvis --data.root FOLDER, with images and annotations",
    "longtail.data.VideoFolder": "give --data FOLDER with one subfolder of videos for each class, or --data TABLE",
    "longtail.data.EGTEA": "give --data egtea --data.root FOLDER, with the clips and the split files",
    "longtail.data.SegmentationFolder": "give --data FOLDER with images/, annotations/ and classes.txt",
    "longtail.data.ADE20K": "give --data ade20k --data.root FOLDER, with images/, annotations/ and objectInfo150.txt",
    "longtail.data.CamVid": "give --data camvid --data.root FOLDER, with images/ and annotations/",
    "longtail.data.Cityscapes": "give --data cityscapes --data.root FOLDER, with leftImg8bit/ and gtFine/",
}
VIDEO_DATA = ("longtail.data.VideoFolder", "longtail.data.VideoTable")
TEACHER = "--model.method.teacher_checkpoint"
RUN_VARIABLE = "LONGTAIL_RUN"  # hands the folder of the run to the processes that Lightning starts
TABLES = {".csv", ".tsv", ".parquet", ".txt", ".lst"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 2 for what the user can put right, 130 when stopped."""
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help", "help"):
        sys.stdout.write(HELP)
        return 0
    if args[0] == "--version":
        sys.stdout.write(f"longtail {__version__}\n")
        return 0
    sys.path.append(str(Path.cwd()))  # a loss or a method of one's own, beside the images
    try:
        if args[0] not in COMMANDS:
            raise InputError(f'unknown command "{args[0]}": choose from {", ".join(COMMANDS)}')
        return COMMANDS[args[0]](args[1:]) or 0
    except InputError as error:
        sys.stderr.write(f"longtail: error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("longtail: stopped\n")
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough, such as head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def fit(args: list[str]) -> int:
    """Train a run."""
    if not args or args[0] in ("-h", "--help"):
        sys.stdout.write(FIT_HELP)
        return 0
    if any(arg == "--help-all" or ".help" in arg.split("=")[0] for arg in args):
        from longtail.tasks.train import configure

        configure([arg.replace("--help-all", "--help") for arg in args])
    resume = take(args, "--resume")
    recipe = take(args, "--recipe")
    given = take(args, "--run")
    teacher_run = take(args, "--teacher")
    options = short_options(args)
    if resume is not None:
        for name, value in (("--recipe", recipe), ("--run", given)):
            if value is not None:
                raise InputError(f"--resume continues a run as it was configured: leave out {name}")
        run = Path(resume)
        if not (run / "config.yaml").is_file() or not (run / "last.ckpt").is_file():
            raise InputError(f"{run} holds no stopped run (config.yaml and last.ckpt): give the folder of one")
        options = ["--config", str(run / "config.yaml"), *options]
        return _train(options, run, resume=True)
    if recipe is None and not any(arg.split("=")[0] == "--config" for arg in args):
        raise InputError("give --recipe NAME (longtail recipes lists them), or --config FILE")
    config: dict[str, Any] = {}
    if recipe is not None:
        from longtail.recipes import load_recipe

        config = load_recipe(recipe)
        config.pop("about", None)
    teacher = config.pop("teacher", None)
    common = list(options)
    data = take(options, "--data")
    if teacher is not None:
        beside = run_folder(teacher, data) if given is None else Path(f"{Path(given)}-teacher")
        where = beside if teacher_run is None else Path(teacher_run)
        options.append(f"{TEACHER}={train_teacher(teacher, where, common)}")
    elif teacher_run is not None:
        raise InputError(f'the recipe "{recipe}" has no teacher: leave out --teacher')
    if data is not None:
        options = [*data_options(data, config), *options]
    data_class = options[1] if options[:1] == ["--data"] else config.get("data", {}).get("class_path")
    rooted = data is None and "root" in config.get("data", {}).get("init_args", {})
    if data_class in NEED_ROOT and not rooted and not _names_root(options):
        raise InputError(f"no data given: {NEED_ROOT[data_class]}")
    if recipe is not None:
        import yaml

        options = ["--config", yaml.safe_dump(config), "--recipe", recipe, *options]
    run = Path(given) if given is not None else default_run(recipe, data)
    return _train(options, run, resume=False)


def train_teacher(recipe: str, run: Path, options: list[str]) -> Path:
    """Train the teacher of a recipe as a run of its own, unless it is there; return its checkpoint."""
    checkpoint = run / "last.ckpt"
    if "LOCAL_RANK" in os.environ:  # the first process has seen to it
        return checkpoint
    if (run / "results.json").is_file():
        from longtail.reports.results import load_results

        if load_results(run)["status"] == "finished":
            return checkpoint
    if checkpoint.is_file():
        command = ["--resume", str(run)]
    else:
        command = ["--recipe", recipe, "--run", str(run), *without(options, ("--model.", "--data.views"))]
    sys.stdout.write(f"first the teacher: longtail fit {' '.join(command)}\n")
    sys.stdout.flush()
    code = run_command(["fit", *command])
    if code:
        raise InputError(f"the teacher {run} was not trained to its end: give the same command again to go on")
    return checkpoint


def without(options: list[str], prefixes: tuple[str, ...]) -> list[str]:
    """The options less those that begin so, and the values that follow them."""
    kept, dropping = [], False
    for option in options:
        if option.startswith("--"):
            dropping = option.startswith(prefixes)
        if not dropping:
            kept.append(option)
    return kept


def run_command(args: list[str]) -> int:
    """Run a command of longtail in a process of its own, and let it end by itself when it is stopped."""
    with subprocess.Popen([sys.executable, "-m", "longtail", *args]) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the process has got it too, and saves what it has
                continue


def _names_root(options: list[str]) -> bool:
    return any(option.startswith(("--data.root", "--data.init_args.root")) for option in options)


def _train(options: list[str], run: Path, resume: bool) -> int:
    started_by_lightning = "LOCAL_RANK" in os.environ
    if started_by_lightning:
        run = Path(os.environ[RUN_VARIABLE])
    elif not resume and run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise InputError(f"{run} exists: choose another --run, or continue it by --resume {run}")
    os.environ[RUN_VARIABLE] = str(run)

    from longtail.tasks import train
    from longtail.tasks.checkpoints import TrainingStopped

    try:
        train.fit(options, run, resume)
    except TrainingStopped:
        sys.stderr.write(f"longtail: stopped and saved; go on by: longtail fit --resume {run}\n")
        return 130
    if not started_by_lightning:
        sys.stdout.write(f"run: {run}\nnext: longtail report {run}\n")
    return 0


def take(args: list[str], name: str) -> str | None:
    """Remove an option with a value from the arguments, and return the value."""
    for i, arg in enumerate(args):
        if arg == name:
            if i + 1 == len(args) or args[i + 1].startswith("--"):
                raise InputError(f"{name} needs a value")
            del args[i]
            return args.pop(i)
        if arg.startswith(f"{name}="):
            return args.pop(i).split("=", 1)[1]
    return None


def short_options(args: Sequence[str]) -> list[str]:
    """Write the short options out in full."""
    full = []
    for arg in args:
        name, equals, value = arg.partition("=")
        long = SHORT.get(name)
        if isinstance(long, tuple):
            full.append(f"{long[0]}={value if equals else long[1]}")
        else:
            full.append(f"{long}{equals}{value}" if long else arg)
    return full


def data_options(value: str, config: dict[str, Any]) -> list[str]:
    """What ``--data VALUE`` stands for, beside the data that the recipe names."""
    if value in NAMED_DATA:
        return ["--data", NAMED_DATA[value]]
    own = config.get("data", {}).get("class_path", "")
    path = Path(value)
    if path.suffix.lower() in TABLES:
        if not path.is_file():
            raise InputError(f"no table at {path}")
        table = "VideoTable" if own in VIDEO_DATA else "Table"
        return ["--data", f"longtail.data.{table}", f"--data.table={path}"]
    if path.is_dir() or "/" in value or os.sep in value:
        if not path.is_dir():
            raise InputError(f"no folder at {path}")
        if own and not own.endswith((".Folder", ".Table")):
            return [f"--data.root={path}"]
        return ["--data", "longtail.data.Folder", f"--data.root={path}"]
    if "." in value or (value.isidentifier() and value[0].isupper()):
        return ["--data", value]
    raise InputError(f'no folder or table at "{value}", and no data set of that name: {", ".join(NAMED_DATA)}')


def default_run(recipe: str | None, data: str | None) -> Path:
    """A folder that does not exist yet, named after the data and the recipe."""
    folder = run_folder(recipe, data)
    run, count = folder, 1
    while run.exists():
        count += 1
        run = folder.with_name(f"{folder.name}-{count}")
    return run


def run_folder(recipe: str | None, data: str | None) -> Path:
    """A folder named after the data and the recipe."""
    name = (recipe or "run").removesuffix(".yaml").split("/")
    parts = name if "/" in (recipe or "") and data is None else [Path(data).stem if data else "", name[-1]]
    return Path("runs") / "-".join(part for part in parts[-2:] if part)


def recipes(args: list[str]) -> int:
    """List the recipes."""
    _parser("recipes", "list the shipped recipes").parse_args(args)
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


def _evaluate(split: str, args: list[str]) -> int:
    parser = _parser({"val": "validate"}.get(split, split), f"evaluate a run on its {split} split")
    parser.add_argument("run", type=Path, help="folder of the run; further options as for fit")
    known, rest = parser.parse_known_args(args)
    from longtail.tasks.train import evaluate_run

    evaluate_run(split, known.run, short_options(rest))
    return 0


def predict(args: list[str]) -> int:
    """Classify images or videos, find objects in images, or give their pixels classes."""
    uses = "classify them, find objects in them, or give their pixels classes"
    parser = _parser("predict", f"use a run on files and folders of images, or videos: {uses}")
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


def report(args: list[str]) -> int:
    """Write report.html."""
    parser = _parser("report", "write one self-contained report.html about a run")
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--output", type=Path, help="by default report.html in the run's folder")
    known = parser.parse_args(args)
    from longtail.reports.html import write_report

    sys.stdout.write(f"{write_report(known.run, known.output)}\n")
    return 0


def compare(args: list[str]) -> int:
    """Put runs side by side."""
    parser = _parser("compare", "put runs side by side; runs that differ only by seed are merged")
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs; changes are against the first")
    parser.add_argument("--output", type=Path, default=Path("compare.html"), help="default compare.html")
    known = parser.parse_args(args)
    from rich.console import Console

    from longtail.reports.compare import comparison_text, write_comparison

    Console().print(comparison_text(known.runs))
    sys.stdout.write(f"{write_comparison(known.runs, known.output)}\n")
    return 0


def tradeoff(args: list[str]) -> int:
    """Measure runs from head to tail."""
    parser = _parser("tradeoff", "measure on validation images what adjusting the logits of trained runs would do")
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
    parser = _parser("export", "write a run's model as ONNX and safetensors, checked against torch")
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
    from longtail.export import export_detector, export_run, export_segmenter

    if task == "segmentation":
        paths = export_segmenter(known.run, output, known.checkpoint, known.size)
    elif task == "detection":
        paths = export_detector(known.run, output, known.checkpoint)
    else:
        paths = export_run(known.run, output, known.checkpoint, known.strength)
    for path in paths:
        sys.stdout.write(f"{path}\n")
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise InputError(f"{message} ({self.prog} --help tells more)")


def _parser(command: str, description: str) -> argparse.ArgumentParser:
    return _Parser(prog=f"longtail {command}", description=description, allow_abbrev=False)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "fit": fit,
    "validate": validate,
    "test": test,
    "predict": predict,
    "report": report,
    "compare": compare,
    "tradeoff": tradeoff,
    "export": export,
    "recipes": recipes,
}
