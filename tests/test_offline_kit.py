"""The offline kit: what it takes from the lock, what it need not fetch again, what it refuses, and its bundle."""

import subprocess
from types import SimpleNamespace

import pytest

from anomaly_lib.base.errors import InputError
from anomaly_tools.offline_kit import SCRIPT, _has, lock_entries, main, make_kit

LOCK = """# made by uv
one-thing==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via two
other==2.0 ; sys_platform == 'win32' \\
    --hash=sha256:cc
third.part==3.1 ; python_version >= '3.11' \\
    --hash=sha256:dd
"""


@pytest.fixture
def suite(tmp_path):
    """A repository with a lock, everything committed."""
    root = tmp_path / "suite"
    root.mkdir()
    (root / "requirements.lock").write_text(LOCK)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "first"]):
        subprocess.run([*git, *command], cwd=root, check=True)
    return root


def wheels_of(kit):
    folder = kit / "wheels"
    folder.mkdir(parents=True)
    for name in ("One_Thing-1.0-py3-none-any.whl", "third.part-3.1.tar.gz"):
        (folder / name).write_bytes(b"")
    return folder


def test_the_lock_is_read_for_this_platform_with_its_hashes(suite):
    first, second = lock_entries(suite / "requirements.lock")
    assert first.startswith("one-thing==1.0")
    assert first.count("--hash") == 2
    assert "# via" not in first
    assert second.startswith("third.part==3.1")


def test_what_is_there_is_not_fetched_again(suite, tmp_path):
    wheels = wheels_of(tmp_path / "kit")
    assert all(_has(wheels, entry) for entry in lock_entries(suite / "requirements.lock"))
    assert not _has(wheels, "one-thing==1.1 \\\n --hash=sha256:aa")


def test_the_project_s_own_lock_can_be_read(root):
    entries = lock_entries(root / "requirements.lock")
    assert len(entries) > 200
    assert all("--hash=sha256:" in entry for entry in entries)


def test_a_full_disk_and_changes_that_would_be_lost_are_refused(suite, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=0))
    with pytest.raises(InputError, match=r"0\.0 GB free"):
        make_kit(suite, tmp_path / "kit")
    monkeypatch.undo()
    (suite / "requirements.lock").write_text(LOCK + "\n")
    with pytest.raises(InputError, match="commit or stash"):
        make_kit(suite, tmp_path / "kit")
    assert not (tmp_path / "kit").exists()


def test_the_kit_holds_a_repository_that_can_be_cloned_and_the_script(suite, tmp_path):
    kit = tmp_path / "kit"
    wheels_of(kit)
    make_kit(suite, kit)
    subprocess.run(["git", "clone", "--quiet", str(kit / "repository.bundle"), str(tmp_path / "clone")], check=True)
    assert (tmp_path / "clone/requirements.lock").read_text() == LOCK
    assert (kit / "install.sh").read_text() == SCRIPT.read_text()


@pytest.mark.parametrize("arguments", [[], ["."]])
def test_the_script_says_in_one_line_what_it_needs(arguments):
    done = subprocess.run(["bash", str(SCRIPT), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_the_kit_carries_the_live_page_where_there_is_one(suite, tmp_path, monkeypatch, capsys):
    kit = tmp_path / "kit"
    wheels_of(kit)
    (suite / "data.dvc").touch()
    monkeypatch.chdir(suite)
    assert main([str(kit)]) == 0
    assert "'make live' after 'make repro' makes one" in capsys.readouterr().out
    page = suite / "build/live/index.html"
    page.parent.mkdir(parents=True)
    page.write_text("live")
    assert main([str(kit)]) == 0
    assert (kit / "live/index.html").read_text() == "live"
    assert f"{kit}/live/index.html: the live page, which needs no installation" in capsys.readouterr().out
