"""The one exception that means "the input is at fault, not the program", and what a command does with it."""

import difflib
import errno
import io
import os
import re
import sys
from collections.abc import Callable, Iterable

from anomaly_lib.base.names import printable


class InputError(Exception):
    """Bad input from the user: one line that names the file and the remedy.

    Commands print it on stderr without a traceback and exit with code 2.
    """


def nearest(name: str, valid: Iterable[str]) -> str:
    """``did you mean 'x'?`` with the nearest valid name, or else the list of valid names."""
    names = sorted(valid)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"valid: {', '.join(names)}"


_OTHER_DISK = "free some space, or name a folder on another disk"
_PERMISSION = "give yourself permission, or name another folder"
REMEDIES = {
    errno.ENOSPC: _OTHER_DISK,
    errno.EDQUOT: _OTHER_DISK,
    errno.EROFS: "name a folder on a disk that can be written",
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EIO: "check the disk, or name a folder on another one",
    errno.ENAMETOOLONG: "choose a shorter name",
}
"""What helps when the system refuses to read or write, by the number of its error."""


def refused(error: OSError, file: object = None, what: str = "cannot be read or written") -> InputError:
    """Why the system refused to read or write ``file`` (default: the one that it names itself), and what helps."""
    name = file or error.filename2 or error.filename or "a file"
    reason = error.strerror or str(error) or type(error).__name__
    return InputError(f"{name}: {what} ({reason}); {REMEDIES.get(error.errno or 0, 'name another file or folder')}")


def refused_elsewhere(text: str) -> InputError | None:
    """As ``refused``, of the text of an OSError that another process raised; None if it is no text of one."""
    found = re.fullmatch(r"\[Errno (\d+)\] (.*?)(?:: '(.*)')?", text, re.DOTALL)
    return refused(OSError(int(found[1]), found[2]), found[3]) if found else None


def exit_code(command: Callable[[], int | None], stopped: str = "stopped") -> int:
    """Run a command and return its exit code, 0 if it gives none.

    Bad input, and a disk that is full or refuses, are one line on stderr and code 2; Ctrl-C is the line ``stopped`` and
    code 130; a pipe that its reader closed is code 1. What stdout's encoding lacks is printed escaped.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return command() or 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return 1
    except (InputError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in REMEDIES:
            raise
        text = str(refused(error) if isinstance(error, OSError) else error)
        print("error:", printable(" ".join(text.splitlines())), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        return 130
