"""The kernels that stages run in: always this environment's Python, whatever kernels the person's Jupyter knows.

``JUPYTER_PATH`` can hold another ``python3``. With ``ANOMALY_WARM`` set, to a socket of ``anomaly_lib.pipeline.warm``,
a kernel is forked from a process that has imported the heavy libraries already.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from anomaly_lib.pipeline.warm import WARM

LONGEST_SOCKET_FOLDER = 60
"""Characters; the name of a socket may have a hundred, and jupyter_client adds to the folder's."""


class Kernels(AsyncKernelManager):
    """Starts ``ipykernel`` of the running interpreter, or the stand-in of a forked one."""

    @property
    def kernel_spec(self) -> KernelSpec:
        module = "anomaly_lib.pipeline.warm" if os.environ.get(WARM) else "ipykernel_launcher"
        argv = [sys.executable, "-m", module, "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


@contextmanager
def socket_folder() -> Iterator[Path]:
    """A folder of this run's own for the kernel's sockets: side by side, notebooks can race for a port.

    Not below a TMPDIR that is too long for sockets.
    """
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/dev/shm")]
    fit = [place for place in places if len(str(place)) <= LONGEST_SOCKET_FOLDER and os.access(place, os.W_OK)]
    with tempfile.TemporaryDirectory(prefix="nbrun-", dir=(fit or places)[0]) as folder:
        yield Path(folder)
