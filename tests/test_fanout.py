"""The parallel runner: order, failures, progress; over a small DVC pipeline of its own."""

import subprocess
import sys

import pytest
import yaml

from anomaly_lib.base.errors import InputError
from anomaly_tools.fanout import Board, drop_torn_lock, fanout, pipeline_file, stale_stages
from tests.helpers import STAGES, write_stages


def test_stages_come_after_what_they_need(repository):
    graph = stale_stages("dvc.yaml")
    first, *_, last = graph
    assert (first, last) == ("first", "last")
    assert sorted(graph["last"]) == ["left", "right"]


def test_all_is_run_then_nothing_then_only_what_depends_on_a_change(repository, capsys):
    assert fanout(jobs=2) == []
    assert (repository / "last.txt").read_text() == "1\ninput\n1\n"
    assert "[4/4 done]" in capsys.readouterr().err
    assert fanout(jobs=2) == []
    assert "everything is up to date" in capsys.readouterr().out
    write_stages(STAGES | {"right": STAGES["right"] | {"cmd": "echo new > right.txt"}})
    assert set(stale_stages("dvc.yaml")) == {"right", "last"}
    assert fanout(jobs=2) == []
    assert (repository / "last.txt").read_text() == "1\ninput\nnew\n"


def test_a_lock_that_a_kill_has_torn_is_removed_and_a_whole_one_kept(repository, capsys):
    lock = repository / ".dvc/tmp/rwlock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("")
    assert fanout(jobs=1) == []
    assert "torn by a kill, removed" in capsys.readouterr().err
    lock.write_text("{}")
    drop_torn_lock(lock)
    assert lock.read_text() == "{}"


def test_the_lock_file_equals_that_of_a_serial_run(repository):
    fanout(jobs=2)
    parallel = (repository / "dvc.lock").read_bytes()
    (repository / "dvc.lock").unlink()
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q", "-f"], check=True)
    assert yaml.safe_load(parallel) == yaml.safe_load((repository / "dvc.lock").read_bytes())


def test_after_a_failure_the_independent_rest_goes_on(repository, capsys):
    write_stages(STAGES | {"left": STAGES["left"] | {"cmd": "echo this went wrong; exit 3"}})
    assert fanout(jobs=2) == ["left", "last"]
    error = capsys.readouterr().err
    assert "failed   left" in error
    assert "this went wrong" in error
    assert "skipped  last" in error
    assert (repository / "right.txt").is_file()


def test_the_board_counts_done_running_and_left():
    board = Board(waiting={"c", "d"}, running={"b": 0.0}, done=["a"])
    assert board.line() == "[1/4 done] running: b | 2 left"


def test_an_unknown_profile_names_those_that_exist(root, monkeypatch):
    monkeypatch.chdir(root)
    with pytest.raises(InputError, match="there are btad, elpv, own, paper, smoke, thorough, visa"):
        pipeline_file("thorogh")
