"""What a stage's result depends on besides DVC's inputs: the code of a clone and the packages of its environment."""

import hashlib
import platform
import re
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from anomaly_lib.base.numerics import processor

LISTED = 3


@dataclass(frozen=True)
class Identity:
    """Code and environment of one clone."""

    commit: str
    changes: dict[str, str]
    """{path: SHA-256, or "deleted"} of all files that differ from the commit, without what the pipeline writes."""
    packages: dict[str, str]
    """{name: installed version} of what requirements.lock names, and of Python."""
    processor: str
    """Model of the CPU: in native numerics results depend on it."""


def identity(root: Path, generated: list[str]) -> Identity:
    """The identity of the clone at ``root``; ``generated`` are paths from there that the pipeline writes."""
    commit = _git(root, "rev-parse", "--verify", "HEAD").strip()
    return Identity(commit, _changes(root, generated), _packages(root / "requirements.lock"), processor())


def difference(here: Identity, there: Identity, code: bool = True) -> str:
    """In what another clone differs, for the end of a sentence; empty when a stage gives the same there.

    ``code=False`` compares the environments alone.
    """
    if code and here.commit != there.commit:
        return f"commit {there.commit[:10] or '(none)'} instead of {here.commit[:10] or '(none)'}"
    if code and (files := _differing(here.changes, there.changes)):
        return f"uncommitted changes differ: {_listed(files)}"
    if names := _differing(here.packages, there.packages):
        versions = [f"{name} {there.packages.get(name, '(none)')}, here {here.packages.get(name)}" for name in names]
        return f"other packages: {_listed(versions)}"
    return ""


def _changes(root: Path, generated: list[str]) -> dict[str, str]:
    listing = _git(root, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames")
    paths = [line[3:] for line in listing.split("\0") if line]
    return {path: _digest(root / path) for path in paths if not _is_generated(Path(path), generated)}


def _is_generated(path: Path, generated: list[str]) -> bool:
    # DVC keeps dvc.lock, and adds outputs to .gitignore
    return path.name in ("dvc.lock", ".gitignore") or any(path.is_relative_to(folder) for folder in generated)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "deleted"


def _packages(lock: Path) -> dict[str, str]:
    """Installed versions of the locked packages; what is not installed is not in it."""
    text = lock.read_text(encoding="utf-8") if lock.is_file() else ""
    versions = {"Python": platform.python_version()}
    for name in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # of another system, or an extra
    return versions


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def _differing(here: dict[str, str], there: dict[str, str]) -> list[str]:
    return sorted(key for key in here.keys() | there.keys() if here.get(key) != there.get(key))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
