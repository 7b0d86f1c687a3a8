"""Executed notebooks: the same bytes every time, one clear line when something is wrong."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from anomaly_lib.base import numerics
from anomaly_lib.base.progress import PROGRESS_FILE, progress_bar
from anomaly_lib.nbrun import _scrub, canonical_outputs, last_progress, main, typed_parameters
from anomaly_lib.pipeline.nbstrip import canonical_source, strip
from anomaly_lib.pipeline.nbstrip import main as strip_main
from anomaly_lib.pipeline.warm import WARM, warm_kernels

VOLATILE_CELL = """
import sys, time, warnings
print(object())
print(time.time(), file=open("/dev/null", "w"))
print("to stderr", file=sys.stderr)
warnings.warn("a warning names its temporary file")
number
"""

DEFAULTS = """
number = 1
text = "nut"
share = 0.5
shares = [0, 0.05]
chosen = None
params_file = "params.yaml"
"""


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder to run in, with a function that writes a notebook of given cells."""
    monkeypatch.chdir(tmp_path)

    def write(*sources, name="notebook.ipynb"):
        parameters = new_code_cell(DEFAULTS, metadata={"tags": ["parameters"]})
        cells = [parameters, *(new_code_cell(source) for source in sources)]
        nbformat.write(canonical_source(new_notebook(cells=cells)), tmp_path / name)
        return name

    # nbrun sets variables of its own process, which here is that of all tests
    with mock.patch.dict(os.environ):
        yield write


def test_two_runs_give_the_same_bytes_and_parameters_arrive(workplace, tmp_path):
    source = workplace(VOLATILE_CELL)
    assert main([source, "first.ipynb", "number=7"]) == 0
    assert main([source, "second.ipynb", "number=7"]) == 0
    first = (tmp_path / "first.ipynb").read_bytes()
    assert first == (tmp_path / "second.ipynb").read_bytes()
    assert b"0x0" in first
    assert str(tmp_path).encode() not in first
    result = nbformat.read(tmp_path / "first.ipynb", 4).cells[-1].outputs[-1]
    assert result.data["text/plain"] == "7"


@pytest.mark.parametrize(("chosen", "shell"), [("portable", "native"), ("native", "portable")])
def test_the_kernel_computes_as_the_params_file_says_whatever_the_shell_says(
    workplace, root, tmp_path, monkeypatch, chosen, shell
):
    text = (root / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "data.dvc").touch()  # makes this folder a project's root
    (tmp_path / "params.yaml").write_text(text.replace("numerics: portable", f"numerics: {chosen}"), encoding="utf-8")
    monkeypatch.setenv(numerics.MODE, shell)
    source = workplace("import anomaly_lib, os\nanomaly_lib.numerics.mode(), os.getenv('MKL_CBWR')")
    assert main([source, "out.ipynb", "params_file=params.yaml"]) == 0
    result = nbformat.read(tmp_path / "out.ipynb", 4).cells[-1].outputs[-1]
    set_to = "'COMPATIBLE'" if chosen == "portable" and numerics.has_avx2() else "None"
    assert result.data["text/plain"] == f"('{chosen}', {set_to})"


@pytest.mark.parametrize("category", ["01", "no", "1.0", "2024-01-05", "null", "[a]", "true", "naïve", "a: b"])
def test_a_text_stays_a_text(workplace, category):
    given = {"text": category, "number": "7", "share": "1", "shares": "[0, 1, 2]", "chosen": "3"}
    typed = typed_parameters(Path(workplace()), given)
    assert typed == {"text": category, "number": 7, "share": 1, "shares": [0, 1, 2], "chosen": 3}


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("nummer=1", "notebook.ipynb: has no parameter 'nummer': did you mean 'number'?"),
        ("number=one", "number=one: not int like the default, 1"),
        ("number=1.5", "number=1.5: not int like the default, 1"),
        ("number=true", "number=true: not int like the default, 1"),
        ("number=[", "number=[: not int like the default, 1"),
        ("shares=1", "shares=1: not list like the default, [0, 0.05]"),
    ],
)
def test_a_parameter_that_the_notebook_cannot_take_is_refused(workplace, tmp_path, capsys, pair, message):
    assert main([workplace(), "out.ipynb", pair]) == 2
    assert capsys.readouterr().err.splitlines() == [f"error: {message}"]
    assert not (tmp_path / "out.ipynb").exists()


