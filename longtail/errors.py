"""The one exception for what a user can put right."""


class InputError(ValueError):
    """Something given from outside (a file, an option, a table) cannot be used.

    The message is one line: it names the file or the option and says the way out. The command line prints it and
    exits with code 2; in Python it is an ordinary ``ValueError``.
    """
