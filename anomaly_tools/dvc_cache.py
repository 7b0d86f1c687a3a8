"""Is what DVC keeps whole? It trusts the name of an object in its cache, and cannot start from a torn list of locks.

The name of an object is the MD5 of its content. DVC computes it when a file goes in, and not when it comes out: an
object that a full disk, a kill or a bad disk has damaged would be served again and again.
"""

import filecmp
import getpass
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from anomaly_lib.base.errors import InputError
from anomaly_tools.cluster.guard import GRACE

if TYPE_CHECKING:
    from dvc.repo import Repo

LOCKS = Path(".dvc/tmp/rwlock")
CHECKED = Path(".dvc/tmp/checked")
"""An empty file, as old as the beginning of the last check of the cache."""
_TICK = 10**9  # ns; clocks of file systems lag behind the time of day
_OBJECT = re.compile(r"[0-9a-f]{30}(\.dir)?")


def repository(root: Path | None = None, **options: bool) -> "Repo":
    """DVC's repository in a folder (default: the working directory), also where DVC alone would end in a traceback.

    DVC asks for the user's name: one without an entry in passwd, as in a container, is named by number from here on.
    Raises InputError for a folder whose name the locale cannot read.
    """
    from dvc.repo import Repo

    folder = str(root or Path.cwd())
    try:
        folder.encode()
    except UnicodeEncodeError:  # bytes that Python could not read as text
        message = f"{folder}: this locale cannot read the folder's name; set LC_ALL=C.UTF-8, or PYTHONUTF8=1"
        raise InputError(message) from None
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = str(os.getuid())
    return Repo(str(root) if root else None, **options)


def cache_folder(root: Path) -> Path:
    """Where DVC keeps content."""
    with repository(root) as repo:
        return Path(repo.cache.local.path)


def heal(root: Path) -> None:
    """Remove a torn list of locks, damaged objects, and what DVC has copied from them: DVC makes or pulls them again.

    Looks at objects that came or changed since the last call. After a run that was killed, the DVC of its stages may
    still be giving its claims back; this waits for that. Raises InputError for damaged data, which only the user can
    bring again.
    """
    deadline = time.monotonic() + GRACE
    while claimants(root / LOCKS) and time.monotonic() < deadline:
        time.sleep(0.2)
    if is_torn(root / LOCKS):
        print(f"{LOCKS}: torn by a kill, removed", file=sys.stderr)
        (root / LOCKS).unlink()
    now, checked = time.time_ns(), root / CHECKED
    since = checked.stat().st_mtime_ns - _TICK if checked.exists() else 0
    if damaged := damaged_objects(cache_folder(root), since):
        _remove(root, damaged)
    checked.parent.mkdir(parents=True, exist_ok=True)
    checked.touch()
    os.utime(checked, ns=(now, now))


def claimants(locks: Path) -> set[int]:
    """Numbers of the living processes that have claims in DVC's list of files in use."""
    try:
        content = json.loads(locks.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return set()
    readers = [info for infos in content.get("read", {}).values() for info in infos]
    claims = {int(info["pid"]) for info in (*readers, *content.get("write", {}).values()) if info}
    return {number for number in claims if number != os.getpid() and psutil.pid_exists(number)}


def is_torn(locks: Path) -> bool:
    """Whether DVC's list of files in use is half-written: it would refuse to start for ever.

    A list that can be read stays, with the claims in it; DVC drops those of processes that are gone.
    """
    try:
        json.loads(locks.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False


def damaged_objects(cache: Path, since: int = 0) -> list[Path]:
    """Objects that came or changed after ``since`` (ns) and whose content has another MD5 than their name says."""
    objects = (file for file in sorted(cache.glob("??/*")) if _OBJECT.fullmatch(file.name))
    return [file for file in objects if file.stat().st_ctime_ns >= since and _md5(file) != _name(file)]


def _name(file: Path) -> str:
    return file.parent.name + file.name.removesuffix(".dir")


def _md5(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "md5").hexdigest()


def _remove(root: Path, damaged: list[Path]) -> None:
    copies = list(_copies(root, {_name(file): file for file in damaged}))
    for copy, source, is_data in copies:
        if is_data:
            remedy = "remove both, then run 'make data'; bring data of your own again"
            raise InputError(f"{copy}: damaged, and so is its copy {source.relative_to(root)}; {remedy}")
    for copy, *_ in copies:
        copy.unlink()
    for file in damaged:
        file.unlink()
        made = ", ".join(str(copy.relative_to(root)) for copy, source, _ in copies if source == file)
        what = f"damaged, removed{f' with {made}' if made else ''}; DVC makes or pulls it again"
        print(f"{os.path.relpath(file, root)}: {what}", file=sys.stderr)


def _copies(root: Path, damaged: dict[str, Path]) -> Iterator[tuple[Path, Path, bool]]:
    """(file, object, whether it is data) of the files in the work tree that DVC has copied from damaged objects."""
    broken = set(damaged.values())
    with repository(root) as repo:
        for out in repo.index.outs:
            if not (out.hash_info and out.use_cache):
                continue
            names = {Path(out.fs_path): out.hash_info.value}
            listing = Path(out.cache.oid_to_path(out.hash_info.value))
            if out.hash_info.isdir:
                entries = json.loads(listing.read_bytes()) if listing.is_file() and listing not in broken else []
                names = {Path(out.fs_path) / entry["relpath"]: entry["md5"] for entry in entries}
            for path, name in names.items():
                if name in damaged and path.is_file() and filecmp.cmp(path, damaged[name], shallow=False):
                    yield path, damaged[name], out.stage.is_data_source
