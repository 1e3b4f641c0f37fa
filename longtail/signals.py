"""What asks a process to stop."""

import signal

STOPPED = 130  # exit code of a process that was stopped
SIGNALS = (signal.SIGINT, signal.SIGTERM)
TWICE = 2.0  # seconds in which two signals are one request: timeout sends its to the process and to its group
