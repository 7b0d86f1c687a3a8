"""Ingest: interrupted, out of room, in the way of another, and away from the store inside the repository."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from anomaly_lib.base.errors import InputError
from anomaly_tools.ingest import Request, ingest, write
from anomaly_tools.ingest.sources import fingerprint
from tests import layouts

INGEST = (
    "import sys; from pathlib import Path; from anomaly_tools.ingest import Request, ingest; "
    "ingest(Request('mvtec', (Path(sys.argv[1]),)), Path(sys.argv[2]), progress=False)"
)


@pytest.fixture
def source(tmp_path):
    layouts.mvtec(tmp_path / "source")
    return tmp_path / "source"


def test_killed_at_ten_moments_the_last_run_gives_the_tree_of_an_undisturbed_one(source, tmp_path):
    for number in range(400):  # large enough to be met in the middle; equal pixels do not matter here
        shutil.copy(source / "grid/train/good/000.png", source / f"grid/train/good/x{number:03d}.png")
    archive = layouts.archive(source, tmp_path / "mvtec.tar")
    ingest(Request("mvtec", (archive,)), tmp_path / "calm/set", progress=False)
    files = len(layouts.tree(tmp_path / "calm/set"))
    target = tmp_path / "killed/set"
    moments = sorted(np.random.default_rng(0).integers(1, 2 * files - 20, 10))  # unpacked and copied both count
    killed = [_kill_at(moment, archive, target) for moment in moments]
    assert sum(killed) >= 8
    assert not target.exists()
    ingest(Request("mvtec", (archive,)), target, progress=False)
    assert layouts.tree(target) == layouts.tree(tmp_path / "calm/set")
    assert list(target.parent.iterdir()) == [target]


def _kill_at(count, archive, target):
    """Whether the process was killed when the hidden folders held so many files."""
    process = subprocess.Popen([sys.executable, "-c", INGEST, archive, target], stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if sum(len(files) for folder in target.parent.glob(".ingest-*") for *_, files in os.walk(folder)) >= count:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    return process.wait() == -signal.SIGKILL


def test_a_file_that_lost_its_end_is_copied_again(source, tmp_path):
    record = Request("mvtec").settings() | {"sources": [fingerprint(source)]}
    with write.partial_folder(tmp_path / "set", record):
        pass
    torn = tmp_path / ".ingest-set/grid/train/good/000.png"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"half")
    (tmp_path / ".ingest-set/grid/train/good/.001.png").write_bytes(b"temporary")
    ingest(Request("mvtec", (source,)), tmp_path / "set", progress=False)
    ingest(Request("mvtec", (source,)), tmp_path / "other", progress=False)
    assert layouts.tree(tmp_path / "set") == layouts.tree(tmp_path / "other")


def test_a_full_disk_is_refused_before_anything_is_written(source, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(InputError, match=r"have to be written, and 1e-06 GB are free\); free some space"):
        ingest(Request("mvtec", (source,)), tmp_path / "set", progress=False)
    assert not (tmp_path / "set").exists()
    assert not list((tmp_path / ".ingest-set").glob("**/*.png"))


def test_a_disk_that_fills_up_keeps_what_is_there(source, tmp_path, monkeypatch):
    copied, copyfile = [], shutil.copyfile

    def copy(origin, place):
        copied.append(place)
        if len(copied) == 5:
            raise OSError(28, "No space left on device")
        return copyfile(origin, place)

    monkeypatch.setattr(shutil, "copyfile", copy)
    with pytest.raises(InputError, match=r"\.ingest-set/.*\.png: cannot be .* \(No space left on device\); free some"):
        ingest(Request("mvtec", (source,)), tmp_path / "set", progress=False)
    ingest(Request("mvtec", (source,)), tmp_path / "set", progress=False)
    assert len(copied) == len([path for path in layouts.tree(tmp_path / "set") if "/" in path]) + 1


def test_the_same_ingest_again_has_nothing_to_do_and_another_is_refused(source, tmp_path):
    first = ingest(Request("mvtec", (source,)), tmp_path / "set", progress=False)
    before = layouts.tree(tmp_path / "set")
    assert not first.was_there
    assert ingest(Request("mvtec", (source,)), tmp_path / "set", progress=False).was_there
    with pytest.raises(InputError, match="from another ingest"):
        ingest(Request("mvtec", (source,), ("grid",)), tmp_path / "set", progress=False)
    assert layouts.tree(tmp_path / "set") == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/diary.txt").write_text("x")
    with pytest.raises(InputError, match="no ingest made it"):
        ingest(Request("mvtec", (source,)), tmp_path / "mine", progress=False)
    assert (tmp_path / "mine/diary.txt").read_text() == "x"


def test_two_at_once_do_not_meet(source, tmp_path):
    with write.partial_folder(tmp_path / "set", {}), pytest.raises(InputError, match="another process"):
        ingest(Request("mvtec", (source,)), tmp_path / "set", progress=False)


@pytest.fixture
def project(root, tmp_path):
    """A project with this one's DVC settings, its data.dvc, and nothing in the store."""
    folder = tmp_path / "project"
    (folder / ".dvc").mkdir(parents=True)
    (folder / "docs").mkdir()
    (folder / "data/sample").mkdir(parents=True)
    (folder / "data/sample/a.txt").write_text("a")
    (folder / "data/textures").mkdir()
    shutil.copy(root / "docs/data.md", folder / "docs")
    shutil.copy(root / ".dvc/config", folder / ".dvc")
    local = f"[core]\n    no_scm = true\n    site_cache_dir = {tmp_path / 'site'}\n"
    (folder / ".dvc/config.local").write_text(local)
    (folder / "data.dvc").write_text(
        "outs:\n- md5: 0b4a6ddf1724a211e77e6081427e70ab.dir\n  path: data\n  remote: store\n"
    )
    return folder


def dvc(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_real_data_cannot_be_pushed_to_the_store(project, source):
    assert ingest(Request("mvtec", (source,)), project / "data/mvtec", progress=False).guarded
    assert dvc(project, "add", "-q", "data").returncode == 0
    assert "remote: mine" in (project / "data.dvc").read_text()
    pushed = dvc(project, "push")
    assert pushed.returncode != 0
    assert "docs/data.md/name-a-remote-of-your-own" in pushed.stderr
    assert not (project / "dvcstore").exists()


def test_the_sample_set_comes_first_or_data_dvc_would_lose_it(project, source):
    (project / "data/textures").rmdir()
    before = (project / "data.dvc").read_bytes()
    with pytest.raises(InputError, match=r"data/textures: no such folder; run 'make data' first"):
        ingest(Request("mvtec", (source,)), project / "data/mvtec", progress=False)
    assert (project / "data.dvc").read_bytes() == before
    assert not (project / "data/mvtec").exists()


@pytest.mark.parametrize(
    "place", ["data/own/my_part/train/good/0.jpg", "reports/own/gifs/dfr-my_part.gif", "found/0.png"]
)
def test_git_ignores_the_places_where_photos_of_ones_own_can_be_seen(root, place):
    assert subprocess.run(["git", "check-ignore", "--quiet", place], cwd=root, check=False).returncode == 0


def test_an_ingest_to_elsewhere_leaves_data_dvc_alone(project, source, tmp_path):
    before = (project / "data.dvc").read_bytes()
    assert not ingest(Request("mvtec", (source,)), tmp_path / "elsewhere", progress=False).guarded
    assert (project / "data.dvc").read_bytes() == before
