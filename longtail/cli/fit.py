"""``longtail fit``: train a run, and before it its teachers."""

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from longtail.cli.agreement import meet_anew, trainer_options
from longtail.cli.choice import PLAIN_STAGE, baseline, choose
from longtail.cli.data import check_table, data_options, data_settings
from longtail.cli.interrupts import run_command
from longtail.cli.log import is_interrupt, last_word
from longtail.cli.options import pairs, short_options, take, take_all, trust_modules
from longtail.cli.resume import check_resumed
from longtail.cli.run_folder import RUN_VARIABLE, agreed_folder
from longtail.cli.stages import second_stage
from longtail.cli.starts import start_as_given
from longtail.cli.teachers import taught_by, teacher_runs
from longtail.configuration import read_run_config
from longtail.errors import InputError
from longtail.launch import is_first
from longtail.messages import command
from longtail.own_modules import named_in, serve
from longtail.plain import JSON
from longtail.signals import STOPPED
from longtail.writing import check_can_be_made, check_unused

FIT_HELP = """\
usage: longtail fit [--recipe NAME] [--data WHAT] [options]

  --recipe NAME        a shipped recipe (longtail recipes) or a YAML file; without it one is picked by what is there,
                       and plain cross-entropy on the same features is put beside it
  --data WHAT          a folder, a table (CSV, TSV, JSON lines, Parquet, Arrow, list file), hf:OWNER/NAME on Hugging
                       Face's hub, with :CONFIGURATION where it has several, a folder of shards (longtail pack) or their
                       address in a store, such as s3://bucket/set, or cifar10_lt, cifar100_lt, digits_lt, or
                       imagenet_lt, places_lt or inaturalist2018 with --data.root FOLDER; for several labels an image a
                       table of them, or objects in COCO's format; for detection a folder in the format of COCO, Pascal
                       VOC, YOLO, LabelMe or CVAT or with tables of Hugging Face's, or coco, voc, yolo, labelme, cvat,
                       box_tables or lvis with --data.root FOLDER; for segmentation a folder with images/, annotations/
                       (a PNG for each image, with the class of its pixels) and classes.txt, or one with shapes as for
                       detection or masks in tables, or polygons, mask_tables, camvid, ade20k or cityscapes with
                       --data.root FOLDER; for clips a folder or a table of videos, or egtea with --data.root FOLDER;
                       for a data set of your own what its class says, or its short name
  --run FOLDER         where the run goes; by default runs/<data>-<recipe>
  --resume RUN         go on with a stopped run
  --from RUN           the finished run that a recipe second/... goes on from
  --teacher RUN        run of the teacher, for recipes that have one; it is trained first if it is not there; for
                       distilled a run, or several by a --teacher each
  --features FOLDER    where the features of frozen networks are kept; by default features/ beside the run

  --epochs N           --batch-size N (of each process, 2 or more)                --seed N
  --total-batch-size N images of a step over all processes and accumulated batches, in place of --batch-size
  --lr X               highest rate of the recipe's optimizer: about 0.1 for SGD, 0.001 for AdamW; it is not scaled by
                       the batch size
  --backbone NAME      a timm name, local-dir:FOLDER in timm's layout, or resnet8_cifar, resnet14_cifar,
                       resnet20_cifar, resnet32_cifar, resnet56_cifar, which are wider as resnet8x2_cifar and
                       resnet8x4_cifar; resnet10_cifar, resnet18_cifar, which are narrower as resnet10x0.5_cifar; for
                       segmentation an encoder of segmentation-models-pytorch, for clips a video network of torchvision
  --pretrained         start from published weights    --weights FILE   start from a local file, or from a
                       checkpoint of a run
  --image-size N       --workers N           --skip-bad-images       --full-check (decode all before training)
                       (for detection: --data.view, --model.method.min_size, --data.skip_bad_annotations true;
                       for segmentation N is the shorter side, and --data.view.size that of the training crops;
                       for clips also --data.frames, --data.test_clips and --skip-bad-videos)
  --precision P        bf16-mixed, 32-true, ... (by default bfloat16 where the hardware has it, but on a
                       CPU not for depthwise convolutions)
  --compile            use torch.compile               --no-channels-last
  --ema DECAY          average the weights, such as 0.999
  --clip NORM          clip the gradient to this norm
  --trust MODULE       let runs name what is in a module of your own, from now on
  --monitor METRIC     of the best epoch on validation (by default balanced_accuracy, mean_ap, mask_ap or box_ap, miou)

Every other option of the trainer, the model and the data can be given by its full name, such as
--trainer.devices 2, --model.many 50, --data.val_fraction 0.1, --trainer.logger WandbLogger.
--model.mixing longtail.augment.CutMix mixes training images, as do MixUp, Remix and CMO there.
--model.resizing longtail.augment.ProgressiveResizing trains on smaller images first, in less time.
--data.views.flip 0 sets an option of every view of an image, --data.views.0.flip 0 that of the first.
longtail fit --help-all lists those of the trainer; --data.help CLASS and --model.help CLASS those of a class.
"""


