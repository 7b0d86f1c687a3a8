"""Run a DVC pipeline with independent stages side by side, over Dask's scheduler.

Each stage is an ordinary ``dvc repro -s STAGE``, so cache, run-cache and dvc.lock are those of a serial
``dvc repro``, and so are the results: a stage has one thread and its own seeds, whatever runs beside it. A stage
starts as soon as the stages that it depends on are done. When one fails, what depends on it is skipped and the
rest goes on.
"""

import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from anomaly_lib.base.errors import InputError, nearest
from anomaly_lib.nbrun import FAILED, last_progress
from anomaly_lib.params import Params, load_params, project_root
from anomaly_lib.pipeline.runs import Run, runs_of
from anomaly_lib.pipeline.warm import warm_kernels
from anomaly_tools.cluster.pool import Pool, open_pool
from anomaly_tools.cluster.worker import log_file, stage_environment
from anomaly_tools.dvc_cache import heal, repository
from anomaly_tools.ingest.ready import require_data

PREPARE = "prepare"
WIDTH = 150
CLEAR = "\r" + " " * WIDTH + "\r"


def run(
    profile: str | None,
    jobs: int | None,
    workers: int | None,
    scheduler: str | None,
    methods: str | None = None,
    categories: str | None = None,
) -> int:
    """The command ``python -m anomaly_lib fanout``; its exit code."""
    params_file = Path(pipeline_file(profile)).with_name("params.yaml")
    chosen = None
    if params_file.is_file():  # fanout runs any DVC pipeline, ours or not
        params = load_params(params_file)
        chosen = chosen_runs(params, methods, categories) if methods or categories else None
        require_data(params)
    if sum(value is not None for value in (jobs, workers, scheduler)) > 1:
        raise InputError("--jobs, --workers and --scheduler are three ways to run stages: choose one")
    failed = fanout(profile, jobs, workers, scheduler, chosen)
    if chosen and not failed:
        print(results_of(chosen, Path(params.reports)))
    return 1 if failed else 0


def chosen_runs(params: Params, methods: str | None, categories: str | None) -> list[Run]:
    """The profile's runs of the methods and categories in two lists with commas; None means all of them."""
    kept = {}
    for option, text, valid in (("methods", methods, params.methods), ("categories", categories, params.categories)):
        kept[option] = [name.strip() for name in text.split(",")] if text else list(valid)
        for name in kept[option]:
            if name not in valid:
                raise InputError(f"--{option}: the profile has no '{name}': {nearest(name, valid)}")
    return [run for run in runs_of(params) if run.method in kept["methods"] and run.category in kept["categories"]]


def results_of(runs: list[Run], reports: Path) -> str:
    """A table of the runs' metrics and where their demonstrations lie."""
    columns = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "aupro_030": "AUPRO 0.3"}
    lines = [f"{'run':<24}{''.join(f'{title:>13}' for title in columns.values())}  look at"]
    for run in runs:
        metrics = run.metrics(reports)
        numbers = "".join(f"{metrics[key]:>13.3f}" if metrics.get(key) is not None else f"{'–':>13}" for key in columns)
        lines.append(f"{run.key:<24}{numbers}  {run.file(reports, 'demo.gif')}")
    return "\n".join(["", *lines])


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


def fanout(
    profile: str | None = None,
    jobs: int | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    runs: list[Run] | None = None,
) -> list[str]:
    """Bring a profile's pipeline up to date; return the stages that failed or were skipped.

    ``profile`` is a folder under profiles/, None the root profile; ``runs`` leaves out all stages that others need,
    and the report, which is of all. ``jobs`` is the number of stages at a time, default the number of cores. Instead of
    it, ``workers`` is the number of worker processes to start, each with a GPU of its own where there are some, and
    ``scheduler`` the address of a Dask scheduler whose workers run the stages. Raises InputError for an unknown
    profile, a pipeline that DVC cannot read, or a worker whose code or packages differ.
    """
    root = project_root()
    os.chdir(root)
    os.environ.update(stage_environment())  # DVC runs ``python``
    heal(root)
    pipeline = pipeline_file(profile)
    graph = stale_stages(pipeline)
    if runs:
        graph = {stage: needed for stage, needed in graph.items() if stage.rpartition("@")[2] in _matrix_keys(runs)}
    board = Board(waiting=set(graph))
    if not graph:
        print("everything is up to date")
        return []
    for name in graph:  # a log says that its stage has started
        log_file(name).unlink(missing_ok=True)
    here = not (workers or scheduler)
    with _warm(pipeline) if here else nullcontext(), open_pool(list(graph), _say, jobs, workers, scheduler) as pool:
        _drive(graph, pool, board)
    return board.failed + board.skipped


