"""Which methods exist. Free of torch, so that reading params stays quick.

A method is a package under ``anomaly_lib/methods`` with two modules: ``params`` (its ``Params``) and
``method`` (its ``Method``). One line here makes it known to params, pipeline, notebooks and commands.
"""

from importlib import import_module

from anomaly_lib.base.errors import InputError, nearest

METHODS = {
    "draem": "anomaly_lib.methods.draem",
    "dfr": "anomaly_lib.methods.dfr",
    "dmad": "anomaly_lib.methods.dmad",
}


def params_class(name: str) -> type:
    """The pydantic model of a method's section in params.yaml. Raises InputError for an unknown name."""
    return import_module(f"{_package(name)}.params").Params


def method_class(name: str) -> type:
    """The class that implements ``anomaly_lib.methods.base.Method``. Raises InputError for an unknown name."""
    return import_module(f"{_package(name)}.method").Method


def shown_name(name: str) -> str:
    """A method's name as people write it, DRAEM for draem; any other text stays as it is."""
    return name.upper() if name in METHODS else name


def _package(name: str) -> str:
    if name not in METHODS:
        raise InputError(f"unknown method '{name}': {nearest(name, METHODS)}")
    return METHODS[name]
