"""What goes from one clone to another: entries of dvc.lock, and the files that they name.

A stage's entry in dvc.lock says by hash what it read and what it made. With it ``dvc checkout`` (both clones use one
cache) or ``dvc pull`` (they use one remote) puts the files in place, and nothing is executed.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_tools.dvc_cache import repository


@dataclass(frozen=True)
class Needs:
    """What a clone needs to run a stage."""

    stages: list[str] = field(default_factory=list)
    """Stages whose outputs it reads."""
    outputs: list[str] = field(default_factory=list)
    """These outputs, as paths from the root."""
    data: list[str] = field(default_factory=list)
    """Data that ``dvc add`` tracks, as paths from the root."""
    at_home: bool = False
    """It reads or writes what only git holds (``cache: false``), so it runs in the clone of the main machine."""


def all_needs(names: Iterable[str]) -> tuple[dict[str, Needs], list[str]]:
    """({stage: Needs}, all paths that DVC writes) of the repository in the working directory."""
    with repository() as repo:
        root = f"{repo.root_dir}/"
        outputs = {out.fs_path.removeprefix(root): out for out in repo.index.outs}
        stages = {stage.addressing: stage for stage in repo.index.stages}
        return {name: _needs(stages[name], outputs, root) for name in names}, list(outputs)


def _needs(stage, outputs: dict, root: str) -> Needs:
    at_home = not all(out.use_cache for out in stage.outs)
    made_by, paths, data = set(), set(), set()
    for path in (dependency.fs_path.removeprefix(root) for dependency in stage.deps):
        for output, out in outputs.items():
            # the output itself, a file in it, or a folder of several outputs
            if not f"{path}/".startswith(f"{output}/") and not f"{output}/".startswith(f"{path}/"):
                continue
            target = max(path, output, key=len)
            if out.stage.is_data_source:
                data.add(target)
            else:
                at_home |= not out.use_cache
                made_by.add(out.stage.addressing)
                paths.add(target)
    return Needs(sorted(made_by), sorted(paths), sorted(data), at_home)


def read_entries(root: Path, names: Iterable[str]) -> dict[str, dict]:
    """{stage: its entry in dvc.lock}; a stage without an entry is left out."""
    from dvc.utils.serialize import load_yaml

    entries = {}
    for name in names:
        file, key = _lock_of(root, name)
        entry = load_yaml(file).get("stages", {}).get(key) if file.is_file() else None
        if entry:
            entries[name] = entry
    return entries


def merge_entries(root: Path, entries: dict[str, dict]) -> None:
    """Put the entries into dvc.lock, under DVC's own lock, since stages may be running in the clone."""
    from dvc.utils.serialize import modify_yaml

    with repository(root, _wait_for_lock=True) as repo, repo.lock:
        for name, entry in entries.items():
            file, key = _lock_of(root, name)
            with modify_yaml(str(file)) as lock:
                lock.setdefault("schema", "2.0")
                lock.setdefault("stages", {})[key] = entry


def problems_of(root: Path, name: str) -> str:
    """What DVC finds changed about a stage, in one line; empty when it is up to date."""
    with repository(root, _wait_for_lock=True) as repo:
        return "; ".join(map(str, repo.status(targets=[name]).get(name, [])))


def bring(targets: list[str], pull: bool, force: bool = False) -> list[list[str]]:
    """The command that puts what dvc.lock and data.dvc name in place, as a list of none or one.

    ``force`` replaces what lies there and is in no cache, as half an output of a killed stage is.
    """
    flags = ["--force"] if force else []
    return [dvc("pull" if pull else "checkout", *flags, *targets)] if targets else []


def dvc(*arguments: str) -> list[str]:
    """A DVC command that waits while another one holds the repository's lock."""
    return [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]


def require_remote(root: Path) -> None:
    """Raise InputError unless ``dvc push`` and ``dvc pull`` have a default remote outside of the repository."""
    with repository(root) as repo:
        name = repo.config["core"].get("remote")
        url = repo.config["remote"].get(name, {}).get("url", "")
    if not name:
        raise InputError(f"{root}: no DVC remote to hand results over; set one: dvc remote add -d NAME URL")
    if "://" not in url and (root / url).resolve().is_relative_to(root):
        raise InputError(f"{root}: the DVC remote {name} lies inside this clone; choose one that all machines reach")


def _lock_of(root: Path, name: str) -> tuple[Path, str]:
    """The dvc.lock of a stage, and the stage's key in it."""
    pipeline, _, key = name.rpartition(":")
    return (root / (pipeline or "dvc.yaml")).with_name("dvc.lock"), key
