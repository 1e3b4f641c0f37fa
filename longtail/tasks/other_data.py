"""A finished run, evaluated on a labelled set that it was not trained on."""

import json
from collections.abc import Sequence
from pathlib import Path

import yaml
from rich.console import Console

from longtail.data.base import LongTailData
from longtail.data.names import find_class
from longtail.data.trained import Trained
from longtail.errors import InputError
from longtail.inference.inputs import network_input
from longtail.inference.runs import for_checkpoint
from longtail.reports.results import Results, label_counts, load_results
from longtail.reports.terminal import evaluation_table
from longtail.tasks.evaluation import MEASURING, evaluate_finished, moved_weights, read_config
from longtail.tasks.training_cli import TrainingCLI, quiet
from longtail.trust import building_from_run
from longtail.writing import finite, write_atomically


def evaluate_on(split: str, run: Path, data: Sequence[str], args: Sequence[str]) -> None:
    """Evaluate a finished run on another labelled set with its classes, and show the table.

    The figures are written into the folder of the run, to ``<split>-<name of the set>.json``; ``results.json`` keeps
    those of the run's own splits.

    Args:
        split: "val" or "test", which the set is evaluated as; where it has splits itself, that one is taken.
        run: its folder.
        data: options that name the set, as ``--data`` stands for them.
        args: further options, as for fit.

    Raises:
        InputError: if the run is not there or not finished, or the set cannot be read, has other classes, or is what
            the run was trained on.
    """
    quiet()
    results, config = load_results(run), read_config(run)
    network_input(run, results)
    if not results["history"]:
        raise InputError(f"{run} has no finished epoch: go on by longtail fit --resume {run}")
    method = config["model"]["init_args"]["method"]
    args = [*args, *moved_weights(run, method, args)]
    config["model"]["init_args"]["method"] = for_checkpoint(method)
    with building_from_run(run, config):
        options = [
            *_of_set(config["data"]["class_path"], data, results),
            *args,
            f"--run={run}",
            *MEASURING,
        ]
        cli = TrainingCLI(["--config", yaml.safe_dump(config), *options], lambda other: _prepare(other, split, results))
    evaluations = evaluate_finished(cli, split, results)
    if cli.trainer.is_global_zero:
        source = cli.datamodule.source
        titled: Results = {**results, "name": f"{results['name']} on {source}"}
        Console().print(evaluation_table(titled, evaluations))
        file = run / f"{split}-{Path(source).stem}.json"
        content = {"source": str(Path(source).absolute()), "classes": results["classes"], "evaluations": evaluations}
        write_atomically(file, json.dumps(finite(content)))
        Console().print(str(file), soft_wrap=True, highlight=False)


def _of_set(named: str, data: Sequence[str], results: Results) -> list[str]:
    """The options of the other set: what says where parts of the run's own lie is left out."""
    head, rest = (list(data[:2]), data[2:]) if data[0] == "--data" else ([], data)
    kind = find_class(head[1] if head else named)
    of_input = {option: results["data"]["input"].get(key) for option, key in kind.of_input.items()}
    settings = {**dict.fromkeys(sorted(kind.places)), **of_input}
    return [*head, *(f"--data.{name}={'null' if value is None else value}" for name, value in settings.items()), *rest]


def _prepare(data: LongTailData, split: str, results: Results) -> None:
    """Give the set the classes of the run."""
    if Path(data.source).resolve() == Path(results["data"]["source"]).resolve():
        raise InputError(
            f"{data.source} is what the run was trained on: leave out --data to evaluate its {split} split"
        )
    counts = label_counts(results), results["train_counts"]
    data.only_evaluate(split, Trained(results["classes"], *counts, results["data"]["input"]))
