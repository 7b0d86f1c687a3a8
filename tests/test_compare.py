"""The comparison of a run with what git holds: classes of numbers, what is missing, the likely cause, exit codes."""

import json
import shutil
import statistics
import subprocess

import pytest

from anomaly_lib.base.numerics import processor
from anomaly_lib.cli import main

HEADER = "method,category,seed,image_auroc,pixel_auroc,data_hash,params_hash,model_digest\n"
ROOT_RUNS = HEADER + "dfr,nut,0,0.9,0.8123456,aa,bb,cc\ndfr,wood,0,0.95,,aa,bb,dd\n"
# over its seeds image AUROC has a standard deviation of 0.02, so that two runs lie within 0.0566
THOROUGH = HEADER + "dfr,nut,0,0.90,0.8,aa,b2,c1\ndfr,nut,1,0.92,0.8,aa,b2,c2\ndfr,nut,2,0.94,0.8,aa,b2,c3\n"
TABLE = """# Results of the profile `sample`

* data hashes: nut `aa`
* made with python 3.11.7, torch 2.15.0, numerics portable; CPU threads per stage: 1
* DFR: params hash `bb`; Yang, Shi, Qi

| DFR | 0.925 |
"""


@pytest.fixture
def project(root, tmp_path, monkeypatch):
    """A project whose results of the root profile and of thorough are committed."""
    folder = tmp_path / "project"
    for name in ("params.yaml", "profiles/thorough/params.yaml", "profiles/smoke/params.yaml", "data.dvc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, folder / name)
    (folder / "reports/thorough").mkdir(parents=True)
    (folder / "reports/results.csv").write_text(ROOT_RUNS)
    (folder / "reports/results.md").write_text(TABLE)
    (folder / "reports/overview.png").write_bytes(b"\x89PNG")
    (folder / "reports/roc.csv").write_text("x,y\n0.0,0.25\n1.0,1.0\n")
    (folder / "reports/thorough/results.csv").write_text(THOROUGH)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "results"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    monkeypatch.chdir(folder)
    return folder


def edit(folder, old, new, name="results.csv"):
    """Replace a text in one of the results."""
    file = folder / "reports" / name
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_the_same_bytes_are_equal(project, capsys):
    assert main(["compare"]) == 0
    out = capsys.readouterr().out
    assert "4 of 4 files byte-equal" in out  # those of thorough are another profile's
    assert "3 numbers: 3 equal" in out
    assert "likely cause" not in out


def test_a_number_that_tables_round_away_is_equal(project, capsys):
    edit(project, "0.8123456", "0.8123999")
    assert main(["compare"]) == 0
    assert "2 equal, 1 equal after rounding" in capsys.readouterr().out


@pytest.mark.parametrize(("value", "word"), [("0.95", "within"), ("0.84", "beyond")])
def test_a_difference_is_held_against_the_spread_of_seeds(project, capsys, value, word):
    edit(project, "nut,0,0.9,", f"nut,0,{value},")
    assert main(["compare"]) == 1
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  image_auroc"))
    assert row.split() == ["image_auroc", "nut", "0", "0.9000", f"{float(value):.4f}", row.split()[5], "0.0200", word]


def test_a_profile_with_seeds_has_its_own_spread(project, capsys):
    edit(project, "nut,0,0.90,", "nut,0,0.93,", "thorough/results.csv")
    assert main(["compare", "--profile", "thorough", "--json"]) == 1
    numbers = json.loads(capsys.readouterr().out)["numbers"]
    changed = next(number for number in numbers if number["before"] != number["after"])
    assert changed["spread"] == pytest.approx(statistics.stdev([0.90, 0.92, 0.94]))
    assert changed["class"] == "within the spread of seeds"


def test_no_spread_is_invented(project, capsys):
    edit(project, "wood,0,0.95,", "wood,0,0.96,")  # thorough has no wood here
    assert main(["compare"]) == 1
    assert "1 no spread known" in capsys.readouterr().out


def test_what_one_side_lacks_is_named(project, capsys):
    edit(project, "dfr,wood,0,0.95,,aa,bb,dd\n", "")
    edit(project, "0.8123456", "nan")
    (project / "reports/overview.png").unlink()
    assert main(["compare"]) == 1
    named = "overview.png (only committed), row dfr wood 0 (only committed), pixel_auroc of dfr nut 0 (only committed)"
    assert f"on one side only: {named}" in capsys.readouterr().out


def test_a_run_that_was_not_made_is_no_zero(project, capsys):
    (project / "reports/results.csv").write_text(HEADER + "dfr,nut,0,,,,,\ndfr,wood,0,,,,,\n")
    assert main(["compare"]) == 1
    assert "row dfr nut 0 (only committed), row dfr wood 0 (only committed)" in capsys.readouterr().out


def test_other_files_tell_how_they_differ(project, capsys):
    (project / "reports/overview.png").write_bytes(b"\x89PNG, other pixels")
    edit(project, "0.25", "0.5", "roc.csv")
    edit(project, "| DFR | 0.925 |", "| DFR | not run |", "results.md")
    assert main(["compare"]) == 1
    out = capsys.readouterr().out
    assert "figure differs (look at both): overview.png" in out
    assert "roc.csv: 1 of 4 numbers differ, by at most 0.25" in out
    assert "results.md: 1 of 4 lines differ" in out


@pytest.mark.parametrize(
    ("old", "new", "name", "cause"),
    [
        ("torch 2.15.0", "torch 2.16.0", "results.md", "torch 2.15.0 -> 2.16.0"),
        ("per stage: 1", "per stage: 2", "results.md", "CPU threads per stage 1 -> 2"),
        ("numerics portable", "numerics native", "results.md", "numerics portable -> native"),
        ("aa,bb,cc", "a2,bb,cc", "results.csv", "other data of nut (data_hash)"),
        ("aa,bb,cc", "aa,b3,cc", "results.csv", "other settings of dfr (params_hash)"),
        ("x,y", "recall,precision", "roc.csv", "the report's own code"),
        ("aa,bb,cc", "aa,bb,c9", "results.csv", f"the processor (this one: {processor()}, numerics portable)"),
    ],
)
def test_the_likely_cause(project, capsys, old, new, name, cause):
    edit(project, old, new, name)
    main(["compare"])
    assert f"likely cause: {cause}" in capsys.readouterr().out


@pytest.mark.parametrize("inside", ["", "reports"])
def test_a_folder_is_another_clone_or_its_reports(project, capsys, tmp_path, inside):
    shutil.copytree(project / "reports", tmp_path / "other/reports")
    edit(tmp_path / "other", "nut,0,0.9,", "nut,0,0.91,")
    assert main(["compare", "--with", str(tmp_path / "other" / inside)]) == 1
    out = capsys.readouterr().out
    assert f"profile sample: {tmp_path}/other/reports against reports here" in out
    assert "3 of 4 files byte-equal" in out
    assert "0.9000  0.9100  +0.0100" in out


def test_a_profile_that_git_does_not_hold_is_no_error(project, capsys):
    assert main(["compare", "--profile", "smoke"]) == 0
    assert "git holds no results of this profile" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profile", "smok"], "profiles/smok/params.yaml: no such params file"),
        (["--with", "profiles"], "profiles: neither a clone nor a reports folder"),
        (["--with", "nowhere"], "nowhere: neither a clone nor a reports folder"),
        (["--profile", "smoke", "--with", "reports"], "results of profile smoke"),  # the sample's are
    ],
)
def test_bad_input_is_one_line(project, capsys, arguments, words):
    assert main(["compare", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_run_elsewhere_needs_one_here(project, capsys):
    shutil.copytree(project / "reports/thorough", project / "elsewhere")
    assert main(["compare", "--profile", "smoke", "--with", "elsewhere"]) == 2
    assert "reports/smoke: no results here to compare elsewhere with" in capsys.readouterr().err


def test_without_git_there_is_nothing_to_compare_with(project, capsys):
    shutil.rmtree(project / ".git")
    assert main(["compare"]) == 2
    assert "not a git checkout" in capsys.readouterr().err


def test_a_file_without_runs_is_refused(project, capsys):
    (project / "reports/results.csv").write_text("score\n1\n")
    assert main(["compare"]) == 2
    assert "the columns method, category, seed are needed" in capsys.readouterr().err
