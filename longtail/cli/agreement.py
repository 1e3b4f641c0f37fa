"""What the processes of a launcher agree on before they train: the first one decides, and tells the others."""

import json
import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta

from longtail.launch import launch
from longtail.plain import JSON

PATIENCE = timedelta(days=7)  # as one may train a teacher; a launcher ends all as soon as one ends with an error


def agreed(key: str, decide: Callable[[], JSON]) -> JSON:
    """What the first process decides, in all of them.

    Args:
        key: names the matter.
        decide: called in the first process.

    Raises:
        InputError: what ``decide`` raises, in the first process.
        SystemExit: in the others then, without a word.
    """
    here = launch()
    if not here.is_launched or here.world == 1:
        return decide()
    from longtail.tasks.meeting import meet

    store, name = meet(here, PATIENCE), f"longtail/{key}/{here.restarts}"
    if here.rank:
        store.wait([name], PATIENCE)
        answer = json.loads(store.get(name))
        if not answer:
            raise SystemExit(2)  # the first one says why
        return answer[0]
    try:
        value = decide()
    except BaseException:
        store.set(name, json.dumps([]))
        raise
    store.set(name, json.dumps([value]))
    return value


def meet_anew() -> None:
    """Let processes that torchrun has started again meet at another port.

    At the old one, which its agent serves on, they would read the addresses of those before (torch 2.14).
    """
    if launch().restarts:
        os.environ["MASTER_PORT"] = str(agreed("port", _free_port))
        os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"  # the first process serves there


def grouped() -> AbstractContextManager[None]:
    """What the processes of a launcher share the work of a command in that trains nothing."""
    here = launch()
    if not here.is_launched or here.world == 1:
        return nullcontext()
    from longtail.tasks.meeting import together

    meet_anew()
    return together(here, PATIENCE)


def _free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return int(server.getsockname()[1])


def trainer_options(options: list[str]) -> list[str]:
    """The options of the trainer that say what the launcher has started, but those that are given."""
    here = launch()
    if not here.is_launched:
        return []
    wanted = {"--trainer.devices": here.local_world, "--trainer.num_nodes": here.world // here.local_world}
    given = {option.split("=")[0] for option in options}
    return [f"{name}={value}" for name, value in wanted.items() if name not in given]
