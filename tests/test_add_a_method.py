"""docs/add_a_method.md, followed in a copy of the repository: its examples are there everywhere, under their names."""

import os
import re
import shutil
import subprocess
import sys

import pytest

COPIED = ("anomaly_lib", "anomaly_course", "anomaly_tools", "tests", "notebooks", "params.yaml", "data.dvc")
FILES = ("tests/added_method.py", "tests/test_methods.py", "tests/test_detect.py", "tests/test_official.py")
EXAMPLE = re.compile(r"^`([^`]+)`(?:, (?:in|under) `(\w+)`)?\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INSIDE = ("METHODS", "methods", "TINY_SETTINGS")
CHECKS = "pixel_mean or draem_l1 or added or read_and_write_their_authors_files"


@pytest.fixture
def copy(root, tmp_path):
    """The repository without data and results, with what the document says written into it."""
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_*"))
        else:
            shutil.copy(root / name, tmp_path / name)
    shutil.copy(root / "pyproject.toml", tmp_path)
    shutil.copy(root / "requirements.lock", tmp_path)
    (tmp_path / "data").symlink_to(root / "data")  # textures
    examples = EXAMPLE.findall((root / "docs/add_a_method.md").read_text(encoding="utf-8"))
    assert [inside for _, inside, _ in examples] == [*[""] * 3, *INSIDE, "", *INSIDE], "a method, and a variant"
    for name, inside, text in examples:
        file = tmp_path / name
        if inside:
            there = file.read_text(encoding="utf-8")
            opening = re.search(rf"^{inside}(?: = {{|:)\n", there, re.MULTILINE)
            file.write_text(there[: opening.end()] + text + there[opening.end() :], encoding="utf-8")
        else:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
    return tmp_path


def test_the_examples_of_the_document_are_methods_everywhere(copy):
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *FILES, "-k", CHECKS]
    done = subprocess.run(
        command, cwd=copy, env=os.environ | {"PYTHONPATH": str(copy)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    assert passed >= 40, done.stdout
