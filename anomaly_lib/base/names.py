"""Which names may become files and folders, on any system."""

import re
import unicodedata
from pathlib import PurePosixPath

TEMPORARY_PREFIX = ".unpacking-"
"""Names of half-written files begin with this; nothing that is ingested may be called so."""
PATH_LENGTH, DEPTH = 512, 32
"""Most characters of a path below the target, and most folders and file in it."""
_LETTERS_AND_DIGITS = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd"}  # marks: accents, vowel signs
_FILE_NAME_BYTES = 255  # of one folder or file name, in UTF-8: the limit of the common file systems
NAME_BYTES = 200
"""Most bytes of a chosen name in UTF-8: folders and files are called after it, with more around it."""
RESERVED = {
    *("con", "prn", "aux", "nul"),  # devices of Windows, whatever their suffix
    *(f"{port}{number}" for port in ("com", "lpt") for number in range(10)),
    *("train", "test", "ground_truth"),  # folders of a category
}
_DRIVE = re.compile("[A-Za-z]:")
_FORBIDDEN_CATEGORIES = {
    "Cc": "has a control character in its name",
    "Cs": "has a name that is not valid UTF-8",  # undecodable bytes, as tarfile hands them on
}


_MARKUP = re.compile(r"[\\|]|<(?=[A-Za-z/!?])|!(?=\[)")


def printable(text: str) -> str:
    """Text with file names in it as one valid line: undecodable bytes and control characters are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_cell(value: object) -> str:
    """A value as one cell of a Markdown table: whatever a name holds makes no other cell, line, tag or picture."""
    return _MARKUP.sub(lambda found: "&lt;" if found[0] == "<" else f"\\{found[0]}", printable(str(value)))


def why_name_is_refused(name: str) -> str | None:
    """Why a category may not be called ``name``, to be read after the name, or None if it may.

    The name becomes a folder on every system, a word of a command line and a cell of a table. Letters of any script,
    digits, ``.``, ``_`` and ``-`` are harmless in all of them.
    """
    if not name:
        return "is empty"
    for character in name:
        if character not in "._-" and unicodedata.category(character) not in _LETTERS_AND_DIGITS:
            return "has other characters than letters, digits, '.', '_' and '-'"
    if name[0] in ".-":
        return "begins with '.' or '-'"
    if name.endswith("."):
        return "ends with '.'"
    if name.split(".")[0].casefold() in RESERVED:
        return "is a reserved name"
    if len(name.encode()) > NAME_BYTES:
        return f"has more than {NAME_BYTES} bytes"
    return None


def why_path_is_refused(name: str, path_length: int = PATH_LENGTH, depth: int = DEPTH) -> str | None:
    """Why ``name`` may not be a path below the target, to be read after "member NAME", or None if it may."""
    if len(name) > path_length:
        return f"has a path of more than {path_length} characters"
    for character in "" if name.isprintable() else name:
        if reason := _FORBIDDEN_CATEGORIES.get(unicodedata.category(character)):
            return reason
    if name.startswith("/"):
        return "has an absolute path"
    if "\\" in name:
        return "has a backslash in its name, which is a folder on some systems"
    parts = PurePosixPath(name).parts
    if len(parts) > depth:
        return f"lies more than {depth} folders deep"
    if ".." in parts:
        return "climbs out of its folder with '..'"
    if any(map(_DRIVE.match, parts)):
        return "names a drive"
    if any(len(part.encode()) > _FILE_NAME_BYTES for part in parts):
        return f"has a name of more than {_FILE_NAME_BYTES} bytes"
    if any(part.startswith(TEMPORARY_PREFIX) for part in parts):
        return f"has a name that starts with '{TEMPORARY_PREFIX}', as this program's half-written files do"
    return None


def composed(name: str) -> str:
    """The one spelling of a name: an accent is part of its letter (NFC), however the file system has it."""
    return unicodedata.normalize("NFC", name)


def folded(path: PurePosixPath | str) -> str:
    """What two paths share that are one file where case or Unicode composition does not count."""
    return composed(composed(str(path)).casefold())
