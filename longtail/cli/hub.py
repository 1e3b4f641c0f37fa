"""Sets on Hugging Face's hub: ``--data hf:OWNER/NAME``, where wanted with ``@REVISION`` and ``:CONFIGURATION``."""

import logging
import re
from functools import cache
from pathlib import Path

from longtail.errors import InputError
from longtail.files.tables.configurations import configuration_names
from longtail.messages import escape, first_line, some

logger = logging.getLogger(__name__)

HUB = "hf:"
_NAME = re.compile(r"hf:((?:[\w.-]+/)?[\w.-]+)(?:@([\w./-]+))?(?::([\w.-]+))?")


def plain_name(value: str) -> str:
    """What ``--data`` is given, of a set on the hub without owner, revision and configuration."""
    return re.sub("[@:].*", "", value.removeprefix(HUB)).rpartition("/")[2] if value.startswith(HUB) else value


@cache
def downloaded(value: str) -> tuple[Path, str | None]:
    """The folder of a set on the hub, which is fetched unless that was done before, and the configuration to take.

    Args:
        value: ``hf:OWNER/NAME``, with ``@REVISION`` and ``:CONFIGURATION`` or without. The latter is the name of one in
            the head of README.md, or a folder of the set, which is what is returned then.

    Raises:
        InputError: it cannot be fetched, or there is no such configuration.
    """
    match = _NAME.fullmatch(value)
    if match is None:
        raise InputError(
            f"--data {escape(value)}: write hf:OWNER/NAME, hf:OWNER/NAME@REVISION or hf:OWNER/NAME:CONFIGURATION"
        )
    name, revision, configuration = match.groups()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    from longtail.models.downloads import from_hub

    try:
        with from_hub():
            root = Path(snapshot_download(name, repo_type="dataset", revision=revision))
    except GatedRepoError as error:
        way_out = "accept its terms on its page, and log in by: hf auth login"
        raise InputError(f"--data {escape(value)}: its owner asks for consent: {way_out}") from error
    except RepositoryNotFoundError as error:
        way_out = "correct the name, or log in by hf auth login if it is a private one"
        raise InputError(f"--data {escape(value)}: there is no data set of this name: {way_out}") from error
    except RevisionNotFoundError as error:
        raise InputError(
            f"--data {escape(value)}: there is no revision {escape(revision)}: give another one"
        ) from error
    except HFValidationError as error:
        raise InputError(f"--data {escape(value)}: {escape(first_line(error))}") from error
    except (OSError, ValueError) as error:
        way_out = "give a folder on this machine, or try again with a network"
        raise InputError(f"--data {escape(value)}: {escape(first_line(error))}: {way_out}") from error
    logger.info(f"{escape(value)} lies in {escape(root)}")
    names = configuration_names(root)
    if configuration is None or configuration in names:
        return root, configuration
    if not (root / configuration).is_dir():
        names += [path.name for path in sorted(root.iterdir()) if path.is_dir() and path.name[0] != "."]
        there = f"only {some(dict.fromkeys(names), 10)}" if names else "and no other"
        raise InputError(
            f"--data {escape(value)}: the set has no configuration or folder {escape(configuration)}, {there}: give one"
        )
    return root / configuration, None
