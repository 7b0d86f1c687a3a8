"""What each stage depends on in code and settings, derived from its notebook: no list that somebody has to keep.

    python -m anomaly_tools.depends params.yaml build/sample/depends

writes ``NOTEBOOK.json``, or ``NOTEBOOK-METHOD.json`` for one that trains a method or loads a trained one, with

* ``code``: a digest of every module of ours that the notebook imports, directly or not, and of the files that these
  modules read from beside themselves. Comments, docstrings and the defaults of params do not count;
* ``packages``: the locked versions of the packages that this code imports;
* ``settings``: the sections of params that the notebook reads, resolved, so that a changed default counts where it is
  used; and the defaults of sections that this code constructs itself.

A stage of dvc.yaml depends on its notebook's file, so it is re-run when, and only when, one of these changes.
"""

import ast
import hashlib
import json
import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from anomaly_lib.base.errors import exit_code
from anomaly_lib.base.files import replacing
from anomaly_lib.params import Params, load_params, project_root
from anomaly_lib.pipeline.nbstrip import read_notebook
from anomaly_lib.registry import METHODS, method_modules

PACKAGES = ("anomaly_lib", "anomaly_course")
RUNNER = "anomaly_lib.nbrun"
"""Executes every notebook."""
METHODS_IN = "anomaly_lib.registry"
"""A stage depends on the lines of its own methods in it, which count as settings."""


@dataclass(frozen=True)
class Source:
    """A module of ours, or a notebook's cells, parsed."""

    name: str
    file: Path
    tree: ast.Module

    @property
    def holds_defaults(self) -> bool:
        """Whether its classes are sections of params, whose defaults count through the resolved settings."""
        return self.name.rpartition(".")[2] == "params"

    @property
    def package(self) -> str:
        return self.name if self.file.name == "__init__.py" else self.name.rpartition(".")[0]


def dependencies(root: Path, params: Params) -> dict[str, dict[str, Any]]:
    """{``NOTEBOOK`` or ``NOTEBOOK-METHOD``: what it depends on} for all notebooks of the pipeline."""
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (root / "requirements.lock").read_text(encoding="utf-8"), re.M))
    found = {}
    for file in sorted((root / "notebooks").glob("[!.]*.ipynb")):
        cells = [cell.source for cell in read_notebook(file).cells if cell.cell_type == "code"]
        notebook = Source("", file, ast.parse("\n".join(cells)))
        # what trains a method, or loads a trained one
        per_method = re.search(r"^(method|model) = ", cells[0], re.M)
        for method in params.methods if per_method else [None]:
            modules = _closure(root, notebook, method)
            sources = [notebook, *modules]
            found[f"{file.stem}-{method}" if method else file.stem] = {
                "code": _code(root, modules),
                "packages": {name: locked[name] for name in sorted(_distributions(sources)) if name in locked},
                "settings": _settings(params, notebook, method) | _constructed(sources),
            }
    return found


def _closure(root: Path, notebook: Source, method: str | None) -> list[Source]:
    """The modules of ours that the notebook and its runner import, directly or not, by name.

    Of a room that names its modules by ``lazy_names``, those whose names are imported.
    """
    waiting = [RUNNER, *_imports(notebook), *(method_modules(method) if method else ())]
    found: dict[str, Source] = {}
    while waiting:
        name = waiting.pop()
        module = _module(root, name) or _module(root, _home(root, name))
        if module and module.name not in found:
            found[module.name] = module
            waiting += [*_imports(module), module.name.rpartition(".")[0]]
    return [found[name] for name in sorted(found)]


