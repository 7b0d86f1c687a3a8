"""Run a DVC pipeline with independent stages side by side, over Dask's scheduler.

Each stage is an ordinary ``dvc repro -s STAGE``, so cache, run-cache and dvc.lock are those of a serial
``dvc repro``, and so are the results: a stage has one thread and its own seeds, whatever runs beside it. A stage
starts as soon as the stages that it depends on are done. When one fails, what depends on it is skipped and the
rest goes on.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from anomaly_lib.errors import InputError
from anomaly_lib.nbrun import FAILED, last_progress
from anomaly_lib.params import project_root

LOGS = Path("build/logs")
WIDTH = 150
CLEAR = "\r" + " " * WIDTH + "\r"


def drop_torn_lock(file: Path) -> None:
    """Remove DVC's list of files in use when a kill has left it half-written: DVC would refuse to start for ever.

    A list that can be read stays, with the claims in it; DVC drops those of processes that are gone.
    """
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        print(f"{file}: torn by a kill, removed", file=sys.stderr)
        file.unlink()


@dataclass
class Board:
    """Which stages are where, and how that is shown."""

    waiting: set[str]
    running: dict[str, float] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def settle(self, name: str, outcome: str) -> str:
        """Move a finished stage to its list; return one line about it."""
        self.waiting.discard(name)
        started = self.running.pop(name, time.monotonic())
        getattr(self, outcome).append(name)
        if outcome == "failed":
            return f"failed   {_short(name)}; the end of {log_file(name)}:\n{_last_lines(log_file(name))}"
        if outcome == "skipped":
            return f"skipped  {_short(name)}, since a stage that it needs is not done"
        return f"done     {_short(name)}  {time.monotonic() - started:.0f} s"

    def line(self) -> str:
        """One line: stages done, running (with the state of their progress bars) and left."""
        names = ", ".join(f"{_short(name)}{_share_done(name)}" for name in self.running)
        total = len(self.waiting) + len(self.running) + len(self.done) + len(self.failed) + len(self.skipped)
        return f"[{len(self.done)}/{total} done] running: {names or '–'} | {len(self.waiting)} left"


def fanout(profile: str | None = None, jobs: int | None = None) -> list[str]:
    """Bring a profile's pipeline up to date; return the stages that failed or were skipped.

    ``profile`` is a folder under profiles/, None the root profile; ``jobs`` the stages at a time, default the
    number of cores. Raises InputError for an unknown profile or a pipeline that DVC cannot read.
    """
    from distributed import Client, LocalCluster

    root = project_root()
    os.chdir(root)
    drop_torn_lock(Path(".dvc/tmp/rwlock"))
    pipeline = pipeline_file(profile)
    graph = stale_stages(pipeline)
    board = Board(waiting=set(graph))
    if not graph:
        print("everything is up to date")
        return []
    for name in graph:  # a log says that its stage has started
        log_file(name).unlink(missing_ok=True)
    # a stage is a process of its own; the worker's threads only wait for it
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=jobs or os.cpu_count() or 1,
            processes=False,
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
        ) as cluster,
        Client(cluster) as client,
    ):
        futures = {}
        for name in graph:  # in topological order
            futures[name] = client.submit(_run_stage, name, [futures[d] for d in graph[name]], key=name, pure=False)
        _watch(futures, board)
    return board.failed + board.skipped


def pipeline_file(profile: str | None) -> str:
    """Path of the profile's dvc.yaml from the root. Raises InputError, naming the profiles that exist."""
    if profile is None:
        return "dvc.yaml"
    file = Path("profiles") / profile / "dvc.yaml"
    if not file.is_file():
        names = sorted(path.parent.name for path in Path("profiles").glob("*/dvc.yaml"))
        raise InputError(f"{file}: no such profile; there are {', '.join(names)}")
    return str(file)


def stale_stages(pipeline: str) -> dict[str, list[str]]:
    """{stage: stale stages it depends on} for all stages that are not up to date, in topological order."""
    import networkx
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            graph = repo.index.graph
            mine = {stage for stage in graph if stage.path_in_repo == pipeline}
            changed = set(repo.status(targets=[stage.addressing for stage in mine]))
            stale = {stage for stage in mine if stage.addressing in changed}
            # edges lead from a stage to what it depends on
            stale |= {other for stage in stale for other in networkx.ancestors(graph, stage) if other in mine}
            order = reversed(list(networkx.topological_sort(graph.subgraph(stale))))
            return {s.addressing: [d.addressing for d in graph.successors(s) if d in stale] for s in order}
    except DvcException as error:
        raise InputError(f"{pipeline}: {error}") from None


def _run_stage(name: str, dependencies: list[str]) -> str:
    """Run one stage, its output in a log file; "done", "failed", or "skipped" when a dependency was not done."""
    if any(outcome != "done" for outcome in dependencies):
        return "skipped"
    LOGS.mkdir(parents=True, exist_ok=True)
    binaries = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": binaries + os.pathsep + os.environ["PATH"]}
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", name]
    with log_file(name).open("wb") as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=environment, check=False)
    return "failed" if done.returncode else "done"


def log_file(name: str) -> Path:
    """Where a stage's output goes."""
    return LOGS / f"{name.replace('/', '-').replace(':', '-')}.log"


def _watch(futures: dict, board: Board) -> None:
    """Show the board until every future is finished."""
    live = sys.stderr.isatty()
    while board.waiting or board.running:
        time.sleep(0.5)
        for name in [name for name in (*board.running, *board.waiting) if futures[name].done()]:
            news = board.settle(name, futures[name].result())
            print(f"{CLEAR if live else ''}{news}", file=sys.stderr, flush=True)
        started = [name for name in board.waiting if log_file(name).exists()]
        for name in started:
            board.waiting.remove(name)
            board.running[name] = time.monotonic()
        if live:
            print(f"{CLEAR}{board.line()[:WIDTH]}", end="", file=sys.stderr, flush=True)
        elif started:
            print(board.line(), file=sys.stderr, flush=True)
    print(f"{CLEAR if live else ''}{board.line()}", file=sys.stderr, flush=True)


def _last_lines(file: Path, count: int = 6) -> str:
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-count:])


def _short(name: str) -> str:
    """A stage's name without the path of its dvc.yaml."""
    return name.rpartition(":")[2]


def _share_done(name: str) -> str:
    """ " 41 %" from the stage's progress bar, if it shows one."""
    state = last_progress(FAILED / f"{_short(name)}.progress".replace("@", "-"))
    return f" {state.split('%')[0].split()[-1]} %" if "%" in state else ""
