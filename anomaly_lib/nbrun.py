"""Run one notebook with papermill and leave byte-reproducible bytes behind.

    python -m anomaly_lib.nbrun notebooks/03_train.ipynb OUT.ipynb method=dfr category=nut seed=0

Exit code 0: done. 1: a cell failed; the notebook up to that cell is kept under build/failed. 2: bad input.
"""

import argparse
import ast
import ctypes
import os
import re
import signal
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from anomaly_lib.base import numerics
from anomaly_lib.base.errors import InputError, exit_code, nearest, refused, refused_elsewhere
from anomaly_lib.base.files import replacing
from anomaly_lib.base.progress import PROGRESS_FILE
from anomaly_lib.params import load_params
from anomaly_lib.pipeline.warm import ENVIRONMENT

VOLATILE = (
    # <object at 0x7f...>; not inside a word, as the base64 of an embedded picture has such pieces, too
    (re.compile(r"(?<![\w+/])0x[0-9a-f]{6,16}\b"), "0x0"),
    # warnings raised in a cell; begins at a word's start only, or the megabyte of an embedded picture takes minutes
    (re.compile(r"(?<!\S)\S*/ipykernel_\d+/\d+\.py"), "<cell>"),
)
FAILED = Path("build/failed")
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, linux/prctl.h
KERNEL_SECONDS = 600
"""How long a kernel may take to start; a loaded machine needs minutes."""


def run_notebook(source: Path, output: Path, parameters: dict[str, Any]) -> None:
    """Execute ``source`` with ``parameters`` in the working directory and write the result to ``output``.

    Its kernel computes as the params file says, if one is among the parameters, else in portable numerics. Raises
    InputError when the notebook or that file does not exist, a parameter is unknown or of another type than its
    default, ``output`` cannot be written, or the notebook stopped at an InputError or at what the disk
    refused; and papermill's PapermillExecutionError when a cell failed otherwise.
    """
    from papermill.exceptions import PapermillExecutionError

    parameters = typed_parameters(source, parameters)
    if output.exists() and not output.is_file():
        raise InputError(f"{output}: is there and no regular file; name another output")
    os.environ.update(ENVIRONMENT)
    numerics.choose(load_params(parameters["params_file"]).numerics if "params_file" in parameters else "portable")
    FAILED.mkdir(parents=True, exist_ok=True)
    draft = FAILED / output.name
    try:
        notebook = _execute(source, draft, parameters)
    except PapermillExecutionError as error:
        if error.ename == InputError.__name__:
            raise InputError(error.evalue) from None
        if problem := refused_elsewhere(error.evalue):
            raise problem from None
        raise
    except Stopped:
        draft.unlink(missing_ok=True)
        raise
    _write(canonical_outputs(notebook, Path.cwd()), output)
    draft.unlink()


