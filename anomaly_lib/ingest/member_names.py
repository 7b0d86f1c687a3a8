"""Which names of an archive's members may become paths below the target, on any system."""

import re
import unicodedata
from pathlib import PurePosixPath

TEMPORARY_PREFIX = ".unpacking-"
"""How the names of half-written files begin; no member may be called so."""

_NAME_BYTES = 255  # of one folder or file name, in UTF-8: the limit of the common file systems
_DRIVE = re.compile("[A-Za-z]:")
_FORBIDDEN_CATEGORIES = {
    "Cc": "has a control character in its name",
    "Cs": "has a name that is not valid UTF-8",  # undecodable bytes, as tarfile hands them on
}


def why_refused(name: str, path_length: int, depth: int) -> str | None:
    """Why a member may not be called so, or None; ``path_length`` in characters, ``depth`` in folders and file."""
    if len(name) > path_length:
        return f"has a path of more than {path_length} characters"
    for character in "" if name.isprintable() else name:
        if reason := _FORBIDDEN_CATEGORIES.get(unicodedata.category(character)):
            return reason
    if name.startswith("/"):
        return "has an absolute path"
    if "\\" in name:
        return "has a backslash in its name, which is a folder on some systems"
    path = PurePosixPath(name)
    if len(path.parts) > depth:
        return f"lies more than {depth} folders deep"
    return next(filter(None, map(_why_part_refused, path.parts)), None)


def _why_part_refused(part: str) -> str | None:
    if part == "..":
        return "climbs out of its folder with '..'"
    if _DRIVE.match(part):
        return "names a drive"
    if len(part.encode()) > _NAME_BYTES:
        return f"has a name of more than {_NAME_BYTES} bytes"
    if part.startswith(TEMPORARY_PREFIX):
        return f"has a name that starts with '{TEMPORARY_PREFIX}', as this program's half-written files do"
    return None


def folded(path: PurePosixPath) -> str:
    """What two paths share that are one file where case or Unicode composition does not count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path.as_posix()).casefold())