def fit(args: list[str]) -> int:
    """Train a run."""
    if not args or args[0] in ("-h", "--help"):
        sys.stdout.write(FIT_HELP)
        return 0
    trust_modules(args)
    of_runs = [Path(file) for file in take_all(args, "--config")]
    serve(named_in(args))
    if any(arg == "--help-all" or ".help" in arg.split("=")[0] for arg in args):
        from longtail.tasks.training_cli import configure

        configure([arg.replace("--help-all", "--help") for arg in args], of_runs)
    resume = take(args, "--resume")
    recipe = take(args, "--recipe")
    folder = take(args, "--run")
    given = take_all(args, "--teacher")
    first = take(args, "--from")
    options = short_options(args)
    if {"--data.batch_size", "--total_batch_size"} <= {option.split("=")[0] for option in options}:
        raise InputError("--batch-size is of each process, --total-batch-size of all together: give one of them")
    if resume is not None:
        run = Path(resume)
        check_resumed(
            run,
            options,
            {"--recipe": recipe, "--run": folder, "--from": first, "--teacher": next(iter(given), None)},
        )
        check_can_be_made(run)
        return _train(options, run, True, [run / "config.yaml", *of_runs])
    speaks = is_first()  # the other processes are started with the same command
    choice = choose(options) if recipe is None and not of_runs else None
    if choice is not None:
        recipe, options = choice.recipe, [*choice.options, *options]
        if speaks:
            sys.stdout.write(f"{choice}\n")
    config: dict[str, JSON] = {}
    if recipe is not None:
        from longtail.recipes import load_recipe

        config = load_recipe(recipe)
        serve(named_in(config))
        config.pop("about", None)
        if config.pop("second_stage", False) != (first is not None):
            raise InputError(
                "the recipes second/... go on from a finished run, and no others: give --from RUN with one"
            )
        if first is not None:
            config = second_stage(config, Path(first))
        start_as_given(config, dict(pairs(options)))
    taught = config.pop("teacher", None)
    common = list(options)
    data = take(options, "--data")
    teachers: list[Path] = []
    if taught is not None:
        teachers = teacher_runs(taught, given, folder, data, common)
        config = taught_by(config, taught, teachers)
    elif given:
        raise InputError(f'the recipe "{recipe}" has no teacher: leave out --teacher')
    if data is not None:
        options = [*_meaning(data, config, of_runs, options, choice is not None), *options]
    text: str | None = None
    if recipe is not None:
        import yaml

        options = ["--recipe", recipe, *options]
        text = yaml.safe_dump(config)
    run, again = agreed_folder(folder, recipe, first or data)
    if again:
        return _train([], run, True, [run / "config.yaml"])
    if choice is not None and speaks:
        check_unused(Path(f"{run}-ce"))
    code = _train(options, run, False, of_runs, text, None if first is None else Path(first), teachers)
    if choice is not None and not code and speaks:
        args = baseline(choice, run, common)
        sys.stdout.write(f"to compare with, on the same features: {command('longtail', *args)}\n")
        sys.stdout.flush()
        code = run_command(args)
        if choice.is_probe and not code:
            _compare(Path(f"{run}-ce"), run)
    if first is not None and not code and speaks:  # by the checkpoints that are used, as tau is chosen by them
        baseline_first = (run, Path(first)) if recipe == PLAIN_STAGE else (Path(first), run)
        _compare(*baseline_first, "best")
    return code


def _compare(first: Path, second: Path, checkpoint: str = "last") -> None:
    """Print the table of two runs, where they are of one task; the second is measured against the first."""
    from longtail.reports.compare import comparison_text
    from longtail.reports.results import load_results
    from longtail.reports.terminal import show

    if load_results(first)["task"] == load_results(second)["task"]:
        show(comparison_text([first, second], checkpoint))


def _meaning(data: str, config: dict[str, JSON], of_runs: list[Path], options: list[str], checked: bool) -> list[str]:
    """What ``--data`` stands for, beside the data set that a recipe or the configurations of runs after it name; a
    table is read for mistakes, if that was not done."""
    from longtail.trust import building_from_run

    configs = [read_run_config(file) for file in of_runs]
    with building_from_run(of_runs[0], configs) if of_runs else nullcontext():
        class_path, settings = _data_of([config, *configs], options)
        if not checked:
            check_table(data, class_path, settings)
        return data_options(data, class_path)


def _data_of(configs: list[dict[str, JSON]], options: list[str]) -> tuple[str | None, dict[str, str]]:
    """Import path of the data set that the last of some configurations names, and its options that are text: those in
    there, and those among the options of the command."""
    sections = [section for config in configs if isinstance(section := config.get("data"), dict)]
    paths = [str(section["class_path"]) for section in sections if "class_path" in section]
    items = [item for section in sections for item in (section.get("init_args") or {}).items()]
    texts = {name: value for name, value in items if isinstance(value, str)}
    return paths[-1] if paths else None, {**texts, **data_settings(options)}


def _train(
    options: list[str],
    run: Path,
    resume: bool,
    of_runs: list[Path],
    recipe: str | None = None,
    first: Path | None = None,
    teachers: Sequence[Path] = (),
) -> int:
    """Train, or go on.

    Args:
        options: for ``TrainingCLI``.
        run: folder of the run.
        resume: go on from its last checkpoint.
        of_runs: configurations of runs, which stand before the options.
        recipe: YAML that stands before both.
        first: the run that a second stage goes on from.
        teachers: the runs that it learns from.
    """
    os.environ[RUN_VARIABLE] = str(run)
    go_on = command("longtail", "fit", "--resume", run)

    meet_anew()
    from longtail.tasks import train
    from longtail.tasks.checkpoints import TrainingStopped

    try:
        train.fit([*options, *trainer_options(options)], run, resume, of_runs, recipe, first, teachers)
    except TrainingStopped as stop:
        if not is_first():  # the first one speaks for all
            return 0
        if str(stop):
            raise InputError(f"{stop}; the run is saved, go on by: {go_on}") from None
        last_word(f"longtail: stopped and saved; go on by: {go_on}")
        return STOPPED
    except (KeyboardInterrupt, SystemExit) as stop:
        if not is_interrupt(stop) or not is_first() or not (run / "config.yaml").is_file():
            raise
        raise KeyboardInterrupt(f"stopped; go on by: {go_on}") from None
    if is_first():
        sys.stdout.write(f"run: {run}\nnext: {command('longtail', 'report', run)}\n")
    return 0
