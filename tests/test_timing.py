"""The stopwatch, and the table of times."""

import json
import time

import pytest
import yaml

from anomaly_lib.base.errors import InputError
from anomaly_lib.data import load_category
from anomaly_lib.data.tensors import load_images
from anomaly_lib.methods.base import method_class
from anomaly_lib.methods.checkpoints import save_model
from anomaly_lib.params import load_params, parse_params
from anomaly_lib.pipeline.times import stopwatch
from anomaly_lib.registry import params_class
from anomaly_tools.times import write_times
from tests.conftest import TINY_SETTINGS


def test_the_stopwatch_writes_seconds_machine_and_facts(tmp_path):
    with stopwatch(tmp_path / "work/times.json", resumed=False):
        time.sleep(0.05)
    record = json.loads((tmp_path / "work/times.json").read_text())
    assert 0.05 <= record["seconds"] < 5
    assert record["resumed"] is False
    assert record["device"] in ("cpu", "cuda")
    assert record["name"]
    assert record["cores"] >= 1


def test_a_block_that_fails_has_no_time(tmp_path):
    with pytest.raises(RuntimeError), stopwatch(tmp_path / "times.json"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_profile_without_models_has_no_times(root, tmp_path):
    params = load_params().model_copy(update={"reports": str(tmp_path)})
    with pytest.raises(InputError, match="no trained model to time"):
        write_times(params, repeats=2, progress=False)


def test_times_are_of_uninterrupted_trainings_and_latency_is_measured(root, tmp_path, monkeypatch, tiny_data):
    settings = TINY_SETTINGS["dfr"] | {"steps": 5}
    detector = method_class("dfr")(params_class("dfr").model_validate(settings), 0)
    normals = load_images(load_category(tiny_data, "dots").train, 64)
    detector.fit(normals, progress=False)
    save_model(tmp_path / "reports/calibrate/dfr-dots-0", detector, "dots", {})
    (tmp_path / "data.dvc").touch()
    monkeypatch.chdir(tmp_path)
    raw = yaml.safe_load((root / "params.yaml").read_text())
    raw |= {"categories": ["dots"], "seeds": [0, 1], "methods": {"dfr": settings}, "data": str(tiny_data)}
    for seed, resumed in ((0, False), (1, True)):
        with stopwatch(tmp_path / f"build/work/reports/train/dfr-dots-{seed}/times.json", resumed=resumed):
            pass
    text = write_times(parse_params(raw), repeats=3, progress=False).read_text()
    (row,) = json.loads((tmp_path / "reports/times.json").read_text())["methods"]
    assert 0 < row["latency_median_ms"] <= row["latency_p95_ms"]
    assert len(row["training_seconds"]) == 1  # the resumed one is no whole training
    assert row["parameters"] == sum(part["parameters"] for part in detector.architecture())
    assert "| DFR |" in text
