"""The folder of a new run: named by the user, or after the data and the recipe; the same in all processes."""

import os
from pathlib import Path

from longtail.cli.agreement import agreed
from longtail.cli.hub import plain_name
from longtail.launch import launch
from longtail.writing import check_can_be_made, check_unused

RUN_VARIABLE = "LONGTAIL_RUN"  # hands the folder of the run to the processes that Lightning starts


def agreed_folder(folder: str | None, recipe: str | None, data: str | None) -> tuple[Path, bool]:
    """The folder of the run, and whether it is gone on with there, as torchrun has started its processes again."""
    here = launch()
    if here.by == "lightning":
        return Path(os.environ[RUN_VARIABLE]), False

    def decide() -> tuple[str, bool]:
        if folder is not None:
            run = last = Path(folder)
        else:
            last, run = default_runs(recipe, data)
        if here.restarts and (last / "config.yaml").is_file():  # what the processes before have begun
            return str(last), True
        check_unused(run)
        check_can_be_made(run)
        return str(run), False

    run, again = agreed("run", decide)
    return Path(run), again


def default_runs(recipe: str | None, data: str | None) -> tuple[Path, Path]:
    """Folders named after the data and the recipe: the last one that exists, and the next, which does not."""
    folder = run_folder(recipe, data)
    last, run, count = folder, folder, 1
    while run.exists():
        count += 1
        last, run = run, folder.with_name(f"{folder.name}-{count}")
    return last, run


def run_folder(recipe: str | None, data: str | None) -> Path:
    """A folder named after the data and the recipe."""
    name = (recipe or "run").removesuffix(".yaml").split("/")
    parts = name if "/" in (recipe or "") and data is None else [Path(plain_name(data)).stem if data else "", name[-1]]
    return Path("runs") / "-".join(part for part in parts[-2:] if part)
