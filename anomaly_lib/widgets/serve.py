"""``python -m anomaly_lib.widgets.serve``: the demos as pages without code, in Voila, opened at their start page.

Options are Voila's own: ``--port=8866``, ``--no-browser``.
"""

import sys
import webbrowser

from voila.app import Voila

from anomaly_lib.params import project_root

START = "voila/render/start.ipynb"
# Voila's page asks a foreign server for icons that are not used here; offline, or in a class, that must not even be
# tried. Widgets' scripts come as blobs, pictures as data.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: ws: wss:"


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
    settings = {"headers": {"Content-Security-Policy": POLICY}}
    Demos.launch_instance([str(project_root() / "notebooks/demos"), *arguments], tornado_settings=settings)


if __name__ == "__main__":
    main(sys.argv[1:])
