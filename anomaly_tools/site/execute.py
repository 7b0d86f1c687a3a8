"""Executed copies of the notebooks that no stage runs, each made once, and again when what it shows may change."""

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.files import replacing

FOLDER = Path("build/site/executed")
PIPELINE_KINDS = {
    "01_explore_data": "explore",
    "02_synthesize": "synthesize",
    "03_train": "train",
    "03b_calibrate": "calibrate",
    "04_evaluate": "evaluate",
    "05_demo_gif": "gif",
    "06_report": "report",
    "08_contamination": "contamination",
}
"""Notebook of the pipeline -> how the names of its executed copies begin."""
EXAMPLE = ("dfr", "nut")
"""Method and category whose executed copy stands for a notebook of the pipeline, where there is a choice."""


def sources(root: Path) -> list[Path]:
    """The notebooks that are executed for the site alone, relative to ``root``: three folders, and 07_detect."""
    folders = ("lessons", "from_scratch", "demos")
    files = [file for folder in folders for file in sorted((root / "notebooks" / folder).glob("[!.]*.ipynb"))]
    files = [file.relative_to(root) for file in files]
    return [*files, Path("notebooks/07_detect.ipynb")]


def execute_all(root: Path) -> None:
    """Execute what is missing or out of date; a notebook of minutes is not run again for a change of the site.

    Raises InputError when a notebook stops.
    """
    for source in sources(root):
        copy = executed_copy(root, source)
        record = copy.with_suffix(".json")
        key = _key(root, source)
        if copy.is_file() and record.is_file() and json.loads(record.read_text())["key"] == key:
            print(f"{source}: executed before, in {json.loads(record.read_text())['seconds']} s")
            continue
        if source.stem == "07_detect" and not list((root / "reports/calibrate").glob("*")):
            print(f"{source}: left out, there is no trained model; run 'make repro' first")
            continue
        print(f"{source}: running, some minutes", flush=True)
        started = time.perf_counter()
        command = [sys.executable, "-m", "anomaly_lib.nbrun", str(source), str(copy)]
        if subprocess.run(command, cwd=root, check=False).returncode:
            raise InputError(f"{source}: stopped, see above; the site keeps what was executed before")
        with replacing(record) as temporary:
            temporary.write_text(json.dumps({"key": key, "seconds": round(time.perf_counter() - started)}))


def executed_copy(root: Path, source: Path) -> Path:
    """Where the executed copy of a notebook (relative to ``root``) of ``sources`` lies, or would."""
    return root / FOLDER / source.relative_to("notebooks")


def pipeline_copy(root: Path, name: str) -> Path | None:
    """The executed copy that the pipeline left of one of its notebooks, the root profile's before thorough's."""
    kind = PIPELINE_KINDS.get(name)
    for folder in ("reports/notebooks", "reports/thorough/notebooks"):
        for form in (f"{kind}-{'-'.join(EXAMPLE)}-0", f"{kind}-{EXAMPLE[1]}", f"{kind}"):
            if (root / folder / f"{form}.ipynb").is_file():
                return root / folder / f"{form}.ipynb"
    return None


def _key(root: Path, source: Path) -> str:
    """A hash of the notebook, the params, and the packages that notebooks import."""
    modules = [file for package in ("anomaly_lib", "anomaly_course") for file in sorted((root / package).rglob("*.py"))]
    digest = hashlib.sha256()
    for file in (root / source, root / "params.yaml", *modules):
        digest.update(file.read_bytes())
    return digest.hexdigest()