def test_an_output_that_is_no_file_and_a_broken_notebook_are_refused(workplace, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    for output in (Path("/dev/null"), tmp_path, tmp_path / "pipe"):
        assert main([workplace(), str(output)]) == 2
        assert f"error: {output}: is there and no regular file" in capsys.readouterr().err
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    for content in (b"", b"{", b"[]", b"\xff\xfe", b'{"cells": 5, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}'):
        (tmp_path / "broken.ipynb").write_bytes(content)
        assert main(["broken.ipynb", "out.ipynb"]) == 2
        assert capsys.readouterr().err.startswith("error: broken.ipynb: not a notebook")
    assert not (tmp_path / "build").exists()


def test_the_kernel_is_of_this_environment_whatever_jupyter_knows_and_however_long_tmpdir_is(
    workplace, tmp_path, monkeypatch
):
    other = tmp_path / "share/kernels/python3"
    other.mkdir(parents=True)
    (other / "kernel.json").write_text('{"argv": ["false"], "display_name": "other", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    long = tmp_path / ("long" * 25)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert main([workplace("import sys; sys.prefix"), "out.ipynb"]) == 0
    assert nbformat.read(tmp_path / "out.ipynb", 4).cells[-1].outputs[-1].data["text/plain"] == "'<environment>'"


def test_a_kernel_may_take_ten_minutes_to_start(workplace, monkeypatch):
    given = {}
    monkeypatch.setattr("papermill.execute_notebook", lambda *_, **options: given.update(options) or 1 / 0)
    assert main([workplace(), "out.ipynb"]) == 1
    assert given["start_timeout"] == 600  # papermill's own: 60, too few on a loaded machine


@pytest.mark.parametrize("place", ["gone/file", "."])
def test_progress_that_cannot_be_written_stops_nothing(tmp_path, monkeypatch, place):
    monkeypatch.setenv(PROGRESS_FILE, str(tmp_path / place))
    assert list(progress_bar([1, 2], description="größe")) == [1, 2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_behind(workplace, tmp_path, root, number):
    source = workplace("import os\nopen('pid', 'w').write(str(os.getpid()))\nimport time; time.sleep(600)")
    environment = os.environ | {"PYTHONPATH": str(root), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-m", "anomaly_lib.nbrun", source, "out.ipynb"], env=environment)
    pid = tmp_path / "pid"
    wait_until(lambda: pid.is_file() and pid.read_text())
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    kernel = int(pid.read_text())
    wait_until(lambda: not psutil.pid_exists(kernel))
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {"notebook.ipynb", "pid", "build", "build/failed"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells that the parent is gone")
def test_when_dvc_alone_is_killed_its_notebook_ends_and_leaves_nothing(workplace, tmp_path, root):
    source = workplace("import os\nopen('pid', 'w').write(str(os.getpid()))\nimport time; time.sleep(600)")
    command = [sys.executable, "-m", "anomaly_lib.nbrun", source, "out.ipynb"]
    dvc = f"import subprocess; print(subprocess.Popen({command!r}).pid, flush=True); input()"  # as DVC starts a stage
    environment = os.environ | {"PYTHONPATH": str(root), "TMPDIR": str(tmp_path), "DVC_STAGE": "train@dfr-nut-0"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", dvc], env=environment, **pipes) as parent:
        runner, pid = int(parent.stdout.readline()), tmp_path / "pid"
        wait_until(lambda: pid.is_file() and pid.read_text())
        parent.kill()
    wait_until(lambda: not any(map(runs, (runner, int(pid.read_text())))))
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {"notebook.ipynb", "pid", "build", "build/failed"}


def runs(number):
    """Whether the process is there, and no zombie."""
    return psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE


def wait_until(condition):
    """Poll it for at most two minutes."""
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to pass")


def test_progress_bars_stay_out_of_the_notebook(workplace, tmp_path):
    loop = "for _ in progress_bar(range(3), description='bar'):\n    pass"
    bar = f"from anomaly_lib.base.progress import progress_bar\n{loop}"
    assert main([workplace(bar), "out.ipynb"]) == 0
    assert "bar:" not in (tmp_path / "out.ipynb").read_text()


def test_bad_input_is_one_line_and_exit_code_2(workplace, tmp_path, capsys):
    error = "raise InputError('photo.png: torn; copy it again')"
    source = workplace(f"from anomaly_lib.base.errors import InputError\n{error}")
    assert main([source, "out.ipynb"]) == 2
    assert capsys.readouterr().err.splitlines() == ["error: photo.png: torn; copy it again"]
    assert not (tmp_path / "out.ipynb").exists()
    assert main(["nowhere.ipynb", "out.ipynb"]) == 2
    assert main([source, "out.ipynb", "no-equals-sign"]) == 2


@pytest.mark.parametrize(
    "cell",
    [
        "raise OSError(28, 'No space left on device', 'a.npy')",
        "import pathlib; pathlib.Path('/dev/full').write_text('x')",
    ],
)
def test_a_full_disk_is_one_line_with_a_remedy(workplace, capsys, cell):
    assert main([workplace(cell), "out.ipynb"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    name = "a.npy" if "a.npy" in cell else "a file"
    expected = "cannot be read or written (No space left on device); free some space, or name a folder on another disk"
    assert line == f"error: {name}: {expected}"


def test_a_failing_cell_is_exit_code_1_and_the_notebook_is_kept_aside(workplace, tmp_path, capsys):
    assert main([workplace("1 / 0"), "out.ipynb"]) == 1
    error = capsys.readouterr().err
    assert "ZeroDivisionError" in error
    assert "see build/failed/out.ipynb" in error
    assert (tmp_path / "build/failed/out.ipynb").is_file()
    assert not (tmp_path / "out.ipynb").exists()


def test_widget_views_are_dropped_and_streams_are_ordered(tmp_path):
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "random"}, "text/plain": "VBox()"}
    outputs = [
        {"output_type": "display_data", "data": view, "metadata": {}},
        {"output_type": "stream", "name": "stderr", "text": "later"},
        {"output_type": "stream", "name": "stdout", "text": "first"},
    ]
    notebook = new_notebook(cells=[new_code_cell("", outputs=[nbformat.from_dict(output) for output in outputs])])
    cell = canonical_outputs(notebook, tmp_path).cells[0]
    assert [output.get("name", "data") for output in cell.outputs] == ["stdout", "stderr", "data"]
    assert list(cell.outputs[2].data) == ["text/plain"]


@pytest.mark.parametrize(("text", "newest"), [("", ""), ("a\rb 41%\r", "b 41%"), ("a\nb\r\n", "b")])
def test_the_newest_state_of_a_bar_is_shown(tmp_path, text, newest):
    (tmp_path / "bar").write_text(text)
    assert last_progress(tmp_path / "bar") == newest
    assert last_progress(tmp_path / "nowhere") == ""


def test_stripping_removes_all_that_execution_and_editing_leave(tmp_path):
    cell = new_code_cell("1", execution_count=3, metadata={"collapsed": True, "tags": ["parameters"]})
    cell["outputs"] = [nbformat.v4.new_output("stream", text="1")]
    plain = new_notebook(cells=[new_code_cell("1", metadata={"tags": ["parameters"]}), new_markdown_cell("text")])
    used = new_notebook(cells=[cell, new_markdown_cell("text")], metadata={"widgets": {}})
    for name, notebook in (("plain", plain), ("used", used)):
        (tmp_path / name).mkdir()
        nbformat.write(notebook, tmp_path / name / "a.ipynb")
        strip(tmp_path / name, tmp_path / f"{name}-stripped")
    assert (tmp_path / "used-stripped/a.ipynb").read_bytes() == (tmp_path / "plain-stripped/a.ipynb").read_bytes()
    assert canonical_source(used).cells[0].metadata == {"tags": ["parameters"]}


def test_stripping_refuses_what_is_no_notebook(tmp_path, capsys):
    assert strip_main([str(tmp_path), str(tmp_path / "out")]) == 2
    (tmp_path / "a.ipynb").write_text("{")
    assert strip_main([str(tmp_path), str(tmp_path / "out")]) == 2
    assert "a.ipynb: not a notebook" in capsys.readouterr().err


def test_stripping_passes_over_the_hidden_half_of_a_notebook_that_a_kill_left(tmp_path):
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "a.ipynb")
    (tmp_path / ".a.ipynb").write_text("{")
    strip(tmp_path, tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["a.ipynb"]


def test_an_embedded_picture_does_not_hold_a_run_up(root):
    """Without an anchor the pattern of paths was quadratic: a minute for such a picture."""
    page = f'<img src="data:image/png;base64,{"iVBORw0KGgo/" * 50_000}">'
    start = time.process_time()
    assert _scrub(page, root) == page
    assert time.process_time() - start < 2
    assert _scrub("at /tmp/ipykernel_12/345.py:1: UserWarning", root) == "at <cell>:1: UserWarning"


def test_addresses_are_dropped_but_not_pieces_of_pictures(root):
    assert _scrub("<object at 0x7f3a2b1c9d40>, 0xdeadbeef", root) == "<object at 0x0>, 0x0"
    picture = "data:image/png;base64,iVBORF90x0aB1c2d3e4f5+0xabcdef12/0x123456abJj"
    assert _scrub(picture, root) == picture


def servers() -> list[psutil.Process]:
    """The processes below this one that fork kernels."""
    return [process for process in psutil.Process().children(recursive=True) if "--serve" in process.cmdline()]


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="warm kernels need Linux")
class TestWarmKernels:
    def test_a_forked_kernel_gives_the_bytes_of_a_plain_one(self, workplace, tmp_path):
        cells = "import sys, torch\nprint('timm' in sys.modules)\ntorch.ones(3, 3) @ torch.ones(3)"
        source = workplace("import timm", VOLATILE_CELL, cells)
        assert main([source, "plain.ipynb", "number=7"]) == 0
        with warm_kernels([], "portable"):
            assert main([source, "warm.ipynb", "number=7"]) == 0
        assert (tmp_path / "plain.ipynb").read_bytes() == (tmp_path / "warm.ipynb").read_bytes()

    def test_it_is_really_forked_only_where_it_computes_alike_and_ends_with_the_server(self, workplace, tmp_path):
        source = workplace("import sys\nprint('timm' in sys.modules)")
        already, seen = servers(), []  # other tests may have one
        for mode in ("portable", "native"):  # the notebook is run in portable numerics
            with warm_kernels([], mode):
                assert main([source, f"{mode}.ipynb"]) == 0
            seen.append(nbformat.read(tmp_path / f"{mode}.ipynb", 4).cells[-1].outputs[0].text.strip())
        assert seen == ["True", "False"]
        assert WARM not in os.environ
        assert servers() == already

    def test_without_its_server_it_is_a_plain_kernel(self, workplace, tmp_path, monkeypatch):
        monkeypatch.setenv(WARM, str(tmp_path / "nobody"))
        assert main([workplace("1 + 1"), "out.ipynb"]) == 0

    def test_the_server_ends_with_a_killed_run(self, root):
        inside = "from anomaly_lib.pipeline.warm import warm_kernels\nwith warm_kernels([], 'portable'):\n    input()"
        environment = os.environ | {"PYTHONPATH": str(root)}
        run = psutil.Popen([sys.executable, "-c", inside], env=environment, stdin=subprocess.PIPE)
        wait_until(run.children)
        [server] = run.children()
        run.kill()
        run.communicate()
        wait_until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)

    def test_a_stopped_run_takes_its_forked_kernel_along(self, workplace, tmp_path, root):
        source = workplace("import os\nopen('pid', 'w').write(str(os.getpid()))\nimport time; time.sleep(600)")
        with warm_kernels([], "portable"):
            command = [sys.executable, "-m", "anomaly_lib.nbrun", source, "out.ipynb"]
            process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(root)})
            pid = tmp_path / "pid"
            wait_until(lambda: pid.is_file() and pid.read_text())
            process.kill()
            wait_until(lambda: not psutil.pid_exists(int(pid.read_text())))
