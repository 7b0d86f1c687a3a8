"""Carry out a plan atomically: an interruption costs nothing, and a target is complete or absent.

Files go into ``.ingest-NAME`` beside the target, each under a temporary name first; the folder is renamed at the end.
A file under its final name is complete, so that the same command goes on where it stopped.
"""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from PIL import Image

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.files import replacing
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.data.images import Problem, read_mask, read_rgb
from anomaly_tools.disk import free_bytes
from anomaly_tools.ingest.plan import Item, Plan

RECORD = "ingest.json"
ABOUT = "README.md"
HIDDEN = ".ingest-"
"""Unfinished work begins with this; ``.dvcignore`` knows it."""
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
RESERVE = 50_000_000
"""Bytes that stay free: a disk filled to the brim stops everything else too."""


def is_finished(target: Path, record: dict) -> bool:
    """Whether the target is there, from the same ingest.

    Raises InputError for one that is there from another, or that no ingest made. An empty folder counts as absent.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    if _read_record(target) == record:
        return True
    origin = "from another ingest or another source" if (target / RECORD).is_file() else "and no ingest made it"
    raise InputError(Problem(target, f"already exists, {origin}", "remove it or name another folder with --output"))


def hidden_folders(target: Path) -> tuple[Path, Path]:
    """Where an unfinished ingest writes, and where it unpacks archives."""
    return target.with_name(f"{HIDDEN}{target.name}"), target.with_name(f"{HIDDEN}{target.name}-unpacked")


@contextmanager
def partial_folder(target: Path, record: dict) -> Iterator[Path]:
    """The hidden folder of an unfinished ingest, locked against other processes.

    It stays when the disk stops the block (full, read-only), so that the same ingest goes on. Other errors leave
    nothing: neither it, nor what was unpacked, nor the folders that were made for it. One that another ingest left is
    emptied first. Raises InputError when another process works on it, and for links in its place, which are not
    followed; OSError when it cannot be made.
    """
    folder, unpacked = hidden_folders(target)
    for place in (target, folder, unpacked):
        if place.is_symlink():
            raise InputError(Problem(place, "is a link, which is not followed", "remove it"))
    made = [parent for parent in folder.parents if not parent.exists()]  # from the innermost on
    locked = False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder, target):
            locked = True
            if _read_record(folder) != record:
                for entry in folder.iterdir():
                    shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
                with replacing(folder / RECORD) as temporary:
                    temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            for path in [*folder.rglob("*")]:
                if path.is_symlink():  # no ingest makes one; writing through it would write elsewhere
                    path.unlink()
            yield folder
    except (InputError, OSError) as error:
        if locked and getattr(error, "errno", None) not in _DISK:
            for place in (folder, unpacked):
                shutil.rmtree(place, ignore_errors=True)
        for parent in made:
            with suppress(OSError):  # not empty
                parent.rmdir()
        raise


@contextmanager
def _lock(folder: Path, target: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise InputError(Problem(target, "another process is ingesting it", "wait until that one is done")) from error
    finally:
        os.close(handle)


def write_plan(plan: Plan, folder: Path, about: str, own: Path, progress: bool = True) -> None:
    """Write what is missing of the plan into the partial folder, and remove what does not belong to it.

    Sources inside ``own`` are ours and are linked instead of copied, where the disk can. Raises InputError for a
    source that cannot be read, and OSError when the disk is full; what is written stays, for the next run.
    """
    missing = [item for item in plan.items if not _is_complete(item, folder)]
    check_room(folder, sum(_bytes_to_write(item, own) for item in missing))
    done = len(plan.items) - len(missing)
    with progress_bar(description="ingest", total=len(plan.items), initial=done, unit="file", show=progress) as bar:
        for item in missing:
            _write(item, folder, own)
            bar.update()
    with replacing(folder / ABOUT) as temporary:
        temporary.write_text(about, encoding="utf-8")
    _remove_strangers(folder, {*(item.place.as_posix() for item in plan.items), RECORD, ABOUT})


def finish(folder: Path, target: Path) -> None:
    """The partial folder becomes the target, which is absent or an empty folder."""
    if target.is_dir():
        target.rmdir()
    folder.rename(target)


def check_room(folder: Path, need: int) -> None:
    """Raise OSError unless ``need`` bytes and a reserve are free on the folder's disk."""
    free = free_bytes(folder)
    if need and need + RESERVE > free:
        message = f"{need / 1e9:.3g} GB have to be written, and {free / 1e9:.3g} GB are free"
        raise OSError(errno.ENOSPC, message, str(folder))


def _write(item: Item, folder: Path, own: Path) -> None:
    source = item.sources[0]
    with replacing(folder / item.place) as temporary:
        if item.is_mask and not item.is_copy:
            _write_union(item.sources, temporary)
        elif item.recoded:
            Image.fromarray(read_rgb(source)).save(temporary, "PNG")
        else:
            temporary.unlink(missing_ok=True)  # left by an interrupted run
            (_link if source.is_relative_to(own) else shutil.copyfile)(source, temporary)


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # the disk cannot
        shutil.copyfile(source, target)


def _write_union(masks: tuple[Path, ...], target: Path) -> None:
    arrays = [read_mask(mask) for mask in masks]
    for mask, array in zip(masks, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise InputError(Problem(mask, f"has another size than {masks[0]}", "masks of one image need one size"))
    Image.fromarray(np.logical_or.reduce(arrays).astype(np.uint8) * 255).save(target, "PNG")


def _is_complete(item: Item, folder: Path) -> bool:
    """A file under its final name was written whole; the size still tells after a power cut."""
    try:
        size = (folder / item.place).stat().st_size
        return size == item.sources[0].stat().st_size if item.is_copy else size > 0
    except OSError:
        return False


def _bytes_to_write(item: Item, own: Path) -> int:
    return sum(source.stat().st_size for source in item.sources if not source.is_relative_to(own))


def _read_record(folder: Path) -> dict | None:
    try:
        return json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _remove_strangers(folder: Path, wanted: set[str]) -> None:
    """Files that are not of the plan, and folders that are empty after that: temporary ones of an interrupted run."""
    for path in sorted(folder.rglob("*"), reverse=True):  # files before their folders
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(folder).as_posix() not in wanted:
            path.unlink()
