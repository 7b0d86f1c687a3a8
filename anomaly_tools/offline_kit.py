"""One folder that installs the suite on laptops without network: wheels, repository with its data, and a script.

The live page lies in it too, where ``make live`` has written one: it needs no installation.

    python -m anomaly_tools.offline_kit build/offline-kit

The wheels are those of ``requirements.lock`` for the platform that this runs on. An interrupted call is continued by
the next one; a wheel that is there is not fetched again.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from anomaly_lib.base.errors import InputError, exit_code
from anomaly_lib.base.files import replacing
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.params import project_root
from anomaly_tools.disk import bytes_in, free_bytes

NEEDED_BYTES = 6 * 1024**3
"""Free space to begin with: the wheels of a Linux machine take about half of it, most of that PyTorch with CUDA."""
AT_ONCE = 40  # requirements a call of pip, which keeps none of a call that is interrupted
LIVE = Path("build/live")
SCRIPT = Path(__file__).with_name("offline_install.sh")


def make_kit(root: Path, kit: Path) -> None:
    """Write the kit into the folder ``kit``; shows progress.

    Raises InputError when the disk is too full, a wheel cannot be had, or the repository has changes that are not
    committed.
    """
    missing = [entry for entry in lock_entries(root / "requirements.lock") if not _has(kit / "wheels", entry)]
    free = free_bytes(kit)
    if missing and free < NEEDED_BYTES:
        raise InputError(f"{kit}: {free / 1e9:.1f} GB free, {NEEDED_BYTES / 1e9:.1f} GB needed; name another disk")
    changes = _output(["git", "status", "--porcelain", "--untracked-files=no"], root)
    if changes:
        raise InputError(f"{root}: changes that are not committed would be left out; commit or stash them")
    _fetch(missing, kit / "wheels")
    with replacing(kit / "repository.bundle") as temporary:
        _output(["git", "bundle", "create", "--quiet", str(temporary.resolve()), "HEAD"], root)
    shutil.copy2(SCRIPT, kit / "install.sh")
    shutil.rmtree(kit / "live", ignore_errors=True)
    if (root / LIVE / "index.html").is_file():
        shutil.copytree(root / LIVE, kit / "live")


def lock_entries(lock: Path) -> list[str]:
    """The requirements of a lock file with their hashes, as far as they are for this platform."""
    entries = re.split(r"^(?=[\w.-]+==)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    entries = [re.sub(r"^\s*#.*\n?", "", entry, flags=re.MULTILINE) for entry in entries]
    return [entry for entry in entries if _requirement(entry).marker is None or _requirement(entry).marker.evaluate()]


def _requirement(entry: str) -> Requirement:
    return Requirement(entry.partition(" \\\n")[0].strip())


def _has(wheels: Path, entry: str) -> bool:
    """Is a file of this very version there?"""
    requirement = _requirement(entry)
    version = str(requirement.specifier).removeprefix("==")
    wanted = canonicalize_name(requirement.name), version
    return any(_name_and_version(file) == wanted for file in wheels.glob("*.*"))


def _name_and_version(file: Path) -> tuple[str, str]:
    stem = file.name.removesuffix(".tar.gz")
    parts = stem.split("-") if file.suffix == ".whl" else stem.rsplit("-", 1)
    return canonicalize_name(parts[0]), parts[1].partition("+")[0] if len(parts) > 1 else ""


def _fetch(entries: list[str], wheels: Path) -> None:
    wheels.mkdir(parents=True, exist_ok=True)
    with (
        progress_bar(description="wheels", total=len(entries), unit="wheel") as bar,
        tempfile.TemporaryDirectory() as work,
    ):
        for start in range(0, len(entries), AT_ONCE):
            part = entries[start : start + AT_ONCE]
            wanted = Path(work) / "part.txt"
            wanted.write_text("".join(part), encoding="utf-8")
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps"]
            _output([*command, "--no-build-isolation", "-r", str(wanted), "-d", str(wheels)], Path.cwd())
            bar.update(len(part))


def _output(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise InputError(f"{' '.join(command[:4])}: {lines[-1]}; call again to continue")
    return done.stdout


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m anomaly_tools.offline_kit", description=__doc__.split("\n")[0])
    parser.add_argument("kit", type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    return exit_code(lambda: _make(options.kit), stopped="stopped; the next call goes on from here")


def _make(kit: Path) -> None:
    make_kit(project_root(), kit.resolve())
    print(f"{kit}: {bytes_in(kit) / 1e9:.1f} GB; on each laptop: bash install.sh FOLDER")
    page = kit / "live/index.html"
    if page.is_file():
        print(f"{page}: the live page, which needs no installation: open it in a browser")
    else:
        print("no live page in it: 'make live' after 'make repro' makes one; then call again")


if __name__ == "__main__":
    sys.exit(main())
