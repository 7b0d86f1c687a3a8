"""Progress bars that reach the person, and never the bytes of a notebook.

In JupyterLab and in a terminal a bar is an ordinary tqdm bar. Under ``nbrun`` the notebook's output must not
depend on timing, so the bar is written to the file that ``ANOMALY_PROGRESS`` names, and nbrun shows it.
"""

import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from tqdm import tqdm as plain_tqdm  # type: ignore[import-untyped]
from tqdm.auto import tqdm as auto_tqdm  # type: ignore[import-untyped]

PROGRESS_FILE = "ANOMALY_PROGRESS"
Listener = Callable[[str, float, float | None], None]
"""Gets description, steps done and the total number of steps, None if unknown."""
_listener: ContextVar[Listener | None] = ContextVar("progress listener", default=None)


@contextmanager
def progress_told_to(listener: Listener) -> Iterator[None]:
    """Inside, every bar tells ``listener`` what it would show, about ten times per second, and shows nothing itself."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


class _Told(plain_tqdm):
    def display(self, *args, **options) -> None:
        listener = _listener.get()
        if listener is not None:
            listener(self.desc.removesuffix(": "), self.n, self.total)


def progress_bar(
    iterable: Iterable | None = None,
    *,
    description: str,
    total: int | None = None,
    initial: int = 0,
    show: bool = True,
    unit: str = "it",
    unit_scale: int | bool = False,
) -> auto_tqdm:
    """A tqdm bar; with ``show=False`` silent. Close it, or use it in a ``with`` statement or a loop.

    ``unit_scale`` is the number of units per step.
    """
    options = {"desc": description, "total": total, "initial": initial, "disable": not show}
    options |= {"unit": unit, "unit_scale": unit_scale}
    if show and _listener.get():
        return _Told(iterable, **options, file=io.StringIO())
    file = os.environ.get(PROGRESS_FILE)
    if file and show:
        with suppress(OSError):  # nobody there to read it: no reason to stop
            # line buffered and truncated: only the newest bar is of interest
            return plain_tqdm(iterable, **options, file=Path(file).open("w", buffering=1), ncols=100)
    return auto_tqdm(iterable, **options)
