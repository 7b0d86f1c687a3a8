"""Which files of a folder are photos, by their names: for ``data ingest`` and ``detect``, which drop none silently."""

from pathlib import Path

from anomaly_lib.data.images import SUFFIXES, is_image_name, printable

RECODED = {".webp"}
RENAMED = {".jfif": ".jpg", ".jpe": ".jpg", ".webp": ".png"}
"""What Pillow reads although data folders do not hold files of such names -> the suffix there."""
_NOT_READ = ".gif .jp2 .heic .heif .avif .dng .raw .jxl .tga .ppm .pgm"
PICTURES = {*SUFFIXES, *RENAMED, *_NOT_READ.split()}
"""Suffixes of photos, whether or not they are read."""
READ = ", ".join(suffix[1:] for suffix in (*SUFFIXES, *RENAMED))
LeftOut = dict[str, list[str]]
"""Reason -> files that are not taken."""
_SHOWN = 3  # names per reason


def is_readable_name(path: Path) -> bool:
    """Whether a file's name is that of an image which can be read."""
    return is_image_name(path) or (path.suffix.lower() in RENAMED and not path.name.startswith("."))


def is_of_the_system(path: Path) -> bool:
    """Whether a file is one that macOS or Windows puts beside photos by itself."""
    return path.name in (".DS_Store", "Thumbs.db", "desktop.ini") or path.name.startswith("._")


def left_out_line(groups: LeftOut) -> str:
    """How many files are left out, in all and for each reason, with some of their names; empty for none."""
    parts = [
        f"{len(names)} {reason} ({', '.join(sorted(names)[:_SHOWN])}{', …' * (len(names) > _SHOWN)})"
        for reason, names in sorted(groups.items())
    ]
    count = sum(map(len, groups.values()))
    return printable(f"left out {count} file{'s' * (count > 1)}: {', '.join(parts)}") if parts else ""
