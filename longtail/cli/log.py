"""What the package logs, shown on the terminal: such as how many files of a set were left out."""

import logging
import sys


def show_log() -> None:
    """Write what the package logs from level info on to stderr, as plain lines, in the first process only."""
    logger = logging.getLogger("longtail")
    logger.setLevel(logging.INFO)
    logger.propagate = False  # a handler of another package would show every line again
    logger.addHandler(TERMINAL)


class _Terminal(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Write a line to what stderr is now."""
        sys.stderr.write(f"{record.getMessage()}\n")


def _is_first_process(record: logging.LogRecord) -> bool:
    from longtail.distributed import is_first_process  # torch is there by the time that a set is read

    return is_first_process()


TERMINAL = _Terminal()
TERMINAL.addFilter(_is_first_process)
