"""The stopwatch."""

import json
import time

import pytest

from anomaly_lib.timing import stopwatch


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
