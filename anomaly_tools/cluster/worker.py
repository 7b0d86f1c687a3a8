"""What happens on a worker: is this clone fit to run a stage, and the run itself.

A worker's clone is the folder in which the worker was started. It is the main machine's own clone, or another one that
uses the same DVC cache, or one that shares no more than a DVC remote.
"""

import os
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from anomaly_lib.base.errors import InputError
from anomaly_lib.params import project_root
from anomaly_tools.cluster.guard import run_guarded
from anomaly_tools.cluster.handover import Needs, bring, dvc, merge_entries, read_entries, require_remote
from anomaly_tools.cluster.identity import Identity, difference, identity
from anomaly_tools.dvc_cache import cache_folder

LOGS = Path("build/logs")
LOG_END = 20_000
"""Characters of a log that a worker with a clone of its own sends back."""
MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
"""Variables of glibc, up to 20 % of a training: tensors are taken from memory that the process has had. By default each
large one is mapped, filled with zeros by the system and given back (benchmarks/README.md)."""


@dataclass(frozen=True)
class Order:
    """What holds for all stages of one call of fanout."""

    token: str
    """Name of an empty file in the main machine's clone, and in its cache, by which workers know that they share it.

    It is also the topic under which they tell that a stage starts."""
    machine: str
    identity: Identity
    generated: list[str] = field(default_factory=list)
    """Paths from the root that DVC writes."""
    devices: list[str] = field(default_factory=list)
    """GPUs to share out over workers that are named 0, 1, ...; empty leaves the choice to each worker's environment."""


@dataclass(frozen=True)
class Place:
    """Where a worker is."""

    root: Path
    shares: Literal["clone", "cache", "remote"]
    identity: Identity


@dataclass(frozen=True)
class Result:
    """How a stage ended; a worker with a clone of its own adds the end of the log and the entry in dvc.lock."""

    outcome: Literal["done", "failed"]
    shares: str = "clone"
    log: str = ""
    entries: dict[str, dict] = field(default_factory=dict)


def log_file(name: str) -> Path:
    """Where a stage's output goes."""
    return LOGS / f"{name.replace('/', '-').replace(':', '-')}.log"


def inspect_clone(order: Order) -> Place:
    """Look at this worker's clone. Raises InputError, saying why, when its results would not be those of the order."""
    root = project_root()
    if (root / ".dvc/tmp" / order.token).is_file():
        shares = "clone"
        if socket.gethostname() != order.machine:
            # DVC tells by process numbers whose claims on files still hold, and those mean nothing elsewhere
            raise InputError(f"{root} is also the main machine's clone: give each machine a clone of its own")
    else:
        shares = "cache" if (cache_folder(root) / order.token).is_file() else "remote"
    here = identity(root, order.generated)
    # in the same clone the code is the same, also when a file is edited meanwhile
    if reason := difference(order.identity, here, code=shares != "clone"):
        raise InputError(f"{root}: {reason}")
    if shares == "remote":
        require_remote(root)
    return Place(root, shares, here)


def run_on_worker(order: Order, name: str, needs: Needs, entries: dict[str, dict]) -> Result:
    """Run a stage on the Dask worker that calls this; ``entries`` are those of the stages that it needs."""
    from distributed import get_worker

    worker = get_worker()
    worker.log_event(order.token, (name, str(worker.name)))
    environment = stage_environment()
    if order.devices and isinstance(worker.name, int):
        environment["CUDA_VISIBLE_DEVICES"] = order.devices[worker.name % len(order.devices)]
    try:
        place = inspect_clone(order)
    except InputError as error:
        return Result("failed", shares="unfit", log=f"refused: {error}\n")
    if place.shares == "clone":
        return Result(run_stage(place.root, name, environment))
    return _run_in_own_clone(place, name, needs, entries, environment)


def stage_environment() -> dict[str, str]:
    """This process's environment, with its Python first on the path, and memory that stays with a process."""
    return MEMORY | os.environ | {"PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]}


def run_stage(root: Path, name: str, environment: dict[str, str]) -> str:
    """Run one stage in the clone at ``root``, its output in a log file; "done" or "failed"."""
    return "failed" if run_guarded([_repro(name)], root / log_file(name), environment, root) else "done"


def _repro(name: str) -> list[str]:
    return dvc("repro", "--single-item", name)


def _run_in_own_clone(place: Place, name: str, needs: Needs, entries: dict, environment: dict[str, str]) -> Result:
    """Fetch what the stage needs, run it, and hand its outputs to the cache or remote that the machines share."""
    far = place.shares == "remote"
    merge_entries(place.root, entries)
    commands = bring(needs.data, pull=far) + bring(needs.outputs, pull=far, force=True) + [_repro(name)]
    if far:
        commands.append(dvc("push", name))
    log = place.root / log_file(name)
    code = run_guarded(commands, log, environment, place.root)
    text = log.read_text(encoding="utf-8", errors="replace")[-LOG_END:]
    if code:
        return Result("failed", place.shares, text)
    return Result("done", place.shares, text, read_entries(place.root, [name]))
