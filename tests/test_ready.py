"""A profile without its data fails at once, and says what to get and where to put it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from anomaly_lib.base.errors import InputError
from anomaly_lib.cli import main
from anomaly_lib.params import load_params, load_profile
from anomaly_tools.ingest.layouts import LAYOUTS
from anomaly_tools.ingest.ready import require_data
from anomaly_tools.profiles import make_profile

REAL = {"paper": "mvtec", "elpv": "elpv", "own": "folder"}


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """A root without any data."""
    monkeypatch.setattr("anomaly_tools.ingest.ready.project_root", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize("profile", REAL)
def test_a_profile_names_what_is_missing_and_the_command_that_brings_it(root, profile, elsewhere, capsys):
    file = f"{root}/profiles/{profile}/params.yaml"
    assert main(["data", "ready", file]) == 2
    line = capsys.readouterr().err
    params = load_params(file)
    assert line.startswith(f"error: {params.data}/{params.categories[0]}/train/good: no such folder; ")
    assert f"python -m anomaly_lib data ingest {REAL[profile]}" in line
    assert line.count("\n") == 1
    for category in params.categories:
        (elsewhere / params.data / category / "train/good").mkdir(parents=True)
    assert main(["data", "ready", file]) == 0


def test_the_commands_that_are_named_are_those_of_the_profiles_data(root):
    for profile, layout in REAL.items():
        assert load_params(f"{root}/profiles/{profile}/params.yaml").data == LAYOUTS[layout].output


@pytest.mark.parametrize("profile", ["smoke", "thorough"])
def test_sample_data_is_dvcs_to_bring(root, profile, elsewhere):
    require_data(load_params(f"{root}/profiles/{profile}/params.yaml"))


def test_missing_textures_are_named_too(root, elsewhere):
    params = load_params(f"{root}/params.yaml").model_copy(update={"textures": "data/dtd"})
    with pytest.raises(InputError, match=r"data/dtd: no such folder; download DTD.*data ingest dtd"):
        require_data(params)


@pytest.mark.parametrize("command", ["anomaly_lib fanout --profile paper", "dvc repro profiles/paper/dvc.yaml"])
def test_both_ways_to_run_a_pipeline_stop_at_once(root, command):
    if (root / "data/mvtec").exists():
        pytest.skip("MVTec AD is here")
    binaries = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": binaries + os.pathsep + os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "download MVTec AD from its page" in done.stderr
    assert not (root / "build/paper/notebooks").exists()


@pytest.fixture
def project(root, tmp_path, monkeypatch):
    """A project with the profiles and one folder of data."""
    for file in ("data.dvc", "params.yaml", "dvc.yaml", "profiles/paper/params.yaml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / file, tmp_path / file)
    for category in ("02", "01", "no"):
        (tmp_path / "data/btad" / category / "train/good").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_profile_for_other_data_has_the_settings_of_the_one_it_is_like(project):
    assert make_profile("btad", "paper", "data/btad") == Path("profiles/btad")
    made, like = load_profile("btad"), load_profile("paper")
    changed = {"profile", "params_file", "reports", "data", "published_as", "categories"}
    assert made.model_dump(exclude=changed) == like.model_dump(exclude=changed)
    assert made.methods == like.methods
    assert (made.profile, made.params_file, made.reports) == ("btad", "profiles/btad/params.yaml", "reports/btad")
    assert (made.data, made.published_as, made.categories) == ("data/btad", None, ["01", "02", "no"])
    assert (project / "profiles/btad/dvc.yaml").read_bytes() == (project / "dvc.yaml").read_bytes()
    text = (project / "profiles/btad/params.yaml").read_text()
    assert text.startswith("# Profile btad: the settings of profile paper, for data/btad.\n")
    assert "# no paper reports seeds" in text


@pytest.mark.parametrize(
    ("name", "like", "data", "message"),
    [
        ("x$(y)", None, "data/btad", r"--name: 'x\$\(y\)' has other characters"),
        ("paper", None, "data/btad", "profiles/paper: is there already"),
        ("new", "nowhere", "data/btad", r"profiles/nowhere/params\.yaml: no such params file"),
        ("new", None, "data/none", "data/none: holds no category; 'python -m anomaly_lib data ingest'"),
    ],
)
def test_what_cannot_become_a_profile_leaves_nothing(project, name, like, data, message):
    with pytest.raises(InputError, match=message):
        make_profile(name, like, data)
    assert [folder.name for folder in (project / "profiles").iterdir()] == ["paper"]
