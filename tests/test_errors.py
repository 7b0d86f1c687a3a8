"""What the system refuses is one line with a remedy and exit code 2, and nothing is left behind."""

import errno
import os

import pytest
from PIL import Image

from anomaly_lib.base.errors import InputError, exit_code, refused
from anomaly_lib.cli import main

NUMBERS = {
    errno.ENOSPC: "No space left on device); free some space, or name a folder on another disk",
    errno.EROFS: "Read-only file system); name a folder on a disk that can be written",
    errno.EACCES: "Permission denied); give yourself permission, or name another folder",
}


def failing(number):
    raise OSError(number, os.strerror(number), "there/photo.png")


@pytest.mark.parametrize("number", NUMBERS)
def test_a_refusal_of_the_system_is_one_line_and_exit_code_2(number, capsys):
    assert exit_code(lambda: failing(number)) == 2
    assert capsys.readouterr().err == f"error: there/photo.png: cannot be read or written ({NUMBERS[number]}\n"


def test_other_errors_of_the_system_are_faults_of_the_program():
    with pytest.raises(FileNotFoundError):
        exit_code(lambda: failing(errno.ENOENT))


def test_a_refusal_names_the_file_that_it_is_given():
    error = refused(OSError(errno.ENOSPC, "full"), "target", "cannot be written")
    assert str(error) == "target: cannot be written (full); free some space, or name a folder on another disk"


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("command", [("align",), ("move",), ("tile", "--size", "32")], ids=lambda words: words[0])
def test_a_copy_that_the_disk_refuses_leaves_nothing(command, number, tiny_data, tmp_path, monkeypatch, capsys):
    saved = []

    def save(image, file, *rest, **options):
        saved.append(file)
        if len(saved) == 3:
            raise OSError(number, os.strerror(number))
        file.write_bytes(b"")

    monkeypatch.setattr(Image.Image, "save", save)
    target = tmp_path / "copies/dots"
    assert main(["data", *command, str(tiny_data / "dots"), str(target)]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"error: {target}: cannot be written ({NUMBERS[number]}"
    assert list(target.parent.iterdir()) == []


def test_a_region_that_the_disk_refuses_names_its_file(tmp_path):
    from anomaly_lib.data.regions import save_region

    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"region\.json: cannot be written \(.*; name another file or folder"):
        save_region(tmp_path / "file/region.json", [])
