"""Stages on worker processes and in other clones: the bytes of a serial run, also when a worker is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import yaml

from anomaly_lib.base.errors import InputError
from anomaly_lib.cli import main
from anomaly_tools.cluster.guard import run_guarded
from anomaly_tools.cluster.identity import Identity, difference
from anomaly_tools.fanout import fanout
from tests.helpers import STAGES, write_stages

# Waits to be killed the first time; says where it runs.
DEVICE = 'echo "$CUDA_VISIBLE_DEVICES" >> build/{name}-device; '
SLOW = "test -e build/go || {{ echo $$ > build/pid; sleep 100; }}; "
SERVER = """
import sys
from distributed import LocalCluster
how = {"processes": False, "protocol": "tcp://", "host": "127.0.0.1", "dashboard_address": None}
with LocalCluster(n_workers=1, threads_per_worker=1, **how) as cluster:
    print(cluster.scheduler_address, flush=True)
    sys.stdin.read()
"""


def commit(folder):
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run([*git, "commit", "-q", "-m", "pipeline"], cwd=folder, check=True)


def serial_copy(folder, stages):
    """The same pipeline, brought up to date by dvc repro."""
    copy = folder.with_name("serial")
    shutil.copytree(folder, copy)
    (copy / "build").mkdir(exist_ok=True)
    (copy / "build/go").touch()
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=copy, check=True)
    return [(copy / f"{name}.txt").read_bytes() for name in stages], yaml.safe_load((copy / "dvc.lock").read_text())


def results(folder, stages):
    return [(folder / f"{name}.txt").read_bytes() for name in stages], yaml.safe_load((folder / "dvc.lock").read_text())


def wait_for(condition, seconds=600):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def kill_worker_of_stage(killed):
    """Kill the Dask worker that runs the stage in build/pid: its shell's parents are DVC, the guard and the worker."""
    pid = Path("build/pid")
    wait_for(lambda: pid.is_file() and pid.read_text().strip())
    stage = psutil.Process(int(pid.read_text()))
    Path("build/go").touch()
    worker = stage.parent().parent().parent()
    killed += [worker, stage]
    worker.kill()


def test_a_killed_worker_s_stage_runs_again_and_all_bytes_are_those_of_the_serial_run(repository, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,8")
    (repository / "build").mkdir()
    commands = {"left": DEVICE.format(name="left") + SLOW.format(), "right": DEVICE.format(name="right")}
    stages = {name: stage | {"cmd": commands.get(name, "") + stage["cmd"]} for name, stage in STAGES.items()}
    write_stages(stages)
    expected = serial_copy(repository, STAGES)
    killed = []
    killer = threading.Thread(target=kill_worker_of_stage, args=(killed,))
    killer.start()
    assert fanout(workers=2) == []
    killer.join()
    assert results(repository, STAGES) == expected
    assert not [process for process in killed if process.is_running()]
    assert "again    left on worker" in capsys.readouterr().err
    locked = json.loads((repository / ".dvc/tmp/rwlock").read_text())
    assert not any(locked.values()), "claims of the killed run are left"
    # a GPU each for the two that ran side by side
    first_left, right = (Path(f"build/{name}-device").read_text().split()[0] for name in ("left", "right"))
    assert {first_left, right} == {"7", "8"}


@pytest.mark.parametrize(("command", "alone"), [(["dvc", "repro", "-q"], False), (["anomaly_lib", "fanout"], True)])
def test_after_kill_9_the_same_command_gives_the_bytes_of_an_undisturbed_run(repository, root, command, alone):
    """benchmarks/kill.py does so with real trainings, at random moments."""
    (repository / "build").mkdir()
    write_stages(
        STAGES | {"left": STAGES["left"] | {"cmd": "echo half > left.txt; " + SLOW.format() + STAGES["left"]["cmd"]}}
    )
    expected = serial_copy(repository, STAGES)
    pid, environment = repository / "build/pid", os.environ | {"PYTHONPATH": str(root)}
    main_process = psutil.Popen([sys.executable, "-m", *command], env=environment)
    wait_for(lambda: pid.is_file() and pid.read_text().strip())
    family = main_process.children(recursive=True)
    for process in [main_process, *([] if alone else family)]:
        process.kill()
    main_process.wait()
    (repository / "build/go").touch()
    subprocess.run([sys.executable, "-m", *command], env=environment, check=True)
    assert results(repository, STAGES) == expected
    wait_for(lambda: not any(process.is_running() for process in family))


def test_what_a_killed_process_has_started_ends_with_it(tmp_path):
    """Also what has left its process group, as a notebook's kernel does."""
    log = tmp_path / "log"
    command = ["sh", "-c", "setsid sleep 101 & echo $! $$; wait; echo survived"]
    code = "from pathlib import Path; import os; from anomaly_tools.cluster.guard import run_guarded; "
    code += f"run_guarded([{command!r}, ['echo', 'second']], Path({str(log)!r}), dict(os.environ), Path('.'))"
    caller = subprocess.Popen([sys.executable, "-c", code])
    wait_for(lambda: log.is_file() and len(log.read_text().split()) == 2)
    processes = [psutil.Process(int(pid)) for pid in log.read_text().split()]
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    wait_for(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes))
    assert "second" not in log.read_text()


