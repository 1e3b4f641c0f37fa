"""What the processes of a launcher do together: the first one decides and speaks for all."""

import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta

from longtail import __version__
from longtail.cli.log import is_interrupt
from longtail.errors import InputError, causes
from longtail.launch import launch
from longtail.plain import JSON
from longtail.roll_call import Facts, named_here

PATIENCE = timedelta(days=7)  # of processes that share work; a launcher ends all as soon as one ends with an error


def in_one_voice(name: str, command: Callable[[], int]) -> int:
    """The exit code of a command that the processes of a launcher share, once they know that they are of one version.

    Where it fails, one process says why, with its number and its machine; the others end with 2, without a word.

    Args:
        name: of the command.
        command: what it does.

    Raises:
        BaseException: what the command ends with, in the process that says why.
    """
    here = launch()
    if not here.is_one_of_several:
        return command()
    from torch import __version__ as torch_version

    from longtail.distributed import connection_lost
    from longtail.tasks.meeting import MOMENT, meeting

    meets = meeting(here)
    release = ".".join(torch_version.split(".")[:2])
    try:
        meets.compare({"runs longtail {}": __version__, "runs torch {}": release, "has the command {}": name})
        meets.met = False  # what they read is still to be compared
        return command()
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        failure = error
    stopped = is_interrupt(failure)
    if isinstance(failure, SystemExit) and not stopped:  # another process speaks, or the options were asked for
        raise failure
    lost = any(map(connection_lost, causes(failure)))  # the process that is gone has more to say
    patience = 2 * MOMENT if lost else MOMENT if here.rank else 0.0  # where all fail alike the first one speaks
    try:
        if meets.has_failed() if stopped else not meets.speaks(patience):
            return 2
    except KeyboardInterrupt:  # the launcher ends this one, as another has ended
        return 2
    if isinstance(failure, InputError) and (here.rank or not meets.met):
        raise InputError(f"{named_here(here.rank)}: {failure}") from failure
    raise failure


def agreed(matter: str, decide: Callable[[], JSON]) -> JSON:
    """What the first process decides, in all of them; see ``Meeting.agreed``."""
    here = launch()
    if not here.is_one_of_several:
        return decide()
    from longtail.tasks.meeting import meeting

    return meeting(here).agreed(matter, decide)


def meet_anew() -> None:
    """Let processes that torchrun has started again meet at another port.

    At the old one, which its agent serves on, they would read the addresses of those before (torch 2.14).
    """
    if launch().restarts:
        os.environ["MASTER_PORT"] = str(agreed("port", _free_port))
        os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"  # the first process serves there


def grouped(facts: Callable[[], Facts]) -> AbstractContextManager[None]:
    """A context for a command that trains nothing: the processes of a launcher share its work there, once all have told
    the same of themselves."""
    here = launch()
    if not here.is_one_of_several:
        return nullcontext()
    from longtail.tasks.meeting import meeting, together

    meet_anew()
    meeting(here).compare(facts())
    return together(here, PATIENCE)


def _free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return int(server.getsockname()[1])


def trainer_options(options: list[str]) -> list[str]:
    """The options of the trainer that say what the launcher has started, but those that are given."""
    here = launch()
    if not here.is_launched:
        return []
    defaults = {"--trainer.devices": here.local_world, "--trainer.num_nodes": here.world // here.local_world}
    names = {option.split("=")[0] for option in options}
    return [f"{name}={value}" for name, value in defaults.items() if name not in names]
