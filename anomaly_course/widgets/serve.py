"""``python -m anomaly_course.widgets.serve``: the demos as pages without code, in Voila, opened at their start page.

Options are Voila's own, as ``--port=8866`` and ``--no-browser``, and ``--pages=3``: how many may be open at once. Each
holds a Python process with up to 1 GB; without the option there are as many as the memory allows that is free at the
start. JupyterLab's rules hold: only this machine is answered, under its local names, and only with the token that is in
the address that is opened and printed. ``--token=...`` chooses it, ``--ServerApp.local_hostnames=NAME`` allows a name.
"""

import asyncio
import os
import sys
import time
import webbrowser
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import psutil
from jupyter_server import CallContext
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.serverapp import ServerApp
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from jupyter_server.utils import url_path_join
from nbclient.exceptions import DeadKernelError
from tornado.httputil import url_concat
from tornado.ioloop import IOLoop
from tornado.web import HTTPError, StaticFileHandler, authenticated
from traitlets import Integer, default
from traitlets.config import Config
from voila.app import Voila

from anomaly_lib.params import project_root

USAGE = __doc__
START = "voila/render/start.ipynb"
TEMPLATES = Path(__file__).with_name("jupyter")
"""Where Voila finds the template 'demos'."""
PAGE_BYTES = 10**9
"""Of one open page: 0.8 GB were measured, and a model that is fitted in it comes on top."""
SPARE_BYTES = 10**9
"""For the browser."""
PATIENCE = 8.0
"""Seconds for which a page waits for a place: a link leads to the next demo before the kernel of this one has ended."""


class PageKernels(AsyncMappingKernelManager):
    """The kernels of open pages: no more than memory allows, and none for a page that is left while it loads."""

    pages = Integer(
        min=1, config=True, help="How many demos may be open at once; without it as many as the free memory allows."
    )
    _starting = 0

    @default("pages")
    def _pages_from_memory(self) -> int:
        return max(1, (psutil.virtual_memory().available - SPARE_BYTES) // PAGE_BYTES)

    async def start_kernel(self, **kwargs) -> str:
        """Start a page's kernel. Raises HTTPError 503, which shows the page ``503.html``, when all places are taken."""
        until = time.monotonic() + PATIENCE
        while len(self) + self._starting >= self.pages:
            if time.monotonic() > until:
                raise HTTPError(503, "Demos that are open: %d", self.pages)
            await asyncio.sleep(0.1)
        self._starting += 1
        try:
            kernel_id = await super().start_kernel(**kwargs)
        finally:
            self._starting -= 1
        self._end_with_the_page(kernel_id)
        return kernel_id

    def _end_with_the_page(self, kernel_id: str) -> None:
        """Voila's script tells that a page is left, but only once all of its cells have run; before, this does."""
        connection = CallContext.get(CallContext.JUPYTER_HANDLER).request.connection

        def left() -> None:
            IOLoop.current().add_callback(self.shutdown_kernel, kernel_id)

        connection.set_close_callback(left)
        if connection.stream.closed():  # before there was a callback
            left()


class LivePage(JupyterHandler, StaticFileHandler):
    """Files of build/live, to those who have the token."""

    @authenticated
    async def get(self, *where: str, **how) -> None:
        await StaticFileHandler.get(self, *where, **how)


class Demos(Voila):
    """Voila on the folder of demos; its own first page would be a list of files."""

    description = USAGE
    classes: ClassVar = [*Voila.classes, PageKernels]
    aliases: ClassVar = Voila.aliases | {"pages": "PageKernels.pages"}

    def init_settings(self) -> dict:
        """Voila's, but hosts are checked as in JupyterLab; Voila answers to any name, so also to a stranger's page."""
        settings = super().init_settings()
        self.log.info("Demos that may be open at once: %d", self.kernel_manager.pages)
        # A page that is left while it loads takes the kernel from under Voila, which would show a traceback a cell.
        self.log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], DeadKernelError)))
        rules = ServerApp(ip=self.ip, config=self.config)
        names = [*rules.local_hostnames, "localhost"]  # an allowed name comes on top of the one that is opened
        return settings | {"allow_remote_access": rules.allow_remote_access, "local_hostnames": names}

    def init_handlers(self) -> list:
        """Voila's, and the live page."""
        live = {"path": str(project_root() / "build/live"), "default_filename": "index.html"}
        return [(url_path_join(self.server_url, "/live/(.*)"), LivePage, live), *super().init_handlers()]

    @property
    def display_url(self) -> str:
        """What Voila prints: where to begin, with the token."""
        root = urlsplit(super().display_url)
        return root._replace(path=root.path + START).geturl()

    def launch_browser(self) -> None:
        # By way of a file of one's own, as JupyterLab does: all users of a machine see its command lines.
        start = url_concat(self.connection_url + START, {"token": self.identity_provider.token})
        page = Path(self.connection_dir, "start.html")
        page.write_text(f'<meta http-equiv="refresh" content="0; url={start}">')
        webbrowser.open(page.as_uri())


def give_xsrf_cookie(handler: JupyterHandler, **_others) -> None:
    """Let a page shut down its kernel: Voila's script sends this cookie's value along, but nothing in Voila sets it."""
    _ = handler.xsrf_token  # reading it sets the cookie


def main(arguments: list[str]) -> None:
    """Serve until interrupted. Raises InputError outside of the project."""
    root = project_root()
    os.environ["JUPYTER_PATH"] = os.pathsep.join([str(TEMPLATES), *filter(None, [os.environ.get("JUPYTER_PATH")])])
    (root / "build").mkdir(exist_ok=True)
    config = Config(
        # Browsers from Ubuntu's store cannot read the system's temporary folder.
        Voila={"auto_token": True, "connection_dir_root": str(root / "build")},
        VoilaConfiguration={"multi_kernel_manager_class": PageKernels, "prelaunch_hook": give_xsrf_cookie},
        KernelManager={"shutdown_wait_time": 2},  # seconds; a demo has nothing to save
        # What a killed browser leaves behind: without a page for two minutes.
        MappingKernelManager={"cull_idle_timeout": 120, "cull_interval": 30},
    )
    Demos.launch_instance([str(root / "notebooks/demos"), "--template=demos", *arguments], config=config)


if __name__ == "__main__":
    main(sys.argv[1:])
