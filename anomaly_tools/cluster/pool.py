"""Where stages run: threads of this process, worker processes of this machine, or the workers of a Dask scheduler."""

import os
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue

from anomaly_lib.base.errors import InputError
from anomaly_tools.cluster.guard import run_guarded
from anomaly_tools.cluster.handover import (
    Needs,
    all_needs,
    bring,
    dvc,
    merge_entries,
    problems_of,
    read_entries,
    require_remote,
)
from anomaly_tools.cluster.identity import identity
from anomaly_tools.cluster.worker import (
    Order,
    Place,
    Result,
    inspect_clone,
    log_file,
    run_on_worker,
    run_stage,
    stage_environment,
)
from anomaly_tools.dvc_cache import cache_folder

CONNECT_SECONDS = 10
WAIT_SECONDS = 0.5


@dataclass
class Pool:
    """Runs stages of the clone in the working directory; what has ended comes into ``finished`` as (stage, outcome)."""

    client: object
    """Dask's client."""
    say: Callable[[str], None]
    """Shows one line to the user."""
    order: Order | None = None
    """None: the workers are threads of this process, and need no order."""
    needs: dict[str, Needs] = field(default_factory=dict)
    """What workers with clones of their own need; empty when there can be none."""
    home: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    """What happens in this clone, one after the other: taking results in, and stages that only git holds."""
    finished: Queue = field(default_factory=Queue)
    _started: set[str] = field(default_factory=set)

    def slots(self) -> int:
        """Stages that can run at a time, now."""
        return sum(self.client.nthreads().values())

    def submit(self, name: str) -> None:
        """Start a stage."""
        if name in self.needs and self.needs[name].at_home:
            self.home.submit(self._report, name, self._run_at_home)
            return
        if self.order is None:
            future = self.client.submit(_run_in_thread, Path.cwd(), name, key=name, pure=False)
        else:
            needs = self.needs.get(name, Needs())
            entries = read_entries(Path.cwd(), needs.stages)
            # a scheduler that others use too must not take their stage of that name for ours
            key = f"{name}-{self.order.token}"
            future = self.client.submit(run_on_worker, self.order, name, needs, entries, key=key, pure=False)
        future.add_done_callback(lambda done: self._receive(name, done))

    def ended(self) -> list[tuple[str, str]]:
        """(stage, outcome) of those that ended since the last call; waits half a second for the first."""
        ended = []
        with suppress(Empty):
            ended.append(self.finished.get(timeout=WAIT_SECONDS))
            while True:
                ended.append(self.finished.get_nowait())
        return ended

    def note_start(self, event: tuple) -> None:
        """A worker says that a stage starts."""
        _, (name, worker) = event
        if name in self._started:
            self.say(f"again    {name} on worker {worker}, since the one that ran it is gone")
        self._started.add(name)
        log_file(name).touch()

    def _receive(self, name: str, future) -> None:
        with suppress(RuntimeError):  # the pool is closed: Ctrl-C
            self.home.submit(self._report, name, self._take_in, future)

    def _report(self, name: str, work: Callable[..., str], *arguments) -> None:
        """Do the work and put its outcome into the queue, whatever happens: the caller waits for it."""
        try:
            outcome = work(name, *arguments)
        except Exception as error:
            _append(name, f"{type(error).__name__}: {error}\n")
            outcome = "failed"
        self.finished.put((name, outcome))

    def _run_at_home(self, name: str) -> str:
        return run_stage(Path.cwd(), name, stage_environment())

    def _take_in(self, name: str, future) -> str:
        """The outcome of what a worker ran, after its outputs are in this clone."""
        try:
            result = future.result()
        except CancelledError as error:  # of the scheduler, when it is gone
            raise RuntimeError(f"the scheduler gave the stage up: {error}") from None
        if result.shares != "clone":
            log_file(name).parent.mkdir(parents=True, exist_ok=True)
            log_file(name).write_text(result.log, encoding="utf-8")
        if result.outcome == "failed" or result.shares == "clone":
            return result.outcome
        return _fetch(name, result)


def _run_in_thread(root: Path, name: str) -> Result:
    return Result(run_stage(root, name, stage_environment()))


def _fetch(name: str, result: Result) -> str:
    """Bring a worker's outputs into this clone without executing anything."""
    merge_entries(Path.cwd(), result.entries)
    log = log_file(name).with_suffix(".fetch")
    code = run_guarded(bring([name], result.shares == "remote", force=True), log, stage_environment(), Path.cwd())
    if code:
        _append(name, log.read_text(encoding="utf-8", errors="replace"))
    log.unlink()
    if problems := problems_of(Path.cwd(), name):
        _append(name, f"what the worker made does not fit this clone: {problems}\n")
    return "failed" if code or problems else "done"


