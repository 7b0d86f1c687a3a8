"""A file is replaced as a whole or not at all, and no temporary file is left."""

import pytest

from anomaly_lib.base.files import replacing


class Interrupted(BaseException):
    """Stands for Ctrl-C, which is no Exception."""


def names(folder):
    return [file.name for file in folder.iterdir()]


def write_half(file, error):
    with replacing(file) as temporary:
        temporary.write_text("half")
        raise error


def test_the_file_appears_at_the_end_in_a_new_folder(tmp_path):
    file = tmp_path / "a" / "b" / "new.txt"
    with replacing(file) as temporary:
        temporary.write_text("new")
        assert not file.exists()
    assert file.read_text() == "new"
    assert names(file.parent) == ["new.txt"]


def test_an_older_file_stays_until_the_end(tmp_path):
    file = tmp_path / "kept.txt"
    file.write_text("old")
    with replacing(file) as temporary:
        temporary.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert names(tmp_path) == ["kept.txt"]


@pytest.mark.parametrize("error", [ValueError, OSError, Interrupted])
def test_a_failure_leaves_the_old_file_and_no_temporary_one(tmp_path, error):
    file = tmp_path / "kept.txt"
    file.write_text("old")
    with pytest.raises(error):
        write_half(file, error)
    assert file.read_text() == "old"
    assert names(tmp_path) == ["kept.txt"]


def test_an_error_of_the_system_names_the_file_and_not_the_temporary_one(tmp_path):
    with pytest.raises(OSError, match="No space") as caught:
        write_half(tmp_path / "new.txt", OSError(28, "No space left on device", "something else"))
    assert caught.value.filename == str(tmp_path / "new.txt")


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "new.txt"):
        pass
    assert names(tmp_path) == []


def test_the_temporary_file_is_hidden_and_lies_beside_with_the_same_suffix(tmp_path):
    file = tmp_path / "picture.png"
    with replacing(file) as temporary:
        temporary.touch()
    assert temporary.parent == tmp_path
    assert temporary.name.startswith(".")
    assert temporary.suffix == ".png"


def test_a_folder_that_is_a_file_is_an_os_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="File exists"), replacing(tmp_path / "file" / "new.txt"):
        pass
