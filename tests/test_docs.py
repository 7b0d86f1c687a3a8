"""CONTRIBUTING.md and its neighbours: links lead somewhere, names exist, and the walk goes where the code goes."""

import ast
import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
import yaml

from tests.conftest import ROOT

PAGES = ("CONTRIBUTING.md", "CHANGELOG.md", "tests/data/golden/README.md")
WALK = re.compile(r"<!-- walk: begin -->\n(.*?)<!-- walk: end -->", re.DOTALL)
HOP = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \| .+ \|$", re.MULTILINE)


def walks() -> list[list[tuple[str, str]]]:
    """The (file, what) of each hop, for each walk in CONTRIBUTING.md."""
    return [HOP.findall(text) for text in WALK.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))]


@cache
def defined(file: Path) -> set[str]:
    """Functions, classes and methods (as ``Class.method``) at the top of a module."""
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
            inner = node.body if isinstance(node, ast.ClassDef) else []
            names |= {f"{node.name}.{part.name}" for part in inner if isinstance(part, ast.FunctionDef)}
    return names


def called(notebook: Path) -> set[str]:
    """What the code cells call, as it is written there: ``evaluate``, ``detector.fit``."""
    cells = [cell.source for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "code"]
    calls = [node for cell in cells for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Call)]
    return {ast.unparse(call.func) for call in calls}


def keys(settings: dict, prefix: str = "") -> set[str]:
    """All keys of nested mappings, with dots."""
    inner = [keys(value, f"{prefix}{key}.") for key, value in settings.items() if isinstance(value, dict)]
    return {f"{prefix}{key}" for key in settings}.union(*inner)


def holds(file: Path, what: str) -> bool:
    """Whether the file defines the function, the notebook calls it, the YAML has the key, or the page the heading."""
    if file.suffix == ".py":
        return what in defined(file)
    if file.suffix == ".ipynb":
        return what in called(file)
    text = file.read_text(encoding="utf-8")
    return what in (keys(yaml.safe_load(text)) if file.suffix == ".yaml" else text.splitlines())


def elsewhere(what: str) -> str:
    """Where in the packages a function is now."""
    files = [file for file in sorted(ROOT.glob("anomaly_*/**/*.py")) if what in defined(file)]
    return ", ".join(str(file.relative_to(ROOT)) for file in files) or "nowhere"


def test_there_are_two_walks_and_every_row_of_theirs_is_read():
    number, pixel = walks()
    assert number[0][0] == "params.yaml"
    assert number[-1][0] == "reports/results.md"
    assert pixel[-1][1] == "detection_figure"
    text = "".join(WALK.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(number) + len(pixel) == len(rows) - 2 * 2, "a row is not of the form | `file` | `what` | words |"


@pytest.mark.parametrize(("name", "what"), [hop for walk in walks() for hop in walk])
def test_a_hop_of_the_walk_is_where_it_says(name, what):
    file = ROOT / name
    place = elsewhere(what) if name.endswith(".py") else "changed"
    assert file.is_file(), f"CONTRIBUTING.md, a walk: there is no {name}; `{what}` is: {place}"
    assert holds(file, what), f"CONTRIBUTING.md, a walk: {name} has no `{what}`, which is: {place}"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(root, page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (root / page).read_text(encoding="utf-8")):
        assert ((root / page).parent / target).exists(), target


def test_make_targets_and_named_tests_exist(root):
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    assert {"env", "test", "repro"} <= set(re.findall(r"make ([a-z-]+)", text)) <= targets
    tests = "".join(file.read_text(encoding="utf-8") for file in sorted((root / "tests").glob("test_*.py")))
    assert all(f"def {name}(" in tests for name in re.findall(r"\b(test_\w+)\b(?!\.py)", text))


def test_what_add_a_method_names_exists(root):
    text = (root / "docs/add_a_method.md").read_text(encoding="utf-8")
    text = text.partition("## The example")[0]  # which exists in the copy of test_add_a_method.py
    dotted = {name for name in re.findall(r"\banomaly_lib(?:\.\w+)+", text) if "NAME" not in name}
    assert len(dotted) > 3
    for name in dotted:
        module, _, attribute = name.rpartition(".")
        assert hasattr(import_module(module), attribute) or find_spec(name), name
    for name in re.findall(r"`((?:anomaly_lib|tests|profiles)/[^` ]+)`", text):
        assert "NAME" in name or list(root.glob(name)), name
    method = import_module("anomaly_lib.methods.base").Method
    assert all(f"`{name}`" in text for name in method.__abstractmethods__)
