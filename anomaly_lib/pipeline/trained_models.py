"""Where the pipeline put a profile's trained models."""

from pathlib import Path

from anomaly_lib.base.errors import InputError, nearest
from anomaly_lib.methods.checkpoints import RECORD
from anomaly_lib.params import Params, project_root
from anomaly_lib.registry import params_class
from anomaly_lib.reporting.results import run_key

STAGE = "calibrate"
"""The stage whose models have thresholds."""


def find_model(params: Params, method: str, category: str, seed: int | None = None) -> Path:
    """Folder of the profile's trained model; the seed is the profile's first by default.

    Raises InputError, saying how to make the model and which there are, when it is not there.
    """
    params_class(method)  # an unknown method has an error of its own
    seed = params.seeds[0] if seed is None else seed
    models = Path(params.reports) / STAGE
    key = run_key(method, category, seed)
    if (project_root() / models / key / RECORD).is_file():
        return project_root() / models / key
    there = sorted(file.parent.name for file in (project_root() / models).glob(f"*/{RECORD}"))
    how = _how_to_make(params, method, category, seed)
    raise InputError(f"{models / key}: no trained model; {how}; there are so far: {', '.join(there) or 'none'}")


def _how_to_make(params: Params, method: str, category: str, seed: int) -> str:
    key = run_key(method, category, seed)
    if category not in params.categories:
        return f"the profile has no category '{category}': {nearest(category, params.categories)}"
    if method not in params.methods:
        return f"{params.params_file} has no method '{method}': add it there"
    if seed not in params.seeds:
        return f"{params.params_file} has no seed {seed}: add it there"
    pipeline = Path(params.params_file).with_name("dvc.yaml")
    target = f"{STAGE}@{key}" if pipeline == Path("dvc.yaml") else f"{pipeline}:{STAGE}@{key}"
    return f"run 'dvc repro {target}'"