@cache
def _module(root: Path, name: str) -> Source | None:
    """The module of ours with this dotted name, or None."""
    if name.partition(".")[0] not in PACKAGES:
        return None
    path = root.joinpath(*name.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return Source(name, file, ast.parse(file.read_text(encoding="utf-8")))
    return None


def _home(root: Path, name: str) -> str:
    """The module that ``room.name`` comes from by the table of ``anomaly_lib.base.lazy.lazy_names``; else no text."""
    room, _, imported = name.rpartition(".")
    source = _module(root, room)
    homes = _homes(source) if source else {}
    return f"{room}.{homes[imported]}" if imported in homes else ""


@cache
def _homes(source: Source) -> dict[str, str]:
    """{name: module} of the room's table."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "lazy_names":
            return {name: key.arg for key in node.keywords for name in ast.literal_eval(key.value).split()}
    return {}


@cache
def _imports(source: Source) -> frozenset[str]:
    """Dotted names of all that it imports, wherever the statement stands.

    For ``from a import b`` both a and a.b, and for each ``b.c`` in its text also a.b.c.
    """
    names, bound = set(), {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = source.package.split(".")[: -(node.level - 1) or None] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            bound |= {alias.asname or alias.name: f"{base}.{alias.name}" for alias in node.names}
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in bound:
            names.add(f"{bound[node.value.id]}.{node.attr}")
    return frozenset(names)


def _distributions(sources: list[Source]) -> set[str]:
    names = {name.partition(".")[0] for source in sources for name in _imports(source)}
    return {
        re.sub(r"[-_.]+", "-", distribution).lower()
        for name in names - set(sys.stdlib_module_names) - set(PACKAGES)
        for distribution in _installed().get(name, ())
    }


_installed = cache(packages_distributions)


def _code(root: Path, modules: list[Source]) -> dict[str, str]:
    """{path from the root: digest} of the modules and of the files beside them that their text names."""
    found = {file.relative_to(root).as_posix(): digest for module in modules for file, digest in _digests(module)}
    return dict(sorted(found.items()))


@cache
def _digests(module: Source) -> list[tuple[Path, str]]:
    beside = {module.file.parent / text for text in _texts(module.tree)}
    data = [(file, _digest(file.read_bytes())) for file in beside if file.is_file() and file.suffix != ".py"]
    # parsed anew, as the transformer changes the tree, and what the module imports is read from it, too
    essence = _Essence(module).visit(ast.parse(module.file.read_text(encoding="utf-8")))
    return [(module.file, _digest(ast.dump(essence).encode())), *data]


def _texts(tree: ast.Module) -> set[str]:
    """String constants that may be names of files."""
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {text for text in constants if isinstance(text, str) and re.fullmatch(r"[\w.-]+\.\w+", text)}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


class _Essence(ast.NodeTransformer):
    """Leaves out what changes no result: docstrings, the defaults of params, and the list of methods."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        alone = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if alone else self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if self.source.holds_defaults:
            return ast.AnnAssign(node.target, node.annotation, None, node.simple)
        return self._unless_registry(node, [node.target])

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        return self._unless_registry(node, node.targets)

    def _unless_registry(self, node: ast.AST, targets: list[ast.expr]) -> ast.AST | None:
        listed = self.source.name == METHODS_IN and "METHODS" in map(ast.unparse, targets)
        return None if listed else self.generic_visit(node)


def _settings(params: Params, notebook: Source, method: str | None) -> dict[str, Any]:
    """The sections of ``params`` that the notebook reads, with the method's own section only where it has a method.

    All of them, if it hands ``params`` on as a whole. ``numerics`` is read by the runner.
    """
    parents = {child: node for node in ast.walk(notebook.tree) for child in ast.iter_child_nodes(node)}
    read = {"numerics"}
    for node in ast.walk(notebook.tree):
        loaded = isinstance(node, ast.Call) and ast.unparse(node.func) == "load_params"
        named = isinstance(node, ast.Name) and node.id == "params" and isinstance(node.ctx, ast.Load)
        if not (loaded or named):
            continue
        parent = parents[node]
        if isinstance(parent, ast.Attribute):
            read.add(parent.attr)
        elif not (isinstance(parent, ast.Assign) and ast.unparse(parent.targets[0]) == "params"):
            read |= set(Params.model_fields)
    return {name: _section(params, name, method) for name in sorted(read)}


def _section(params: Params, name: str, method: str | None) -> Any:
    if name != "methods":
        return params.model_dump(mode="json", include={name})[name]
    chosen = [method] if method else list(params.methods)
    return {key: {"registered": str(METHODS[key]), **params.methods[key].model_dump(mode="json")} for key in chosen}


def _constructed(sources: list[Source]) -> dict[str, Any]:
    """Defaults of the sections of params that the code makes itself, as in ``SynthesisRecipe(opacity=...)``."""
    made = {section for source in sources if not source.holds_defaults for section in _sections_made(source)}
    found: dict[str, Any] = {name: getattr(import_module(module), name) for module, name in sorted(made)}
    return {
        f"{name}()": section.model_construct().model_dump(mode="json", warnings=False)
        for name, section in found.items()
        if isinstance(section, type) and issubclass(section, BaseModel)
    }


@cache
def _sections_made(source: Source) -> set[tuple[str, str]]:
    """(module of params, name) of all that it imports from there and calls."""
    called = {ast.unparse(node.func) for node in ast.walk(source.tree) if isinstance(node, ast.Call)}
    return {
        (node.module, alias.name)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.endswith(".params")
        for alias in node.names
        if (alias.asname or alias.name) in called
    }


def write(params_file: str, target: Path) -> None:
    """Write one file per stage and method into ``target``. Raises InputError as ``load_params``."""
    for name, content in dependencies(project_root(), load_params(params_file)).items():
        with replacing(target / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(exit_code(lambda: write(sys.argv[1], Path(sys.argv[2]))))