def test_guarded_commands_stop_at_the_first_that_fails(tmp_path):
    commands = [["sh", "-c", "echo one"], ["sh", "-c", "exit 3"], ["sh", "-c", "echo three"]]
    assert run_guarded(commands, tmp_path / "log", dict(os.environ), tmp_path) == 3
    assert (tmp_path / "log").read_text() == "one\n"


@pytest.fixture
def clone(repository):
    """Another clone of the repository, with a Dask worker in it: (its folder, the scheduler's address)."""
    where = "pwd >> ../where.txt; "
    stages = {name: STAGES[name] | {"cmd": where + STAGES[name]["cmd"]} for name in ("first", "left")}
    report = {"cmd": where + "cp left.txt report.txt", "deps": ["left.txt"], "outs": [{"report.txt": {"cache": False}}]}
    write_stages(stages | {"report": report})
    (repository / ".gitignore").write_text("/build\n/first.txt\n/left.txt\n")
    commit(repository)
    folder = repository.with_name("clone")
    subprocess.run(["git", "clone", "-q", str(repository), str(folder)], check=True)
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        yield folder, server.stdout.readline().strip()
        server.stdin.close()


def configure(folder, *arguments):
    subprocess.run([sys.executable, "-m", "dvc", *arguments, "-q"], cwd=folder, check=True)


@pytest.mark.parametrize("shared", ["cache", "remote"])
def test_another_clone_runs_the_stages_and_hands_the_results_over(repository, clone, shared):
    folder, address = clone
    outside = str(repository.with_name("shared"))
    for place in (repository, folder):
        settings = {"cache": ["cache", "dir", "--local", outside], "remote": ["remote", "add", "--local", "-d", "r"]}
        configure(place, *settings[shared], *([outside] if shared == "remote" else []))
    expected = serial_copy(repository, ["first", "left", "report"])
    if shared == "cache":  # the copy has filled it
        shutil.rmtree(outside)
    where = repository.with_name("where.txt")
    where.unlink()
    assert fanout(scheduler=address) == []
    assert results(repository, ["first", "left", "report"]) == expected
    # the report's output is in git alone, so it ran at home; nothing else did
    assert where.read_text().split() == [str(folder), str(folder), str(repository)]


def test_a_clone_with_other_code_is_refused_in_one_line(clone, capsys):
    folder, address = clone
    (folder / "input.txt").write_text("changed\n")
    assert main(["fanout", "--scheduler", address]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert f"{folder}: uncommitted changes differ: input.txt" in lines[0]


def test_other_commits_and_packages_are_named():
    here = Identity("a" * 40, {}, {"Python": "3.11.2", "torch": "2.15.0"}, "one")
    assert difference(here, replace(here, processor="another")) == ""
    assert difference(here, replace(here, commit="b" * 40)) == "commit bbbbbbbbbb instead of aaaaaaaaaa"
    other = replace(here, packages={"Python": "3.11.2", "torch": "2.14.0"})
    assert difference(here, other, code=False) == "other packages: torch 2.14.0, here 2.15.0"


def test_a_scheduler_that_does_not_answer_is_one_line(repository, monkeypatch):
    monkeypatch.setattr("anomaly_tools.cluster.pool.CONNECT_SECONDS", 1)
    with pytest.raises(InputError, match=r"tcp://127.0.0.1:9: no Dask scheduler answers"):
        fanout(scheduler="tcp://127.0.0.1:9")


def test_ways_to_run_stages_exclude_each_other(capsys):
    assert main(["fanout", "--workers", "2", "--jobs", "2"]) == 2
    assert "choose one" in capsys.readouterr().err
