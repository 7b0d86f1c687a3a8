"""What makes a stage stale is derived: each change re-runs exactly what it can change, and nothing else."""

import json
import shutil
import subprocess
import sys

import pytest

from anomaly_lib.params import load_params

METHODS = tuple(load_params().methods)
TRAINED = {"03b_calibrate-{}", "04_evaluate-{}", "05_demo_gif-{}"}
TRAINING = {"03_train-{}", "08_contamination-{}"}


def of(method, names=TRAINED | TRAINING):
    return {name.format(method) for name in names}


EVERYTHING = {"01_explore_data", "02_synthesize", "06_report"}.union(*map(of, METHODS))
PARAMS, RECIPE_USERS = "anomaly_lib/params.py", of("draem") | {"02_synthesize", "06_report"}


@pytest.fixture
def project(root, tmp_path):
    """A copy of what the derivation reads, with a function that derives."""
    for folder in ("anomaly_lib", "anomaly_course", "anomaly_tools", "notebooks"):
        shutil.copytree(root / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("requirements.lock", "params.yaml", "data.dvc"):
        shutil.copy(root / file, tmp_path)
    return tmp_path


def derived(project):
    command = [sys.executable, "-m", "anomaly_tools.depends", "params.yaml", "derived"]
    subprocess.run(command, cwd=project, check=True)
    return read(project / "derived")


def read(folder):
    """What was derived, by notebook and method; 07_detect and 09_your_variant are no stages."""
    return {file.stem: json.loads(file.read_text()) for file in folder.glob("0[!79]*")}


@pytest.fixture(scope="module")
def before(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("before")
    subprocess.run([sys.executable, "-m", "anomaly_tools.depends", "params.yaml", out], cwd=root, check=True)
    return read(out)


CHANGES = {
    "a default of the synthesis": (
        PARAMS,
        "rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 90.0",
        "rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 80.0",
        # selection makes its anomalies with a recipe, whatever the method
        RECIPE_USERS.union(*(of(method, {"03b_calibrate-{}"}) for method in METHODS)),
    ),
    "a default of selection": (
        PARAMS,
        "opacity=[0.1, 0.6]",
        "opacity=[0.2, 0.6]",
        {"06_report"}.union(*(of(method, {"03b_calibrate-{}"}) for method in METHODS)),
    ),
    "a default of a method": (
        "anomaly_lib/methods/dfr/params.py",
        "smoothing_sigma: Annotated[float, Field(ge=0)] = 4.0",
        "smoothing_sigma: Annotated[float, Field(ge=0)] = 3.0",
        of("dfr", TRAINING) | {"06_report"},
    ),
    "a default that params.yaml overrides": (
        PARAMS,
        "draws: Annotated[int, Field(ge=1)] = 400",
        "draws: Annotated[int, Field(ge=1)] = 300",
        set(),
    ),
    "a setting": (
        "params.yaml",
        "panel_size: 256",
        "panel_size: 257",
        {"06_report"}.union(*(of(method, {"05_demo_gif-{}"}) for method in METHODS)),
    ),
    "code deep in a method": (
        "anomaly_lib/methods/dmad/warp.py",
        "align_corners=True",
        "align_corners=False",
        of("dmad"),
    ),
    "code that all share": ("anomaly_lib/base/numerics.py", '"avx2"', '"default"', EVERYTHING),
    "a file that a module reads": ("anomaly_lib/reporting/published.json", "{", "{ ", {"06_report"}),
    "a comment and a docstring": ("anomaly_lib/methods/base.py", '"""', '"""# ', set()),
    "a figure": (
        "anomaly_lib/figures/demo.py",
        "GAP, BAND, TITLES = 6, 40, 24",
        "GAP, BAND, TITLES = 7, 40, 24",
        set().union(*(of(method, {"05_demo_gif-{}"}) for method in METHODS)),
    ),
    "a figure of a room that is imported as a whole": (
        "anomaly_lib/figures/images.py",
        "TITLE_WIDTH = 36",
        "TITLE_WIDTH = 35",
        {"01_explore_data"}.union(
            *(of(m, {"03b_calibrate-{}", "04_evaluate-{}", "08_contamination-{}"}) for m in METHODS)
        ),
    ),
    "an unrelated module": ("anomaly_lib/methods/official/dfr.py", "def load_dfr(", "x = 1\n\n\ndef load_dfr(", set()),
    "the line of another method": ("anomaly_lib/registry.py", "METHODS = {", 'METHODS = {\n    "toy": "toy",', set()),
    "a package's version": ("requirements.lock", "anywidget==", "anywidget==9", {"01_explore_data", "02_synthesize"}),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_makes_exactly_those_stages_stale_that_it_can_change(project, before, kind):
    file, old, new, stale = CHANGES[kind]
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new, 1))
    after = derived(project)
    assert set(before) == set(after) == EVERYTHING
    assert {name for name in after if after[name] != before[name]} == stale


def test_every_stage_depends_on_what_is_derived_for_its_notebook(root, before):
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        stages = [stage for stage in repo.stage.collect("dvc.yaml") if "nbrun" in str(stage.cmd)]
    assert len(stages) > 50
    for stage in stages:
        paths = [dependency.def_path for dependency in stage.deps]
        (notebook,) = [path for path in paths if path.endswith(".ipynb")]
        (file,) = [path for path in paths if path.startswith("build/sample/depends/")]
        name = file.rpartition("/")[2].removesuffix(".json")
        assert name in before
        assert name.partition("-")[0] == notebook.rpartition("/")[2].removesuffix(".ipynb")
        assert f"/{notebook.rpartition('/')[2]}'" in stage.cmd
        if "-" in name:
            assert stage.name.partition("@")[2].startswith(name.partition("-")[2])


def test_no_module_that_a_stage_imports_reads_params_behind_its_back(root, before):
    """The settings that a stage depends on are those that its notebook reads."""
    modules = {file for content in before.values() for file in content["code"] if file.endswith(".py")}
    reads = {file for file in modules if "load_params(" in (root / file).read_text()}
    assert reads == {"anomaly_lib/params.py", "anomaly_lib/nbrun.py"}
