"""Checkpoints of the papers' authors: read, turned into a method, and written. Nothing in a file is executed."""

from collections.abc import Callable
from pathlib import Path

from anomaly_lib.base.errors import InputError, nearest
from anomaly_lib.methods.base import Method
from anomaly_lib.methods.official.dfr import export_dfr, import_dfr, load_dfr
from anomaly_lib.methods.official.dmad import export_dmad, import_dmad, load_dmad
from anomaly_lib.methods.official.draem import export_draem, import_draem, load_draem

__all__ = ["exporter", "importer", "load_dfr", "load_dmad", "load_draem"]

_IMPORT = {"dfr": import_dfr, "dmad": import_dmad, "draem": import_draem}
_EXPORT = {"dfr": export_dfr, "dmad": export_dmad, "draem": export_draem}


def importer(method: str) -> Callable[[list[Path], str | None], Method]:
    """``import_NAME(files, weights)``, which makes a method of the authors' files. InputError for an unknown name."""
    return _found(method, _IMPORT)


def exporter(method: str) -> Callable[[Method, Path, str], tuple[Path, ...]]:
    """``export_NAME(method, folder, category)``, which writes the authors' files. InputError for an unknown name."""
    return _found(method, _EXPORT)


def _found(method: str, functions: dict[str, Callable]) -> Callable:
    if method not in functions:
        raise InputError(f"the authors' files of '{method}' are not known here: {nearest(method, functions)}")
    return functions[method]
