"""Files that only other programs read, held to what they repeat: versions, citation, hooks, workflow."""

import json
import re
import tomllib
from importlib.util import find_spec

import pytest
import yaml

import anomaly_lib


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def citation(root):
    return yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def zenodo(root):
    return json.loads((root / ".zenodo.json").read_text(encoding="utf-8"))


def test_there_is_one_version_and_the_changelog_has_it(root, project, citation, zenodo):
    version = project["project"]["version"]
    assert {anomaly_lib.__version__, citation["version"], zenodo["version"]} == {version}
    released = re.findall(r"^## \[(\S+)\]", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert released[:2] == ["Unreleased", version]


def test_zenodo_says_what_the_citation_says(project, citation, zenodo):
    assert (zenodo["title"], zenodo["upload_type"]) == (citation["title"], citation["type"])
    assert zenodo["license"] == citation["license"] == project["project"]["license"]
    assert [creator["name"] for creator in zenodo["creators"]] == [author["name"] for author in citation["authors"]]
    cited = [entry["value"] for reference in citation["references"] for entry in reference["identifiers"]]
    assert len(cited) == len(citation["references"])
    assert [related["identifier"] for related in zenodo["related_identifiers"]] == cited


def test_hooks_use_the_environment_and_fetch_nothing(root):
    repos = yaml.safe_load((root / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [repo["repo"] for repo in repos] == ["local"]
    hooks = {hook["id"]: hook for hook in repos[0]["hooks"]}
    assert all(hook["language"] == "system" for hook in hooks.values())
    entries = [hook["entry"].split() for hook in hooks.values()]
    assert {program for program, *_ in entries} == {".venv/bin/ruff", ".venv/bin/python"}
    assert all(find_spec(entry[2]) for entry in entries if entry[1] == "-m")


def test_every_folder_of_notebooks_is_stripped_by_one_hook(root):
    hooks = yaml.safe_load((root / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    strips = {hook["entry"].split()[-1]: hook["files"] for hook in hooks if "nbstrip" in hook["id"]}
    notebooks = [file.relative_to(root) for file in (root / "notebooks").glob("**/[!.]*.ipynb")]
    for file in (file for file in notebooks if not any(part.startswith(".") for part in file.parts)):
        assert [folder for folder, files in strips.items() if re.search(files, str(file))] == [str(file.parent)]


def test_the_workflow_calls_ci_and_uploads_nothing(root, project):
    workflow = yaml.safe_load((root / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    actions = {step["uses"].split("@")[0]: step.get("with", {}) for step in job["steps"] if "uses" in step}
    assert set(actions) == {"actions/checkout", "actions/setup-python"}
    assert project["project"]["requires-python"].startswith(f">={actions['actions/setup-python']['python-version']}")
    assert workflow["permissions"] == {"contents": "read"}


def test_the_library_is_marked_as_typed(root, project):
    assert (root / "anomaly_lib/py.typed").read_bytes() == b""
    assert "py.typed" in project["tool"]["setuptools"]["package-data"]["*"]
