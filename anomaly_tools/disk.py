"""Free and used disk space."""

import shutil
from pathlib import Path


def free_bytes(place: Path) -> int:
    """Bytes that are free where ``place`` lies, or will lie: the nearest folder that is there tells."""
    place = place.resolve()
    return shutil.disk_usage(next(folder for folder in (place, *place.parents) if folder.is_dir())).free


def bytes_in(folder: Path) -> int:
    """Bytes of all files in a folder and its sub-folders; 0 for a folder that is not there."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
