"""A room's few names, each imported when it is first asked for: torch is loaded by those who use it.

``anomaly_tools.depends`` reads the table too, so a stage depends on the modules of the names that it imports, not on
the whole room.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy_names(room: str, homes: dict[str, str]) -> tuple[Callable[[str], Any], list[str]]:
    """``__getattr__`` and the names of the package ``room``, from {its module: "names in it"} (PEP 562)."""
    home = {name: f"{room}.{module}" for module, names in homes.items() for name in names.split()}

    def get(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module '{room}' has no attribute '{name}'")
        return getattr(import_module(home[name]), name)

    return get, list(home)
