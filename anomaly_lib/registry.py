"""Which methods exist, in the order in which they are shown. Free of torch, so that reading params stays quick.

A method NAME with the class Name is a package ``anomaly_lib/methods/NAME`` with two modules: ``params``, which holds
``NameParams``, and ``method``, which holds ``Name``. One line here makes it known to params, pipeline, notebooks,
figures and commands. A variant of a method, ``variant_of``, shares its params, and is one module with its class.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import Any, Literal, NamedTuple

from anomaly_lib.base.errors import InputError, nearest


class Entry(NamedTuple):
    """One method."""

    title: str
    """Its name in tables, figures and messages."""
    class_name: str
    """Its class; that of its params has the same name and ``Params`` behind it."""
    role: Literal["method", "baseline"] = "method"
    """Whether it is one of the methods under study, or what they are compared with; baselines are shown last."""
    variant_of: str = ""
    """The method whose params it shares; its class is then in ``anomaly_lib/methods/NAME.py``."""


METHODS = {
    "draem": Entry("DRAEM", "Draem"),
    "dfr": Entry("DFR", "Dfr"),
    "dmad": Entry("DMAD", "Dmad"),
    "mean_image": Entry("Mean image", "MeanImage", role="baseline"),
    "padim": Entry("PaDiM", "Padim", role="baseline"),
    "patchcore": Entry("PatchCore", "Patchcore", role="baseline"),
}
"""By name: the key in params.yaml, in file names, and the package."""


def method_modules(name: str) -> tuple[str, str]:
    """The two modules that are imported by name. Raises InputError, with the nearest name, for an unknown method."""
    if name not in METHODS:
        raise InputError(f"unknown method '{name}': {nearest(name, METHODS)}")
    base = base_of(name)
    return f"anomaly_lib.methods.{base}.params", f"anomaly_lib.methods.{name}{'.method' if base == name else ''}"


def params_class(name: str) -> Any:
    """The pydantic model of a method's section in params.yaml. Raises InputError for an unknown name."""
    return getattr(import_module(method_modules(name)[0]), f"{METHODS[base_of(name)].class_name}Params")


def base_of(name: str) -> str:
    """The method that ``name`` is a variant of, or ``name`` itself."""
    return METHODS[name].variant_of or name if name in METHODS else name


def method_class(name: str) -> Any:
    """The class that implements ``anomaly_lib.methods.base.Method``. Raises InputError for an unknown name."""
    return getattr(import_module(method_modules(name)[1]), METHODS[name].class_name)


def shown_name(name: str) -> str:
    """A method's name for people, DRAEM for draem; any other text stays as it is."""
    return METHODS[name].title if name in METHODS else name


def is_baseline(name: str) -> bool:
    """Whether it is what methods are compared with; an unknown name counts as a method."""
    return name in METHODS and METHODS[name].role == "baseline"


def baselines_last(names: Iterable[str]) -> list[str]:
    """The names, methods before baselines, otherwise in their order."""
    return sorted(names, key=is_baseline)
