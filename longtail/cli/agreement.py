"""What the processes of a launcher agree on before they train: the first one decides, and tells the others."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from longtail.errors import InputError
from longtail.launch import launch

PATIENCE = timedelta(days=7)  # as one may train a teacher; a launcher ends all as soon as one ends with an error


def agreed(key: str, decide: Callable[[Any], Any]) -> Any:  # JSON
    """What the first process decides, in all of them.

    Args:
        key: names the matter.
        decide: called in the first process with what was decided before torchrun started the processes again, or None.

    Raises:
        InputError: what ``decide`` raises in the first process; in the others that the first one has failed.
    """
    here = launch()
    if not here.is_launched or here.world == 1:
        return decide(None)
    from longtail.tasks.meeting import meet

    store = meet(here, PATIENCE)
    own = f"longtail/{key}/{here.restarts}"
    if here.rank:
        store.wait([own], PATIENCE)
        answer = json.loads(store.get(own))
        if answer is None:
            raise InputError("the first process could not go on")
        return answer[0]
    before = None
    for attempt in range(here.restarts - 1, -1, -1):
        name = f"longtail/{key}/{attempt}"
        if store.check([name]) and (answer := json.loads(store.get(name))) is not None:
            (before,) = answer
            break
    try:
        value = decide(before)
    except BaseException:
        store.set(own, json.dumps(None))
        raise
    store.set(own, json.dumps([value]))
    return value


def trainer_options(options: list[str]) -> list[str]:
    """The options of the trainer that say what the launcher has started, but those that are given."""
    here = launch()
    if not here.is_launched:
        return []
    wanted = {"--trainer.devices": here.local_world, "--trainer.num_nodes": here.world // here.local_world}
    given = {option.split("=")[0] for option in options}
    return [f"{name}={value}" for name, value in wanted.items() if name not in given]
