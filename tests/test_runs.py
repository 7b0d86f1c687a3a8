"""Keys and paths of a profile's runs, and the reader of their scores."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from anomaly_lib.base.errors import InputError
from anomaly_lib.params import load_params
from anomaly_lib.pipeline.runs import (
    STAGE_OF,
    Run,
    evaluated_runs,
    read_rows,
    read_scores,
    runs_of,
    trained_folder,
    work_folder,
)


@pytest.mark.parametrize("run", [Run("dfr", "nut", 0), Run("dmad", "metal-nut_2", 17)])
def test_a_key_gives_its_run_back(run):
    assert Run.parse(run.key) == run


def test_hyphens_belong_to_the_category():
    assert Run.parse("draem-hex-nut-3") == ("draem", "hex-nut", 3)


@pytest.mark.parametrize("key", ["", "dfr", "dfr-nut", "dfr-nut-x", "-nut-0", "dfr--0"])
def test_other_text_is_no_key(key):
    with pytest.raises(ValueError, match="is not METHOD-CATEGORY-SEED"):
        Run.parse(key)


def test_files_lie_in_the_folder_of_the_stage_that_writes_them(root):
    run = Run("dfr", "nut", 0)
    assert run.file(Path("reports"), "scores.csv") == Path("reports/evaluate/dfr-nut-0/scores.csv")
    assert run.file(Path("reports"), "demo.gif") == Path("reports/gif/dfr-nut-0/demo.gif")
    assert set(STAGE_OF.values()) <= yaml.safe_load((root / "dvc.yaml").read_text())["stages"].keys()


def test_the_runs_of_a_profile_are_those_of_its_pipeline(root):
    params = load_params()
    runs = runs_of(params)
    assert [run.key for run in runs[:2]] == ["draem-fabric-0", "draem-nut-0"]
    assert len(runs) == len(params.methods) * len(params.categories) * len(params.seeds)


def test_scores_are_read_with_labels_and_names_and_runs_are_found(tmp_path):
    run = Run("dfr", "nut", 0)
    assert run.metrics(tmp_path) == {}
    assert evaluated_runs(tmp_path) == []
    file = run.file(tmp_path, "scores.csv")
    file.parent.mkdir(parents=True)
    file.write_text("image,anomalous,score\ngood/0.png,0,1.5\ncut/0.png,1,2.25\n")
    found = read_scores(file)
    assert found.images == ("good/0.png", "cut/0.png")
    assert found.labels.tolist() == [False, True]
    assert found.scores.tolist() == [1.5, 2.25]
    assert found.scores.dtype == np.float64
    assert evaluated_runs(tmp_path) == [run]
    assert read_rows(tmp_path / "none.csv") == []
    file.write_text("image,score\ngood/0.png,1\n")
    with pytest.raises(KeyError, match="anomalous"):
        read_scores(file)


def test_what_no_run_repeats_lies_outside_of_the_outputs(root, monkeypatch):
    monkeypatch.chdir(root)
    expected = root / "build/work/reports/train/dfr-nut-0"
    assert work_folder(Path("reports/train/dfr-nut-0")) == work_folder(root / "reports/train/dfr-nut-0") == expected


def test_a_notebook_takes_the_model_made_by_hand_or_else_the_pipelines(tmp_path, monkeypatch):
    def leave_model(place):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "model.json").touch()
        return tmp_path / place

    (tmp_path / "data.dvc").touch()
    monkeypatch.chdir(tmp_path)
    mine = "build/play/train"
    with pytest.raises(InputError, match="no trained model, nor in reports; run notebook 03_train, or"):
        trained_folder(mine, "reports")
    first = leave_model("reports/train/dfr-fabric-0")
    assert trained_folder(mine, "reports") == first
    example = leave_model("reports/train/dfr-nut-0")
    assert trained_folder(mine, "reports") == example
    assert trained_folder("reports/train/other", "reports") == tmp_path / "reports/train/other", (
        "what is named is taken"
    )
    assert leave_model(mine) == trained_folder(mine, "reports")
    with pytest.raises(InputError, match="run notebook 03b_calibrate"):
        trained_folder("build/play/calibrate", "reports")
