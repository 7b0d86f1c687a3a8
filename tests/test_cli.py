"""The commands: help, exit codes, and one line for bad input."""

import ast
import contextlib
import errno
import importlib
import inspect
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from anomaly_lib.base import numerics
from anomaly_lib.base.errors import InputError
from anomaly_lib.cli import app, main
from anomaly_tools import check, commands, digest
from tests import layouts

commands.add_to(app)
COMMANDS, DATA_COMMANDS = (
    [info.name or info.callback.__name__.replace("_", "-") for info in group.registered_commands]
    for group in (app, commands.data)
)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["check"],
        ["fanout"],
        ["compare"],
        ["profile"],
        ["detect"],
        ["import-official"],
        ["export-official"],
        ["data"],
        ["data", "sample"],
        ["data", "describe"],
        ["data", "validate"],
        ["data", "ingest"],
    ],
)
def test_every_command_has_help(arguments, capsys):
    assert main([*arguments, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(" ".join(["Usage: python -m anomaly_lib", *arguments]))
    assert "─" not in shown  # plain text, no boxes


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "Missing command; see 'python -m anomaly_lib --help'"),
        (["chekc"], "No such command 'chekc'. Did you mean 'check'?"),
        (["data", "valdate"], "Did you mean 'validate'?; see 'python -m anomaly_lib data --help'"),
        (["check", "--jsn"], "No such option: --jsn"),
        (["compare", "--profil", "smoke"], "No such option: --profil (Possible options: --profile)"),
        (["fanout", "--jobs", "0"], "'--jobs': Input should be greater than or equal to 1"),
        (["fanout", "--jobs", "two"], "'--jobs': Input should be a valid integer"),
        (["data", "describe"], "Missing argument 'data'; see 'python -m anomaly_lib data describe --help'"),
        (["data", "ingest", "mvtek", "x"], "unknown layout 'mvtek': did you mean 'mvtec'?"),
        (["detect", "photo.png"], "Missing option '--output'"),
        (["import-official", "dfr", "--output", "out"], "Missing argument 'files'"),
        (["export-official", "model"], "Missing option '--output'"),
    ],
)
def test_wrong_usage_is_one_line_that_says_what_is_right(arguments, reason, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert reason in error
    assert len(error.splitlines()) == 1


def test_describe_prints_a_table(tiny_data, capsys):
    assert main(["data", "describe", str(tiny_data)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "area min / median / max" in lines[0]
    assert [line.split("|")[4].strip() for line in lines[2:]] == ["10", "4", "4"]


def test_validate_says_so_when_all_is_well_and_names_what_is_not(tiny_data, tmp_path, capsys):
    assert main(["data", "validate", str(tiny_data)]) == 0
    assert "no problem found" in capsys.readouterr().out
    folder = tmp_path / "data/cup/train/good"
    folder.mkdir(parents=True)
    (folder / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(["data", "validate", str(tmp_path / "data")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert any("torn.png" in line and line.startswith("error: ") for line in errors)


@pytest.mark.parametrize(
    "arguments",
    [
        ["data", "describe", "nowhere"],
        ["data", "validate", "nowhere"],
        ["data", "sample", "--output", "params.yaml"],
        ["fanout", "--profile", "nowhere"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1


def test_check_is_content_here(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    code = main(["check"])
    lines = capsys.readouterr().out.splitlines()
    assert [line[:7].strip() for line in lines[:-1]] == ["[OK]"] * (len(check.CHECKS) - 1)
    assert lines[-1].startswith("[OK]   processor: " if numerics.has_avx2() else "[NOTE] processor: ")
    assert code == 0


@pytest.mark.parametrize(
    ("differ", "mode", "line"),
    [
        ([], "portable", "[OK]   processor: {name} gives the committed bits ({count} digests)"),
        (["norm", "pooling"], "portable", "[NOTE] processor: {name} computes 2 of {count} digests otherwise than the"),
        ([], "native", "[NOTE] processor: {name}, native numerics: results are this processor's own"),
    ],
)
def test_a_processor_with_bits_of_its_own_is_a_note_and_no_failure(monkeypatch, capsys, differ, mode, line):
    monkeypatch.setattr(digest, "differing", lambda: differ)
    monkeypatch.setenv(numerics.MODE, mode)
    monkeypatch.setattr(check, "CHECKS", check.CHECKS[-1:])
    assert main(["check"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(line.format(name=numerics.processor(), count=len(digest.expected())))
    assert all(name in shown for name in differ)


def test_check_prints_failures_with_their_remedy_and_goes_on(monkeypatch, capsys):
    def broken():
        raise InputError("no texture; run 'dvc pull data'")

    monkeypatch.setattr(check, "CHECKS", (("data", broken), ("Python", lambda: "3.11")))
    assert main(["check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "[FAIL] data: no texture; run 'dvc pull data'",
        "[OK]   Python: 3.11",
    ]


@pytest.mark.parametrize("arguments", [["--help"], ["detect", "--help"], ["data", "describe", "DATA"]])
def test_help_and_looking_at_data_wait_neither_for_torch_nor_for_a_tool(tiny_data, arguments):
    allowed = "{'anomaly_tools.commands', 'anomaly_tools.describe'}"
    loaded = f"{{n for n in sys.modules if n[:14] == 'anomaly_tools.' or n in ('torch', 'dvc', 'rich')}} - {allowed}"
    program = f"import sys; from anomaly_lib.cli import main; main(sys.argv[1:]); print({loaded})"
    arguments = [str(tiny_data) if word == "DATA" else word for word in arguments]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "(No space left on device); free some space, or name a folder on another disk"),
        (errno.EROFS, "(Read-only file system); name a folder on a disk that can be written"),
    ],
)
@pytest.mark.parametrize("command", ["sample", "ingest"])
def test_a_full_or_read_only_disk_is_one_line_and_leaves_nothing_half(
    tmp_path, monkeypatch, capsys, command, code, remedy
):
    def refuse(*arguments, **options):
        raise OSError(code, os.strerror(code))

    layouts.mvtec(tmp_path / "source")
    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(shutil, "copyfile", refuse)
    command = {"sample": ["sample"], "ingest": ["ingest", "mvtec", str(tmp_path / "source")]}[command]
    assert main(["data", *command, "--output", str(tmp_path / "set")]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"error: {tmp_path}/")
    assert line.endswith(remedy)
    assert not list((tmp_path / "set").rglob("*"))  # an ingest goes on from its hidden folder beside it


def test_a_reader_that_has_enough_is_no_failure(tiny_data):
    command = [sys.executable, "-m", "anomaly_lib", "data", "describe", str(tiny_data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        shown = process.stderr.read().decode()
    assert "Traceback" not in shown
    assert "BrokenPipe" not in shown


def test_without_the_tools_the_librarys_own_commands_are_there():
    code = "import anomaly_lib.cli as c; c.find_spec = lambda name: None; print(c.main(['fanout']), c.main(['--help']))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stderr == "error: No such command 'fanout'; see 'python -m anomaly_lib --help'\n"
    assert shown.stdout.splitlines()[-1] == "2 0"
    assert " detect " in shown.stdout
    assert " data " not in shown.stdout


def test_every_command_finds_what_it_calls():
    """Each imports it when it is called, and a name that is gone would be seen only then."""
    imports = [node for node in ast.walk(ast.parse(inspect.getsource(commands))) if isinstance(node, ast.ImportFrom)]
    assert len(imports) > 12
    for node in imports:
        module = importlib.import_module(node.module)
        for name in node.names:
            assert hasattr(module, name.name) or importlib.import_module(f"{node.module}.{name.name}")


def in_ascii(*words):
    """Exit code, and the bytes that come where stdout is ASCII, as with PYTHONIOENCODING=ascii."""
    stream = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(stream, encoding="ascii", errors="strict", write_through=True)):
        return main([str(word) for word in words]), stream.getvalue()


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS), *(["data", name] for name in DATA_COMMANDS)])
def test_help_of_every_command_comes_in_ascii_too(words):
    code, shown = in_ascii(*words, "--help")
    assert code == 0
    assert shown.startswith(b"Usage: ")


def test_names_that_stdout_cannot_say_are_escaped_and_stop_nothing(tiny_data, model_folder, tmp_path, capsys):
    photos = shutil.copytree(tiny_data / "dots", tmp_path / "größe/電池")
    copy, found = tmp_path / "größe/kopie", tmp_path / "größe/gefunden"
    commands = (
        ["data", "describe", photos.parent],
        ["data", "validate", photos.parent],
        ["data", "ingest", "folder", "--good", photos / "train/good", "--name", "größe", "--output", tmp_path / "own"],
        ["data", "tile", photos, copy, "--size", 32],
        ["data", "move", photos, tmp_path / "größe/gedreht"],
        ["detect", photos / "test", "--model", model_folder, "--output", found, "--no-pictures"],
    )
    for words in commands:
        code, shown = in_ascii(*words)
        assert code == 0, words
        assert rb"gr\xf6\xdfe" in shown or rb"\u96fb" in shown, shown
    assert in_ascii("data", "describe", photos.parent, "--category", "größer") == (2, b"")
    assert "größer: no such category" in capsys.readouterr().err.splitlines()[-1]
