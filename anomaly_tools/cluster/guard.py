"""Run commands that end when the process that asked for them does, whatever ends it.

    python -m anomaly_tools.cluster.guard LOG < PIPE        the commands as JSON in the first line of the pipe

A killed worker cannot clean up, and what it had started would live on and write beside the run that replaces it. So a
worker starts this guard, which starts the commands, and holds the other end of a pipe: the end of the pipe is the
end of the worker. The guard then kills what DVC runs and leaves DVC itself a moment to give back its locks.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

GRACE = 60
"""Seconds that DVC has to finish what it writes: a kill in the midst of dvc.lock would tear it."""
STOPPED = 130
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, linux/prctl.h


def run_guarded(commands: list[list[str]], log: Path, environment: dict[str, str], folder: Path) -> int:
    """Run the commands one after the other in ``folder`` until one fails; return the last exit code.

    Their output is written to ``log``. All they have started ends with this process.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "anomaly_tools.cluster.guard", str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, cwd=folder) as guard:
        guard.stdin.write(json.dumps(commands).encode() + b"\n")
        guard.stdin.flush()
        return guard.wait()  # closing the pipe first would end the commands


def main(log: Path) -> int:
    """Be the guard: read the commands from the pipe, run them, and watch the pipe."""
    signal.signal(
        signal.SIGINT, lambda *_: None
    )  # Ctrl-C reaches the commands themselves; not inherited, as SIG_IGN is
    if sys.platform == "linux":  # orphaned grandchildren become children of the guard
        ctypes.CDLL(None).prctl(SUBREAPER, 1)
    commands = json.loads(sys.stdin.readline())
    gone = threading.Event()
    threading.Thread(target=_wait_for_end, args=(gone,), daemon=True).start()
    with log.open("ab") as output:
        # The commands inherit the lock with the file: a second run waits until the last process of the first is gone.
        fcntl.flock(output, fcntl.LOCK_EX)
        output.truncate(0)
        code = 0
        for command in commands:
            code = code or _run(command, output, gone)
        _kill(psutil.Process().children(recursive=True))
    return code


def _wait_for_end(gone: threading.Event) -> None:
    sys.stdin.read()
    gone.set()


def _run(command: list[str], output, gone: threading.Event) -> int:
    """Run one command to its end, or to that of the process that asked for it."""
    if gone.is_set():
        return STOPPED
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    threading.Thread(target=_end_early, args=(child, gone), daemon=True).start()
    return child.wait() or (STOPPED if gone.is_set() else 0)


def _end_early(child: subprocess.Popen, gone: threading.Event) -> None:
    """Once the pipe is closed: kill what the command runs, and the command itself if it does not end by that."""
    gone.wait()
    deadline = time.monotonic() + GRACE
    while child.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            _kill(psutil.Process(child.pid).children(recursive=True))
        if time.monotonic() > deadline:
            child.kill()
        time.sleep(0.05)


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(code)  # the thread that reads the pipe still waits
