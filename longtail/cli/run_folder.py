"""The folder of a new run: named by the user, or after the data and the recipe; the same in all processes."""

import os
from pathlib import Path

from longtail.cli.agreement import agreed
from longtail.launch import launch
from longtail.writing import check_can_be_made, check_unused

RUN_VARIABLE = "LONGTAIL_RUN"  # hands the folder of the run to the processes that Lightning starts


def agreed_folder(folder: str | None, recipe: str | None, data: str | None) -> tuple[Path, bool]:
    """The folder of the run, and whether it is gone on with there, as torchrun has started its processes again."""
    here = launch()
    if here.by == "lightning":
        return Path(os.environ[RUN_VARIABLE]), False

    def decide(before: str | None) -> tuple[str, bool]:
        run = Path(before or folder or default_run(recipe, data))
        again = here.restarts > 0 and (run / "config.yaml").is_file()
        if not again:
            check_unused(run)
        check_can_be_made(run)
        return str(run), again

    run, again = agreed("run", lambda before: decide(before and before[0]))
    return Path(run), again


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
