"""Kernels that start at once: forked from one process that has imported the heavy libraries. Linux only.

``fanout`` starts the server for the stages that it runs; ``nbrun`` starts this module, with ``-f CONNECTION_FILE`` as
for ipykernel, in place of a kernel. It asks the server at ``ANOMALY_WARM`` to fork one, stands for it until it ends,
and becomes a plain kernel where there is no server or it computes otherwise.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

from anomaly_lib.base import numerics

MODULES = (
    *("matplotlib.pyplot", "IPython.display", "ipykernel.kernelapp", "ipykernel.zmqshell"),
    *("torchmetrics", "kornia.filters", "timm", "scipy.ndimage", "einops"),
)
"""What the kernels of several stages import, beside the methods."""
FORKED = b"+"
WARM = "ANOMALY_WARM"
"""Environment variable with the socket of the process that kernels are forked from."""
ENVIRONMENT = {  # forced, not defaulted: a variable in the caller's shell must not change the bytes
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": "0",
    "TQDM_DISABLE": "1",
    "OMP_NUM_THREADS": "1",  # BLAS stays on one thread; torch takes its number from params
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}


@contextmanager
def warm_kernels(methods: list[str], mode: str) -> Iterator[None]:
    """Inside, processes that this one starts fork their kernels from a warm one, if this system can.

    ``mode`` is how their profile computes (``anomaly_lib.base.numerics``).
    """
    from anomaly_lib.pipeline.kernels import socket_folder

    if not hasattr(os, "pidfd_open"):
        yield
        return
    with socket_folder() as folder:
        address = str(folder / "warm")
        environment = os.environ | ENVIRONMENT | {numerics.MODE: mode}
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)  # before the server runs, so that nobody can come too early: those who do wait
            listener.listen(64)
            number = listener.fileno()
            numbers = [str(number), str(os.getpid())]
            command = [sys.executable, "-m", "anomaly_lib.pipeline.warm", "--serve", *numbers, *methods]
            server = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, pass_fds=[number])
        os.environ[WARM] = address
        try:
            yield
        finally:
            del os.environ[WARM]
            server.kill()
            server.wait()


def serve(number: int, parent: int, methods: list[str]) -> None:
    """Import, then fork a kernel for each process that connects to the socket, as long as the parent lives."""
    from anomaly_lib.registry import method_modules

    with socket.socket(fileno=number) as listener:
        for module in (*MODULES, *(method_modules(method)[1] for method in methods)):
            import_module(module)
        if len(list(Path("/proc/self/task").iterdir())) > 1:  # what a fork does not copy
            sys.exit("warm kernels: an import has started a thread; kernels start plainly")
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who watch kernels
        while os.getppid() == parent:
            if select.select([listener], [], [], 1.0)[0]:
                connection, _ = listener.accept()
                if os.fork() == 0:
                    listener.close()
                    watch(connection)
                connection.close()


def watch(connection: socket.socket) -> None:
    """Fork a kernel and end it when its stand-in does; tell the stand-in how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    wanted = json.loads(message)
    if _arithmetic(wanted["environment"]) != _arithmetic(dict(os.environ)):
        os._exit(0)  # the stand-in sees the end of the connection and becomes a plain kernel
    watcher, kernel = os.getpid(), os.fork()
    if kernel == 0:
        connection.close()
        become_kernel(wanted, streams, watcher)
    connection.send(FORKED)
    ended = os.pidfd_open(kernel)
    ready, _, _ = select.select([connection.fileno(), ended], [], [])
    if ended not in ready:
        os.kill(kernel, signal.SIGKILL)
    with suppress(OSError):
        connection.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(kernel, 0)[1]))
    os._exit(0)


def become_kernel(wanted: dict, streams: list[int], watcher: int) -> None:
    """Turn this forked process into the kernel that was asked for."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.chdir(wanted["folder"])
    sys.argv = ["ipykernel_launcher", *wanted["arguments"]]
    from ipykernel.kernelapp import IPKernelApp

    try:
        IPKernelApp.launch_instance(argv=wanted["arguments"], parent_handle=watcher)
    finally:
        os._exit(0)


def _arithmetic(environment: dict[str, str]) -> dict[str, str | None]:
    """Variables that libraries read when they are imported."""
    return {name: environment.get(name) for name in (numerics.MODE, *numerics.PORTABLE, *ENVIRONMENT)}


def stand_in(arguments: list[str]) -> int:
    """Have the server fork a kernel; return its exit code when it ends. It ends with the parent of this process."""
    parent = os.getppid()
    wanted = {"arguments": arguments, "environment": dict(os.environ), "folder": str(Path.cwd())}
    with socket.socket(socket.AF_UNIX) as connection:
        forked = False
        with suppress(OSError):
            connection.connect(os.environ[WARM])
            socket.send_fds(connection, [json.dumps(wanted).encode()], [0, 1, 2])
            forked = connection.recv(1) == FORKED
        if not forked:
            os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", *arguments])
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # comes before each shutdown, and is for cells that never end
        while not select.select([connection], [], [], 1)[0]:
            if os.getppid() != parent:
                return 1
        return int(connection.recv(16) or 1)


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    sys.exit(stand_in(sys.argv[1:]))