def _append(name: str, text: str) -> None:
    log_file(name).parent.mkdir(parents=True, exist_ok=True)
    with log_file(name).open("a", encoding="utf-8") as log:
        log.write(text)


@contextmanager
def open_pool(
    names: list[str],
    say: Callable[[str], None],
    jobs: int | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Iterator[Pool]:
    """A pool for the named stages: ``jobs`` threads, ``workers`` processes, or the workers of a running ``scheduler``.

    Raises InputError when the scheduler does not answer, or when results of a worker would not be those of this clone.
    """
    with ExitStack() as stack:
        client = stack.enter_context(_connected(scheduler) if scheduler else _local(jobs, workers))
        if scheduler:
            pool = _pool_of_workers(client, say, stack.enter_context(_marked()), names=names)
        elif workers:
            pool = _pool_of_workers(client, say, stack.enter_context(_marked()), devices=gpus())
        else:
            pool = Pool(client, say)
        try:
            yield pool
        finally:
            pool.home.shutdown(wait=False, cancel_futures=True)


def gpus() -> list[str]:
    """Identifiers of this machine's GPUs: those that CUDA_VISIBLE_DEVICES names, or else all."""
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [device.strip() for device in chosen.split(",") if device.strip()]
    with suppress(OSError, subprocess.CalledProcessError):
        command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return []


@contextmanager
def _local(jobs: int | None, workers: int | None) -> Iterator:
    """Dask's client of a cluster on this machine. A stage is a process of its own; threads only wait for it."""
    from distributed import Client, LocalCluster

    shape = {"n_workers": workers or 1, "threads_per_worker": 1 if workers else jobs or os.cpu_count() or 1}
    # loopback: whoever reaches a worker can run code
    fixed = dict.fromkeys(("dashboard_address", "worker_dashboard_address"), "127.0.0.1:0") | {"memory_limit": 0}
    with LocalCluster(**shape, **fixed, processes=bool(workers)) as cluster, Client(cluster) as client:
        yield client


@contextmanager
def _connected(scheduler: str) -> Iterator:
    from distributed import Client

    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise InputError(f"{scheduler}: no Dask scheduler answers: {' '.join(str(error).split())}") from None
    with client:
        yield client


@contextmanager
def _marked() -> Iterator[str]:
    """Name of an empty file in this clone and in its cache, by which a worker knows that it shares them."""
    token = f"fanout-{uuid.uuid4().hex}"
    marks = [folder / token for folder in (Path(".dvc/tmp"), cache_folder(Path.cwd()))]
    try:
        for mark in marks:
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        yield token
    finally:
        for mark in marks:
            mark.unlink(missing_ok=True)


def _pool_of_workers(
    client, say: Callable[[str], None], token: str, names: list[str] | None = None, devices: list[str] | None = None
) -> Pool:
    """A pool of processes; with ``names`` of the stages also of workers that have clones of their own."""
    root = Path.cwd()
    needs, generated = all_needs(names or [])
    order = Order(token, socket.gethostname(), identity(root, generated), generated, devices or [])
    pool = Pool(client, say, order, needs)
    client.subscribe_topic(order.token, pool.note_start)
    if not client.nthreads():
        say("no worker yet; waiting for the first")
        client.wait_for_workers(1)
    places = _inspected(client, order)
    for worker, place in places.items():
        if place.identity.processor != order.identity.processor:
            say(f"worker {worker}: another processor, {place.identity.processor}; last bits of its results may differ")
    if any(place.shares == "remote" for place in places.values()):
        _push_inputs(root, names, needs)
    return pool


def _inspected(client, order: Order) -> dict[str, Place]:
    """{address: place} of all workers there are. Raises InputError for the first that is not fit."""
    places = client.run(inspect_clone, order, on_error="return")
    for worker, place in places.items():
        if isinstance(place, BaseException):
            raise InputError(f"worker {worker} is not fit: {place}")
    return places


def _push_inputs(root: Path, names: list[str], needs: dict[str, Needs]) -> None:
    """Push what is up to date here and workers will read. Raises InputError when the remote does not take it."""
    require_remote(root)
    ready = {stage for need in needs.values() for stage in need.stages} - set(names)
    log = root / log_file("push")
    if ready and run_guarded([dvc("push", *sorted(ready))], log, stage_environment(), root):
        raise InputError(f"could not push to the DVC remote; see {log}")