def _matrix_keys(runs: list[Run]) -> set[str]:
    """What stands behind the @ in the names of the stages that these runs need."""
    return {key for run in runs for key in (run.key, run.category, f"{run.method}-{run.category}")}


def _warm(pipeline: str) -> AbstractContextManager[None]:
    """Stages inside fork their kernels; those of a pipeline that is not ours have none."""
    params_file = Path(pipeline).with_name("params.yaml")
    if not params_file.is_file():
        return nullcontext()
    params = load_params(params_file)
    return warm_kernels(list(params.methods), params.numerics)


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
    """{stage: stale stages it depends on} for all stages that are not up to date, in topological order.

    What the others depend on is written by the stage ``prepare``, so that one is run first where it is stale.
    """
    import networkx
    from dvc.exceptions import DvcException
    from dvc.repo.graph import build_graph

    try:
        with repository() as repo:
            # this pipeline's file alone, and asked once: the repository's whole graph, stage by stage, takes 20 s
            graph = build_graph(repo.stage.collect(pipeline))
            changed = set(repo.status(targets=[pipeline]))
        for stage in graph:
            if stage.addressing in changed and stage.name == PREPARE:
                with repository() as repo:
                    repo.reproduce(targets=[stage.addressing], single_item=True)
                    changed = set(repo.status(targets=[pipeline]))
    except DvcException as error:
        raise InputError(f"{pipeline}: {error}") from None
    stale = {stage for stage in graph if stage.addressing in changed}
    # edges lead from a stage to what it depends on
    stale |= {other for stage in stale for other in networkx.ancestors(graph, stage)}
    order = reversed(list(networkx.topological_sort(graph.subgraph(stale))))
    return {s.addressing: [d.addressing for d in graph.successors(s) if d in stale] for s in order}


def _drive(graph: dict[str, list[str]], pool: Pool, board: Board) -> None:
    """Start stages as soon as what they need is done, and show the board until none is left."""
    live = sys.stderr.isatty()
    submitted: set[str] = set()
    lonely = False
    while board.waiting or board.running:
        for name in graph:  # in topological order, so that what depends on a skipped stage is skipped as well
            if name in board.waiting and not set(graph[name]).isdisjoint(board.failed + board.skipped):
                _say(board.settle(name, "skipped"))
        slots = pool.slots()
        if not slots and not lonely:
            _say("no worker left; waiting for one")
        lonely = not slots
        ready = [name for name in graph if name not in submitted and set(graph[name]) <= set(board.done)]
        in_flight = len(submitted) - len(board.done) - len(board.failed)
        for name in ready[: max(0, slots - in_flight)]:
            submitted.add(name)
            pool.submit(name)
        for name, outcome in pool.ended():
            _say(board.settle(name, outcome))
        started = [name for name in board.waiting if log_file(name).exists()]
        for name in started:
            board.waiting.remove(name)
            board.running[name] = time.monotonic()
        if live:
            print(f"{CLEAR}{board.line()[:WIDTH]}", end="", file=sys.stderr, flush=True)
        elif started:
            print(board.line(), file=sys.stderr, flush=True)
    _say(board.line())


def _say(news: str) -> None:
    print(f"{CLEAR if sys.stderr.isatty() else ''}{news}", file=sys.stderr, flush=True)


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
