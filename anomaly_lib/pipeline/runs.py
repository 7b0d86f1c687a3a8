"""Every path and key of a profile's outputs: ``REPORTS/STAGE/METHOD-CATEGORY-SEED/FILE``."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from anomaly_lib.base.errors import InputError, nearest
from anomaly_lib.params import Params, project_root
from anomaly_lib.registry import params_class

STAGE_OF = {
    "selection.json": "calibrate",
    "metrics.json": "evaluate",
    "scores.csv": "evaluate",
    "defect_types.csv": "evaluate",
    "defect_sizes.csv": "evaluate",
    "uncertain.csv": "evaluate",
    "roc.csv": "evaluate",
    "precision_recall.csv": "evaluate",
    "pro.csv": "evaluate",
    "demo.gif": "gif",
    "strip.png": "gif",
}
"""The stage that writes each of the files of a run that others read."""
DECIDING = "calibrate"
"""The stage whose models have thresholds."""
BY_HAND = {"build/play/train": "03_train", "build/play/calibrate": "03b_calibrate"}
"""Where these notebooks leave a model when somebody runs them as they are."""


class Run(NamedTuple):
    """One method trained on one category with one seed."""

    method: str
    category: str
    seed: int

    @property
    def key(self) -> str:
        """The run's name in folders, file names and DVC's stages: METHOD-CATEGORY-SEED."""
        return f"{self.method}-{self.category}-{self.seed}"

    @classmethod
    def parse(cls, key: str) -> Run:
        """The run of a key; hyphens inside belong to the category. ValueError if the text is no key."""
        method, _, rest = key.partition("-")
        category, _, seed = rest.rpartition("-")
        if not (method and category and seed.isdigit()):
            raise ValueError(f"'{key}' is not METHOD-CATEGORY-SEED")
        return cls(method, category, int(seed))

    def folder(self, reports: Path, stage: str) -> Path:
        """Where a stage puts this run's outputs."""
        return reports / stage / self.key

    def file(self, reports: Path, name: str) -> Path:
        """One of the files of ``STAGE_OF``, made or not."""
        return self.folder(reports, STAGE_OF[name]) / name

    def metrics(self, reports: Path) -> dict:
        """What the evaluation measured; empty for a run that was not made."""
        file = self.file(reports, "metrics.json")
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


class Scores(NamedTuple):
    """The image scores of one run on its test split."""

    images: tuple[str, ...]
    """DEFECT/FILE of each image."""
    labels: np.ndarray
    """(N,) bool, True = anomalous."""
    scores: np.ndarray
    """(N,) float64."""


def runs_of(params: Params) -> list[Run]:
    """All runs of a profile, made or not: methods first, then categories and seeds."""
    return [Run(m, c, seed) for m in params.methods for c in params.categories for seed in params.seeds]


def evaluated_runs(reports: Path) -> list[Run]:
    """The runs with scores in a folder of reports, whatever profile they are of, sorted by key."""
    return [Run.parse(file.parent.name) for file in sorted(reports.glob("evaluate/*/scores.csv"))]


def read_rows(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, as text; none where there is no such file."""
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def read_scores(file: Path) -> Scores:
    """The ``scores.csv`` of a run. KeyError or ValueError for a file that is none."""
    rows = read_rows(file)
    labels = np.array([row["anomalous"] == "1" for row in rows], dtype=bool)
    return Scores(tuple(row["image"] for row in rows), labels, np.array([float(row["score"]) for row in rows]))


def work_folder(output: Path) -> Path:
    """Where a stage with this output folder keeps what no run repeats: caches, checkpoints, times."""
    root = project_root()
    return root / "build/work" / (root / output).relative_to(root)


def trained_folder(model: str, reports: str) -> Path:
    """The folder ``model``, from the project's root, of a trained model.

    Until the notebook of ``BY_HAND`` has left one there, the pipeline's from ``reports``: of DFR on nut, which `make
    quick` makes, or else the first. Raises InputError where the pipeline has made none either.
    """
    folder = project_root() / model
    if model not in BY_HAND or folder in _models_in(folder.parent):
        return folder
    made = _models_in(project_root() / reports / folder.name)
    if not made:
        raise InputError(f"{model}: no trained model, nor in {reports}; run notebook {BY_HAND[model]}, or 'make quick'")
    return next((one for one in made if one.name == "dfr-nut-0"), made[0])


def find_model(params: Params, method: str, category: str, seed: int | None = None) -> Path:
    """Folder of the profile's trained model with its thresholds; the seed is the profile's first by default.

    Raises InputError, saying how to make the model and which there are, when it is not there.
    """
    params_class(method)  # an unknown method has an error of its own
    run = Run(method, category, params.seeds[0] if seed is None else seed)
    wanted = run.folder(Path(params.reports), DECIDING)
    folder = project_root() / wanted
    there = _models_in(folder.parent)
    if folder in there:
        return folder
    raise InputError(
        f"{wanted}: no trained model; {_how_to_make(params, run)}; "
        f"there are so far: {', '.join(one.name for one in there) or 'none'}"
    )


def _models_in(folder: Path) -> list[Path]:
    from anomaly_lib.methods.checkpoints import RECORD  # loads torch

    return sorted(file.parent for file in folder.glob(f"*/{RECORD}"))


def _how_to_make(params: Params, run: Run) -> str:
    if run.category not in params.categories:
        return f"the profile has no category '{run.category}': {nearest(run.category, params.categories)}"
    if run.method not in params.methods:
        return f"{params.params_file} has no method '{run.method}': add it there"
    if run.seed not in params.seeds:
        return f"{params.params_file} has no seed {run.seed}: add it there"
    pipeline = Path(params.params_file).with_name("dvc.yaml")
    stage = f"{DECIDING}@{run.key}"
    return f"run 'dvc repro {stage if pipeline == Path('dvc.yaml') else f'{pipeline}:{stage}'}'"
