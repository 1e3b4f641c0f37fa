"""Published weights, fetched: where there is no network, refused within seconds."""

import contextlib
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator

from longtail.models.inputs import published_record

SECONDS = 10.0  # that a server has for its first answer


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """Sockets that are opened inside wait for seconds, where otherwise they would wait without end."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def from_hub() -> Iterator[None]:
    """Downloads inside fail within seconds where huggingface_hub's server cannot be reached.

    The hub repeats what fails many times, for each file that the weights may be in. So its server is asked once before;
    without an answer the hub looks on this machine alone. What was fetched before needs no network.

    Raises:
        OSError: what the download fails with, in the words of this package where the server cannot be reached.
    """
    from huggingface_hub import constants

    offline = constants.HF_HUB_OFFLINE
    unreachable = not offline and not reachable(constants.ENDPOINT)
    constants.HF_HUB_OFFLINE = offline or unreachable
    try:
        with impatient():
            yield
    except OSError as error:
        if unreachable:
            raise OSError(f"{constants.ENDPOINT} cannot be reached, and this was not fetched before") from error
        raise
    finally:
        constants.HF_HUB_OFFLINE = offline


def reachable(address: str) -> bool:
    """Whether a server answers, whatever it says; by way of a proxy where the environment names one."""
    request = urllib.request.Request(address, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # it is there; other libraries may know its certificate
    except OSError:
        return False


def obtainable(name: str) -> bool:
    """Whether the published weights of a timm network are on this machine or can be fetched now.

    Raises:
        InputError: if timm knows the network and not the tag of the weights.
    """
    from huggingface_hub import constants, try_to_load_from_cache

    config = published_record(name)
    if config is None or config.hf_hub_id is None:
        return False
    if isinstance(try_to_load_from_cache(config.hf_hub_id, "model.safetensors"), str):
        return True
    return not constants.HF_HUB_OFFLINE and reachable(constants.ENDPOINT)
