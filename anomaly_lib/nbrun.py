"""Run one notebook with papermill and leave byte-reproducible bytes behind.

    python -m anomaly_lib.nbrun notebooks/03_train.ipynb OUT.ipynb method=dfr category=nut seed=0

Exit code 0: done. 1: a cell failed; the notebook up to that cell is kept under build/failed. 2: bad input.
"""

import argparse
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from anomaly_lib.base import numerics
from anomaly_lib.base.errors import InputError
from anomaly_lib.base.files import replacing
from anomaly_lib.base.progress import PROGRESS_FILE
from anomaly_lib.params import load_params

# Forced, not defaulted: a variable in the caller's shell must not change the bytes.
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": "0",
    "TQDM_DISABLE": "1",
    "OMP_NUM_THREADS": "1",  # BLAS stays on one thread; torch takes its number from params
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}
VOLATILE = (
    # <object at 0x7f...>; not inside a word, as the base64 of an embedded picture has such pieces, too
    (re.compile(r"(?<![\w+/])0x[0-9a-f]{6,16}\b"), "0x0"),
    # warnings raised in a cell; begins at a word's start only, or the megabyte of an embedded picture takes minutes
    (re.compile(r"(?<!\S)\S*/ipykernel_\d+/\d+\.py"), "<cell>"),
)
FAILED = Path("build/failed")


def run_notebook(source: Path, output: Path, parameters: dict) -> None:
    """Execute ``source`` with ``parameters`` in the working directory and write the result to ``output``.

    Its kernel computes as the params file says, if one is among the parameters, else in portable numerics. Raises
    InputError when the notebook or that file does not exist, or the notebook stopped at an InputError, and
    papermill's PapermillExecutionError when a cell failed otherwise.
    """
    from papermill.exceptions import PapermillExecutionError

    if not source.is_file():
        raise InputError(f"{source}: no such notebook")
    os.environ.update(ENVIRONMENT)
    numerics.choose(load_params(parameters["params_file"]).numerics if "params_file" in parameters else "portable")
    FAILED.mkdir(parents=True, exist_ok=True)
    draft = FAILED / output.name
    try:
        with _shown_progress(draft.with_suffix(".progress")):
            notebook = _execute(source, draft, parameters)
    except PapermillExecutionError as error:
        if error.ename == InputError.__name__:
            raise InputError(error.evalue) from None
        raise
    _write(canonical_outputs(notebook, Path.cwd()), output)
    draft.unlink()


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


def _execute(source: Path, draft: Path, parameters: dict):
    import papermill
    from traitlets.config import Config

    # Sockets in a folder of this run's own: side by side, notebooks can race for a port, or for a socket's name.
    with tempfile.TemporaryDirectory(prefix="nbrun-") as sockets:
        return papermill.execute_notebook(
            str(source),
            str(draft),
            parameters,
            progress_bar=False,
            cwd=str(Path.cwd()),
            record_timing=False,
            coalesce_streams=True,
            kernel_name="python3",
            config=Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}}),
        )


def _write(notebook, output: Path) -> None:
    import nbformat

    with replacing(output) as temporary:
        nbformat.write(notebook, temporary)


@contextmanager
def _shown_progress(file: Path) -> Iterator[None]:
    """While the notebook runs, show what its progress bars write to ``file`` on this process's stderr."""
    file.write_text("")
    os.environ[PROGRESS_FILE] = str(file.resolve())
    done = threading.Event()
    follower = threading.Thread(target=_follow, args=(file, done), daemon=True)
    follower.start()
    try:
        yield
    finally:
        done.set()
        follower.join()
        file.unlink(missing_ok=True)


def _follow(file: Path, done: threading.Event) -> None:
    # a terminal gets every change, a log one line in half a minute
    pause, end = (0.3, "\r") if sys.stderr.isatty() else (30, "\n")
    shown = ""
    while not done.wait(pause):
        newest = last_progress(file)
        if newest and newest != shown:
            shown = newest
            print(newest.ljust(100), end=end, file=sys.stderr, flush=True)
    if shown and end == "\r":
        print(" " * 100, end=end, file=sys.stderr, flush=True)


def last_progress(file: Path) -> str:
    """The newest state of the bar in a progress file, or an empty string."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    states = [state.strip() for state in re.split(r"[\r\n]", text) if state.strip()]
    return states[-1] if states else ""


def _parameters(pairs: list[str]) -> dict:
    """``["seed=0", "method=dfr"]`` -> ``{"seed": 0, "method": "dfr"}``; values are YAML."""
    parameters = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (equals and key.isidentifier()):
            raise InputError(f"'{pair}': a parameter is written key=value")
        parameters[key] = yaml.safe_load(value)
    return parameters


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m anomaly_lib.nbrun", description=__doc__.split("\n")[0])
    parser.add_argument("notebook", type=Path, metavar="NOTEBOOK")
    parser.add_argument("output", type=Path, metavar="OUT")
    parser.add_argument("parameters", nargs="*", metavar="key=value")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    try:
        run_notebook(options.notebook, options.output, _parameters(options.parameters))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{options.notebook}: stopped", file=sys.stderr)
        return 130
    except Exception as error:
        print(error, file=sys.stderr)
        print(f"error: {options.notebook} failed; see {FAILED / options.output.name}", file=sys.stderr)
        return 1
    print(f"{options.output.name}: {time.perf_counter() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
