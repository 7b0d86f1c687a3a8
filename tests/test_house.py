"""The house: packages and rooms, each importing only from those below it, and a library that stays small."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from anomaly_tools import PACKAGES

LIBRARY = PACKAGES[0]
LINES_OF_LIBRARY = 12_000
"""Never raise it; lower it when the library has become much smaller."""
LINES_OF_MODULE, LINES_OF_FUNCTION = 320, 50


def modules(root: Path, package: str) -> list[Path]:
    """The package's modules, relative to ``root``."""
    return [file.relative_to(root) for file in sorted((root / package).rglob("*.py"))]


def linted(folder: Path) -> subprocess.CompletedProcess:
    """import-linter on the packages of a folder, with the contracts of its pyproject.toml."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_imports_keep_the_contracts(root):
    done = linted(root)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("anomaly_lib/cli/__init__.py", "import anomaly_tools"),
        ("anomaly_course/__init__.py", "def late():\n    import anomaly_tools"),
        ("anomaly_lib/evaluation/__init__.py", "from ..figures import style"),
        ("anomaly_lib/unheard/__init__.py", ""),
    ],
)
def test_the_contracts_refuse_an_import_upward_and_a_room_without_a_place(root, tmp_path, file, line):
    (tmp_path / "pyproject.toml").write_text((root / "pyproject.toml").read_text(encoding="utf-8"))
    layers = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][1]["layers"]
    rooms = re.findall(r"\w+", " ".join(layers))
    for package in (*PACKAGES, *(f"{LIBRARY}/{name}" for name in rooms), f"{LIBRARY}/figures/style"):
        (tmp_path / package).mkdir(exist_ok=True)
        (tmp_path / package / "__init__.py").touch()
    assert linted(tmp_path).returncode == 0
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(line)
    assert linted(tmp_path).returncode == 1


def test_the_library_is_small(root):
    lines = sum(len((root / file).read_text(encoding="utf-8").splitlines()) for file in modules(root, LIBRARY))
    print(f"{LIBRARY}: {lines} lines")
    assert lines <= LINES_OF_LIBRARY


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_and_no_function_is_long(root, package):
    for file in modules(root, package):
        text = (root / file).read_text(encoding="utf-8")
        assert len(text.splitlines()) <= LINES_OF_MODULE, file
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno - node.lineno < LINES_OF_FUNCTION, f"{file}: {node.name}"
