"""``python -m anomaly_course.widgets.serve``: the demos as pages without code, in Voila, opened at their start page.

Options are Voila's own: ``--port=8866``, ``--no-browser``.
"""

import os
import sys
import webbrowser
from pathlib import Path

from voila.app import Voila

from anomaly_lib.params import project_root

START = "voila/render/start.ipynb"
TEMPLATES = Path(__file__).with_name("jupyter")
"""Where Voila finds the template 'demos'."""


class Demos(Voila):
    """Voila on the folder of demos; its own first page would be a list of files."""

    def launch_browser(self) -> None:
        webbrowser.open(self.start_page)

    def listen(self) -> None:
        print(f"demos: {self.start_page}", flush=True)
        super().listen()

    @property
    def start_page(self) -> str:
        """Where to begin."""
        return f"{self.connection_url.rstrip('/')}/{START}"


def main(arguments: list[str]) -> None:
    """Serve until interrupted. Raises InputError outside of the project."""
    os.environ["JUPYTER_PATH"] = os.pathsep.join([str(TEMPLATES), *filter(None, [os.environ.get("JUPYTER_PATH")])])
    Demos.launch_instance([str(project_root() / "notebooks/demos"), "--template=demos", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
