"""The parallel runner: order, failures, progress; over a small DVC pipeline of its own."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import yaml
from dvc.repo import Repo

from anomaly_lib.base.errors import InputError
from anomaly_lib.params import load_params
from anomaly_lib.pipeline.runs import Run
from anomaly_tools import check
from anomaly_tools.dvc_cache import CHECKED, LOCKS, cache_folder, claimants, damaged_objects, heal
from anomaly_tools.fanout import Board, _matrix_keys, chosen_runs, fanout, pipeline_file, results_of, stale_stages
from tests.helpers import STAGES, write_stages


def test_stages_come_after_what_they_need(repository):
    graph = stale_stages("dvc.yaml")
    first, *_, last = graph
    assert (first, last) == ("first", "last")
    assert sorted(graph["last"]) == ["left", "right"]


def test_stages_run_this_environments_python_whatever_the_path_says(repository, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    says = {"cmd": "command -v python > who.txt", "outs": ["who.txt"]}
    write_stages({"prepare": says, "last": {"cmd": "cp who.txt last.txt", "deps": ["who.txt"], "outs": ["last.txt"]}})
    assert fanout(jobs=1) == []
    assert (repository / "last.txt").read_text().strip() == str(Path(sys.executable).with_name("python"))


def test_only_the_stages_of_chosen_runs_are_run(root):
    params = load_params()
    (run,) = chosen_runs(params, "dfr", " nut ")
    assert run == Run("dfr", "nut", 0)
    assert len(chosen_runs(params, "dfr,dmad", None)) == 2 * len(params.categories)
    with pytest.raises(InputError, match=r"--methods: the profile has no 'drf': did you mean 'dfr'\?"):
        chosen_runs(params, "drf", None)
    with Repo(str(root)) as repo:
        names = {stage.addressing for stage in repo.stage.collect("dvc.yaml")}
    kept = {name for name in names if name.rpartition("@")[2] in _matrix_keys([run])}
    per_run = {f"{stage}@dfr-nut-0" for stage in ("train", "calibrate", "evaluate", "gif")}
    assert kept == per_run | {"explore@nut", "synthesize@nut"}


def test_the_table_of_chosen_runs_shows_a_number_or_a_dash(tmp_path):
    metrics = tmp_path / "evaluate/dfr-nut-0/metrics.json"
    metrics.parent.mkdir(parents=True)
    metrics.write_text('{"image_auroc": 0.97251, "pixel_auroc": null}')
    line = results_of([Run("dfr", "nut", 0)], tmp_path).splitlines()[-1]
    assert line.split() == ["dfr-nut-0", "0.973", "–", "–", str(tmp_path / "gif/dfr-nut-0/demo.gif")]


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
    lock = repository / LOCKS
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text('{"/a/first.txt": {"wri')
    heal(repository)
    assert not lock.exists()
    lock.write_text("")
    capsys.readouterr()
    assert fanout(jobs=1) == []
    assert ".dvc/tmp/rwlock: torn by a kill, removed" in capsys.readouterr().err
    lock.write_text("{}")
    heal(repository)
    assert lock.read_text() == "{}"


def damage(file):
    """Other content of the same size, with the time and the protection that it had."""
    before = file.stat()
    file.chmod(0o644)
    file.write_bytes(bytes(byte ^ 1 for byte in file.read_bytes()))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    file.chmod(before.st_mode)


def cached(repository, name):
    """The object of a stage's output in DVC's cache."""
    digest = yaml.safe_load((repository / "dvc.lock").read_text())["stages"][name]["outs"][0]["md5"]
    return repository / f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}"


def test_a_run_waits_until_the_dvc_of_a_killed_one_has_given_its_claims_back(repository):
    assert fanout(jobs=1) == []
    (repository / "input.txt").write_text("other\n")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        info = {"pid": other.pid, "cmd": "dvc repro"}
        (repository / LOCKS).write_text(json.dumps({"read": {}, "write": {str(repository / "first.txt"): info}}))
        assert claimants(repository / LOCKS) == {other.pid}
        threading.Timer(1, other.kill).start()
        threading.Timer(1.1, other.wait).start()  # a zombie has its number still
        assert fanout(jobs=1) == []
    assert claimants(repository / LOCKS) == set()


def test_a_damaged_object_in_the_cache_is_removed_with_its_copies_and_made_again(repository, capsys):
    write_stages(STAGES | {"folder": {"cmd": "mkdir out; echo 2 > out/a; echo 3 > out/b", "outs": ["out"]}})
    assert fanout(jobs=1) == []
    whole = {path: (repository / path).read_bytes() for path in ("first.txt", "last.txt", "out/a", "out/b", "dvc.lock")}
    listing = cached(repository, "folder")
    entries = json.loads(listing.read_text())
    inner = repository / f".dvc/cache/files/md5/{entries[0]['md5'][:2]}/{entries[0]['md5'][2:]}"
    damage(inner)
    damage(cached(repository, "last"))
    for path in ("last.txt", "out"):
        shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()
    subprocess.run([sys.executable, "-m", "dvc", "checkout", "-q"], check=True)
    assert (repository / "last.txt").read_bytes() != whole["last.txt"]  # DVC serves it
    assert (repository / "out/a").read_bytes() != whole["out/a"]
    assert stale_stages("dvc.yaml") == {}
    capsys.readouterr()
    assert fanout(jobs=1) == []
    shown = capsys.readouterr().err
    assert f"{cached(repository, 'last').relative_to(repository)}: damaged, removed with last.txt; DVC makes" in shown
    assert f"{inner.relative_to(repository)}: damaged, removed with out/a; DVC makes or pulls it again" in shown
    assert {path: (repository / path).read_bytes() for path in whole} == whole
    assert damaged_objects(cache_folder(repository)) == []


def test_a_folder_whose_name_the_locale_cannot_read_is_refused():
    with pytest.raises(InputError, match="this locale cannot read the folder's name; set LC_ALL"):
        cache_folder(Path("/tmp/\udcc3\udc9cbung"))  # "Übung" where LC_ALL=C and Python's UTF-8 mode is off


def test_a_user_without_a_name_is_named_by_number(repository, monkeypatch):
    monkeypatch.setenv("LOGNAME", "")
    for name in ("USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # raises KeyError, as in a container with a user of its own
    assert cache_folder(repository) == repository / ".dvc/cache/files/md5"
    assert os.environ["LOGNAME"] == str(os.getuid())


def test_a_damaged_list_of_a_folder_is_made_again(repository, capsys):
    write_stages({"folder": {"cmd": "mkdir out; echo 2 > out/a", "outs": ["out"]}})
    assert fanout(jobs=1) == []
    listing = cached(repository, "folder")
    whole = listing.read_bytes()
    damage(listing)
    assert fanout(jobs=1) == []
    assert ".dir: damaged, removed; DVC makes" in capsys.readouterr().err
    assert listing.read_bytes() == whole


def test_only_what_changed_since_the_last_check_is_read(repository, monkeypatch):
    assert fanout(jobs=1) == []
    heal(repository)
    later = time.time_ns() + 10**10
    os.utime(repository / CHECKED, ns=(later, later))
    damage(cached(repository, "first"))
    heal(repository)  # nothing seems to be new
    assert damaged_objects(cache_folder(repository)) == [cached(repository, "first")]


def test_damaged_data_are_named_and_stay(repository):
    subprocess.run([sys.executable, "-m", "dvc", "add", "-q", "input.txt"], check=True)
    digest = yaml.safe_load((repository / "input.txt.dvc").read_text())["outs"][0]["md5"]
    stored = repository / f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}"
    damage(stored)
    shutil.copyfile(stored, repository / "input.txt")
    for _ in range(2):
        with pytest.raises(InputError, match=r"input\.txt: damaged, and so is its copy .*; remove both, then run"):
            fanout(jobs=1)
    assert stored.is_file()


def test_check_names_a_torn_lock_and_damaged_objects(repository, monkeypatch, capsys):
    monkeypatch.setattr(check, "CHECKS", [row for row in check.CHECKS if row[0] == "DVC"])
    assert fanout(jobs=1) == []
    assert check.run() == 0
    damage(cached(repository, "first"))
    assert check.run() == 1
    assert "is damaged (1 in all); 'make repro' removes them" in capsys.readouterr().out
    (repository / LOCKS).write_text("")
    assert check.run() == 1
    assert "[FAIL] DVC: .dvc/tmp/rwlock is torn by a kill; remove it" in capsys.readouterr().out


@pytest.mark.parametrize("how", [{"jobs": 2}, {"workers": 2}], ids=["jobs", "workers"])
def test_nothing_listens_beyond_this_machine(repository, how):
    write_stages({"wait": {"cmd": "touch started; while ! test -e go; do sleep 0.1; done"}})
    listening = set()

    def look():
        while not Path("started").exists():
            time.sleep(0.05)
        try:
            me = psutil.Process()
            for process in [me, *me.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    sockets = process.net_connections(kind="inet")
                    listening.update(socket.laddr for socket in sockets if socket.status == psutil.CONN_LISTEN)
        finally:
            Path("go").touch()

    before = {s.laddr for s in psutil.Process().net_connections(kind="inet") if s.status == psutil.CONN_LISTEN}
    watcher = threading.Thread(target=look)
    watcher.start()
    assert fanout(**how) == []
    watcher.join()
    assert len(listening - before) >= 1
    assert {ip for ip, _ in listening - before} == {"127.0.0.1"}


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
    with pytest.raises(InputError, match="there are elpv, mvtec, own, paper, smoke, thorough"):
        pipeline_file("thorogh")