def typed_parameters(source: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The parameters with the types of their defaults in the notebook's cell tagged ``parameters``.

    A text given for a text stays as it is: a category may be called ``01`` or ``no``. Raises InputError for a file
    that is no notebook, an unknown name, and a value of another type.
    """
    from anomaly_lib.pipeline.nbstrip import read_notebook

    cells = read_notebook(source).cells
    text = "\n".join(cell.source for cell in cells if "parameters" in cell.metadata.get("tags", []))
    assigned = [node for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    defaults = {ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in assigned}
    for name in given:
        if name not in defaults:
            raise InputError(f"{source}: has no parameter '{name}': {nearest(name, defaults)}")
    return {name: _typed(name, value, defaults[name]) for name, value in given.items()}


def _typed(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, str) or not isinstance(value, str):
        return value
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        read = value
    kinds = (int, float) if isinstance(default, float) else type(default)
    if default is not None and (not isinstance(read, kinds) or isinstance(read, bool) != isinstance(default, bool)):
        raise InputError(f"{name}={value}: not {type(default).__name__} like the default, {default}")
    return read


def canonical_outputs(notebook, root: Path):
    """Drop everything in an executed notebook that time, place or chance decides. Changes it in place."""
    parameters = notebook.metadata.pop("papermill", {}).get("parameters", {})
    notebook.metadata["papermill"] = {"parameters": dict(sorted(parameters.items()))}
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"
        if cell.cell_type == "code":
            cell["outputs"] = _canonical_cell_outputs(cell.outputs, root)
    return notebook


def _canonical_cell_outputs(outputs: list, root: Path) -> list:
    """Scrubbed outputs; streams first and by name, since stdout and stderr arrive in racing order."""
    for output in outputs:
        if output.output_type == "stream":
            output["text"] = _scrub(output.text, root)
        for kind in [kind for kind in output.get("data", {}) if "widget-view" in kind]:
            del output.data[kind]  # names a random model id; the static figure beside a widget stays
        for kind, content in output.get("data", {}).items():
            if kind.startswith("text/"):
                output.data[kind] = _scrub(content, root)
    streams = sorted((o for o in outputs if o.output_type == "stream"), key=lambda o: o.name)[::-1]
    return streams + [output for output in outputs if output.output_type != "stream"]


def _scrub(text: str, root: Path) -> str:
    for pattern, replacement in VOLATILE:
        text = pattern.sub(replacement, text)
    return text.replace(str(root), ".").replace(sys.prefix, "<environment>")


def _execute(source: Path, draft: Path, parameters: dict[str, Any]):
    """Run it in a thread, so that this one can show its progress and be stopped by a signal."""
    import papermill
    from traitlets.config import Config

    from anomaly_lib.pipeline.kernels import Kernels, socket_folder

    progress = draft.with_suffix(".progress")
    progress.write_text("")
    os.environ[PROGRESS_FILE] = str(progress.resolve())
    with socket_folder() as sockets, ThreadPoolExecutor(1) as pool:
        work = pool.submit(
            papermill.execute_notebook,
            str(source),
            str(draft),
            parameters,
            progress_bar=False,
            cwd=str(Path.cwd()),
            record_timing=False,
            coalesce_streams=True,
            kernel_name="python3",
            kernel_manager_class=Kernels,
            start_timeout=KERNEL_SECONDS,
            config=Config({"Kernels": {"transport": "ipc", "ip": f"{sockets}/kernel"}}),
        )
        try:
            _show_progress(progress, work)
            return work.result()
        finally:  # after a signal the kernel still runs, and the thread waits for it
            for process in psutil.Process().children(recursive=True) if not work.done() else ():
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            progress.unlink(missing_ok=True)


def _show_progress(file: Path, work: Future) -> None:
    """Until the work is done, show on stderr what the notebook's progress bars write to ``file``."""
    # a terminal gets every change, a log one line in half a minute
    pause, end = (0.3, "\r") if sys.stderr.isatty() else (30, "\n")
    shown = ""
    while not wait([work], pause).done:
        newest = last_progress(file)
        if newest and newest != shown:
            shown = newest
            print(newest.ljust(100), end=end, file=sys.stderr, flush=True)
    if shown and end == "\r":
        print(" " * 100, end=end, file=sys.stderr, flush=True)


def _write(notebook, output: Path) -> None:
    import nbformat

    with replacing(output) as temporary:
        nbformat.write(notebook, temporary)


def last_progress(file: Path) -> str:
    """The newest state of the bar in a progress file, or an empty string."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    states = [state.strip() for state in re.split(r"[\r\n]", text) if state.strip()]
    return states[-1] if states else ""


class Stopped(BaseException):
    """A signal asked this process to end."""


def _stop(number: int, frame: object) -> None:
    raise Stopped(number)


def _parameters(pairs: list[str]) -> dict[str, str]:
    """``["seed=0", "method=dfr"]`` -> ``{"seed": "0", "method": "dfr"}``."""
    parameters = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (equals and key.isidentifier()):
            raise InputError(f"'{pair}': a parameter is written key=value")
        parameters[key] = value
    return parameters


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m anomaly_lib.nbrun", description=__doc__.split("\n")[0])
    parser.add_argument("notebook", type=Path, metavar="NOTEBOOK")
    parser.add_argument("output", type=Path, metavar="OUT")
    parser.add_argument("parameters", nargs="*", metavar="key=value")
    options = parser.parse_args(arguments)
    return exit_code(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    started = time.perf_counter()
    try:
        run_notebook(options.notebook, options.output, _parameters(options.parameters))
    except (InputError, OSError) as error:
        raise (refused(error) if isinstance(error, OSError) else error) from None
    except Stopped as signal_number:
        print(f"{options.notebook}: stopped", file=sys.stderr)
        return 128 + signal_number.args[0]
    except Exception as error:
        print(error, file=sys.stderr)
        print(f"error: {options.notebook} failed; see {FAILED / options.output.name}", file=sys.stderr)
        return 1
    print(f"{options.output.name}: {time.perf_counter() - started:.1f} s")
    return 0


if __name__ == "__main__":
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), _stop)
    if sys.platform == "linux" and "DVC_STAGE" in os.environ:  # the next DVC would write the same files beside this one
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)
    sys.exit(main())
