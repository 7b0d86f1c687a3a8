"""Which names may become files and folders, on any system."""

import re
import unicodedata

_LETTERS_AND_DIGITS = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd"}  # marks: accents, vowel signs
NAME_BYTES = 200
"""Most bytes of a chosen name in UTF-8: folders and files are called after it, with more around it."""
RESERVED = {
    *("con", "prn", "aux", "nul"),  # devices of Windows, whatever their suffix
    *(f"{port}{number}" for port in ("com", "lpt") for number in range(10)),
    *("train", "test", "ground_truth"),  # folders of a category
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
