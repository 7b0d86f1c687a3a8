"""The one exception that means "the input is at fault, not the program"."""


class InputError(Exception):
    """Bad input from the user: one line that names the file and the remedy.

    Commands print it on stderr without a traceback and exit with code 2.
    """
