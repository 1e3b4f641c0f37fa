"""What the package logs, shown on the terminal: such as how many files of a set were left out."""

import codecs
import io
import logging
import sys


def show_log() -> None:
    """Write what the package logs from level info on to stderr, as plain lines, in the first process only. A line that
    follows on the same one, such as a hint about each split, is left out."""
    logger = logging.getLogger("longtail")
    logger.setLevel(logging.INFO)
    logger.propagate = False  # a handler of another package would show every line again
    logger.addHandler(TERMINAL)
    TERMINAL.last = ""


def is_interrupt(error: BaseException) -> bool:
    """Whether it is Ctrl-C or SIGTERM, also as Lightning leaves it: as an exit."""
    return isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt)


def escape_output() -> None:
    """What stdout cannot write in its encoding is escaped, and that is said once; by Python's default it is an error.

    Stderr escapes of itself.
    """
    examples: list[str] = []

    def escape(error: UnicodeError) -> tuple[str | bytes, int]:
        escaped = codecs.backslashreplace_errors(error)
        if not examples:
            examples.append(str(escaped[0]))
            text = f"what {sys.stdout.encoding} has no letter for is written escaped, such as {examples[0]}"
            logging.getLogger("longtail").info(f"{text}; PYTHONIOENCODING=utf-8 writes all")
        return escaped

    codecs.register_error("longtail", escape)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="longtail")


def last_word(text: str) -> None:
    """Write how a command ended to stderr, below the bars that it leaves."""
    if "tqdm" in sys.modules:  # else there are no bars, and it need not be imported
        from tqdm import tqdm

        # tqdm has no public list of the bars that are open, and a bar that nobody closes draws over what is written.
        for bar in list(getattr(tqdm, "_instances", ())):
            bar.close()
    sys.stderr.write(f"{text}\n")


class _Terminal(logging.Handler):
    last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line to what stderr is now, above the bars that are drawn there."""
        from tqdm import tqdm

        if (line := record.getMessage()) != self.last:
            tqdm.write(line, file=sys.stderr)
        self.last = line


def _is_first_process(record: logging.LogRecord) -> bool:
    from longtail.distributed import is_first_process  # torch is there by the time that a set is read

    return is_first_process()


TERMINAL = _Terminal()
TERMINAL.addFilter(_is_first_process)
