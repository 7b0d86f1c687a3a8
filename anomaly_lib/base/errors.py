"""The one exception that means "the input is at fault, not the program", and what a command does with it."""

import sys
from collections.abc import Callable


class InputError(Exception):
    """Bad input from the user: one line that names the file and the remedy.

    Commands print it on stderr without a traceback and exit with code 2.
    """


def exit_code(command: Callable[[], int | None], stopped: str = "stopped") -> int:
    """Run a command and return its exit code, 0 if it gives none.

    Bad input is one line on stderr and code 2; Ctrl-C is the line ``stopped`` and code 130.
    """
    try:
        return command() or 0
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        return 130
