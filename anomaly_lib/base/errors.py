"""The one exception that means "the input is at fault, not the program", and what a command does with it."""

import difflib
import sys
from collections.abc import Callable, Iterable


class InputError(Exception):
    """Bad input from the user: one line that names the file and the remedy.

    Commands print it on stderr without a traceback and exit with code 2.
    """


def nearest(name: str, valid: Iterable[str]) -> str:
    """``did you mean 'x'?`` with the nearest valid name, or the list of valid names."""
    names = sorted(valid)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"valid: {', '.join(names)}"


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
