"""A room's few names, each imported when first asked for (PEP 562); ``anomaly_tools.depends`` reads the tables too."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy_names(room: str, **names: str) -> tuple[Callable[[str], Any], list[str]]:
    """``__getattr__`` and ``__all__`` of the package ``room``, from its modules' names: ``tables="write_csv"``."""
    home = {name: f"{room}.{module}" for module, listed in names.items() for name in listed.split()}

    def get(name: str) -> Any:
        if name in home:
            return getattr(import_module(home[name]), name)
        raise AttributeError(f"module '{room}' has no attribute '{name}'")

    return get, list(home)
