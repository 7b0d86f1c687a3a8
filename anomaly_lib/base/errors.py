"""The one exception that means "the input is at fault, not the program", and what a command does with it."""

import difflib
import errno
import os
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


_SPACE = "free some space and run the command again"
_RIGHTS = "change its permissions, or name another place"
_REMEDIES = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EROFS: "the disk is read-only: name a place on another one",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EIO: "the disk fails: copy its files to another one",
    errno.ENAMETOOLONG: "choose a shorter name",
}
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Codes of OSError that say that the disk, not the input, is at fault: full, read-only, or failing."""


def disk_error(error: OSError) -> InputError:
    """What the operating system refused as bad input: the file, what is wrong with it, and a remedy."""
    place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    remedy = _REMEDIES.get(error.errno or 0, "change that and run the command again")
    return InputError(f"{place}{error.strerror or error}; {remedy}")


def exit_code(command: Callable[[], int | None], stopped: str = "stopped") -> int:
    """Run a command and return its exit code, 0 if it gives none.

    Bad input, and what the operating system refuses (a full or read-only disk), is one line on stderr and code 2;
    Ctrl-C is the line ``stopped`` and code 130; a closed pipe is code 1.
    """
    try:
        return command() or 0
    except BrokenPipeError:  # of ``| head``: Python flushes once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (InputError, OSError) as error:
        line = disk_error(error) if isinstance(error, OSError) else error
        print("error:", " ".join(str(line).splitlines()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        return 130
