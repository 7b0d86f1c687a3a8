"""Committed results are those of the committed code: in a fresh clone nothing is stale, and the report is as locked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CURRENT = ["dvc.yaml", "profiles/mvtec/dvc.yaml", "profiles/thorough/dvc.yaml", "profiles/elpv/dvc.yaml"]
"""Pipelines whose results README and documents show."""

ABSENT = ("deleted", "not in cache")
"""What DVC says of an output that neither the work tree nor its cache holds, as in a fresh clone."""


@pytest.fixture(scope="module")
def clone(root, tmp_path_factory):
    """What git holds, with what stages depend on derived anew; neither data nor DVC's cache."""
    clone = tmp_path_factory.mktemp("clone") / "suite"
    subprocess.run(["git", "clone", "--quiet", root, clone], check=True)
    return clone


def dvc(clone, *arguments):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=clone, env=os.environ | {"PATH": path}, capture_output=True, text=True)


def stale(clone, pipeline):
    """{name of the stage: what has changed}; a file that only DVC's cache holds says nothing, as a clone lacks it."""
    status = dvc(clone, "status", "--json", pipeline)
    assert status.returncode == 0, status.stderr
    found = {}
    for name, changes in json.loads(status.stdout).items():
        stage = name.rpartition(":")[2]
        for change in changes:
            if isinstance(change, str):  # "changed command"
                found[stage] = change
                continue
            for kind, files in change.items():
                if changed := {file: how for file, how in files.items() if how not in ABSENT}:
                    found[stage] = {kind: changed}
    return found


@pytest.mark.parametrize("pipeline", CURRENT)
def test_no_stage_is_stale(clone, pipeline):
    # the data is not there, so only what the stage writes is made
    nbstrip, depends = "anomaly_lib.pipeline.nbstrip", "anomaly_tools.depends"
    params = Path(pipeline).with_name("params.yaml")
    build = Path("build", params.parent.name or "sample")
    for part in (f"{nbstrip} notebooks {build}/notebooks", f"{depends} {params} {build}/depends"):
        subprocess.run([sys.executable, "-m", *part.split()], cwd=clone, check=True)
    found = stale(clone, pipeline)
    found.pop("prepare", None)  # depends on all code: its outputs count
    assert found == {}


def test_a_changed_default_is_seen(clone):
    file = clone / "anomaly_lib/methods/dfr/params.py"
    text = file.read_text()
    assert "smoothing_sigma: Annotated[float, Field(ge=0)] = 4.0" in text
    file.write_text(
        text.replace("smoothing_sigma: Annotated[float, Field(ge=0)] = 4.0", "smoothing_sigma: float = 3.0")
    )
    command = [sys.executable, "-m", "anomaly_tools.depends", "params.yaml", "build/sample/depends"]
    subprocess.run(command, cwd=clone, check=True)
    assert {"train@dfr-nut-0", "report"} <= set(stale(clone, "dvc.yaml"))
