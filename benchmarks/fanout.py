"""dvc repro against fanout with worker processes, and once more with a worker killed: seconds, ratio, bytes.

    python benchmarks/fanout.py --methods dfr dmad --categories fabric nut --workers 2

Each run has a clone of its own (of what is committed) and a DVC cache of its own, and the smoke profile cut down to the
given methods and categories. They run one after the other.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from clones import PIPELINE, digests, environment, make_clone, run_dvc

import psutil
import yaml


def run_fanout(folder: Path, workers: int, kill: bool) -> None:
    """Run fanout in a clone; with ``kill`` SIGKILL the worker that trains first, two seconds into the training."""
    command = [sys.executable, "-m", "anomaly_lib", "fanout", "--profile", "smoke", "--workers", str(workers)]
    process = subprocess.Popen(command, cwd=folder, env=environment())
    while kill and process.poll() is None:
        kill = not kill_trainer(psutil.Process(process.pid))
        time.sleep(0.2)
    if process.wait():
        raise SystemExit(f"fanout failed in {folder}")


def kill_trainer(main: psutil.Process) -> bool:
    """Kill the Dask worker of a training that is two seconds old, if there is one."""
    for process in main.children(recursive=True):
        try:
            # nbrun's parents are DVC, the guard and the worker; its shell may have replaced itself by it
            young = time.time() - process.create_time() < 2
            if (
                young
                or not any("03_train" in word for word in process.cmdline())
                or "nbrun" not in process.cmdline()[2]
            ):
                continue
            guard = next(parent for parent in process.parents() if "anomaly_tools.cluster.guard" in parent.cmdline())
            print(f"killing worker {guard.ppid()}, which runs: {' '.join(process.cmdline()[2:5])}", flush=True)
            guard.parent().kill()
            return True
        except (psutil.Error, IndexError, StopIteration):
            continue  # ended meanwhile
    return False


def main() -> None:
    """Run the three and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--methods", nargs="+", default=["dfr", "dmad"])
    parser.add_argument("--categories", nargs="+", default=["fabric", "nut"])
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    runs = {
        "dvc repro": lambda folder: run_dvc(folder, "repro", "--quiet", str(PIPELINE)),
        f"fanout --workers {options.workers}": lambda folder: run_fanout(folder, options.workers, kill=False),
        "the same, one worker killed": lambda folder: run_fanout(folder, options.workers, kill=True),
    }
    table, serial = [], None
    with tempfile.TemporaryDirectory() as temporary:
        for number, (name, run) in enumerate(runs.items()):
            folder = Path(temporary) / str(number)
            make_clone(folder, options.methods, options.categories)
            started, load = time.perf_counter(), os.getloadavg()[0]
            run(folder)
            seconds, found = time.perf_counter() - started, digests(folder)
            locked = yaml.safe_load((folder / PIPELINE.with_name("dvc.lock")).read_text())
            serial = serial or (seconds, found, locked)
            equal = sum(serial[1].get(path) == digest for path, digest in found.items())
            same = "yes" if locked == serial[2] else "NO"
            table.append((name, seconds, serial[0] / seconds, f"{equal} of {len(serial[1])}", same, load))
            print(table[-1], flush=True)
    print("\n| run | seconds | times as fast | files equal | dvc.lock equal | load at the start |")
    print("|---|---|---|---|---|---|")
    for name, seconds, ratio, equal, same, load in table:
        print(f"| {name} | {seconds:.0f} | {ratio:.2f} | {equal} | {same} | {load:.1f} |")


if __name__ == "__main__":
    main()
