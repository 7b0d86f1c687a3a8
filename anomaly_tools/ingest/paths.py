"""Which paths may come out of an archive or a table, on any system, and which of them are one file."""

import re
import unicodedata
from pathlib import PurePosixPath

TEMPORARY_PREFIX = ".unpacking-"
"""Names of half-written files begin with this; nothing that is ingested may be called so."""
PATH_LENGTH, DEPTH = 512, 32
"""Most characters of a path below the target, and most folders and file in it."""
_FILE_NAME_BYTES = 255  # of one folder or file name, in UTF-8: the limit of the common file systems
_DRIVE = re.compile("[A-Za-z]:")
_FORBIDDEN_CATEGORIES = {
    "Cc": "has a control character in its name",
    "Cs": "has a name that is not valid UTF-8",  # undecodable bytes, as tarfile hands them on
}


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
