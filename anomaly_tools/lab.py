"""JupyterLab on the whole repository, at the first lesson, so that every link of every notebook leads somewhere.

    python -m anomaly_tools.lab [OPTIONS OF JUPYTERLAB]

Kernels inherit the portable numerics that importing the library sets.
"""

import sys

from jupyterlab.labapp import main

import anomaly_lib  # noqa: F401
from anomaly_course.lessons.cells import LESSONS, ORDER
from anomaly_lib.params import project_root

START = f"{(LESSONS / ORDER[0]).as_posix()}.ipynb"


def options(arguments: list[str]) -> list[str]:
    """JupyterLab's command line: the repository's folder, the page that opens first, and what is asked for besides."""
    return [f"--ServerApp.root_dir={project_root()}", f"--LabApp.default_url=/lab/tree/{START}", *arguments]


if __name__ == "__main__":
    sys.exit(main(options(sys.argv[1:])))
