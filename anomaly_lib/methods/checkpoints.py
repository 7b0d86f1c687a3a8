"""A trained model as a folder: ``model.safetensors`` (tensors) and ``model.json`` (everything else).

Nothing in it can run code. The JSON holds params, seed, thresholds, versions and the hash of the tensors, so
that every number of a report can name the checkpoint that it comes from.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.files import replacing
from anomaly_lib.base.reproducibility import provenance
from anomaly_lib.data import Sample
from anomaly_lib.data.tensors import load_images
from anomaly_lib.methods.base import Method, ScoreMaps, in_batches
from anomaly_lib.registry import method_class, params_class

FORMAT = 1
TENSORS, RECORD = "model.safetensors", "model.json"
KEYS = {"method", "category", "seed", "digest", "params", "thresholds"}


@dataclass(frozen=True)
class TrainedModel:
    """A method ready to score, with what was recorded when it was saved."""

    method: Method
    category: str
    thresholds: dict[str, Any]
    """``image`` and ``pixel`` thresholds from held-out normals, and how they were found."""
    digest: str
    """First 16 hex digits of the SHA-256 of the tensors."""


def save_model(folder: Path, method: Method, category: str, thresholds: dict[str, Any]) -> TrainedModel:
    """Write the folder's two files, each under a temporary name first; the record last."""
    tensors = save({name: tensor.detach().cpu().contiguous() for name, tensor in method.state_dict().items()})
    digest = hashlib.sha256(tensors).hexdigest()[:16]
    record = {
        "format": FORMAT,
        "method": method.name,
        "category": category,
        "seed": method.seed,
        "digest": digest,
        "params": method.params.model_dump(mode="json"),
        "thresholds": thresholds,
        "versions": provenance(),
    }
    _write(folder / TENSORS, tensors)
    _write(folder / RECORD, (json.dumps(record, indent=2) + "\n").encode())
    return TrainedModel(method, category, thresholds, digest)


def load_model(folder: Path) -> TrainedModel:
    """Read a folder that ``save_model`` wrote. Raises InputError for anything missing, damaged or foreign."""
    record = _record(folder)
    tensors = folder / TENSORS
    try:
        if hashlib.sha256(tensors.read_bytes()).hexdigest()[:16] != record["digest"]:
            raise InputError(f"{tensors}: does not match {RECORD}; train again or restore both with dvc checkout")
        state = load_file(tensors)
    except (OSError, SafetensorError):
        raise InputError(f"{tensors}: missing or damaged; train again or restore it with dvc checkout") from None
    try:
        params = params_class(record["method"]).model_validate(record["params"])
    except ValidationError:
        raise InputError(f"{folder / RECORD}: has settings that this version does not know; train again") from None
    method = method_class(record["method"])(params, record["seed"])
    method.load_state_dict(state)
    return TrainedModel(method, record["category"], record["thresholds"], record["digest"])


def score_samples(method: Method, samples: Sequence[Sample], description: str, progress: bool = False) -> ScoreMaps:
    """What a trained method says of images on disk; a few are in memory at a time. InputError as ``load_images``."""
    batches = in_batches(samples, description, progress)
    return ScoreMaps.joined([method.score(load_images(batch, method.params.image_size)) for batch in batches])


def _record(folder: Path) -> dict[str, Any]:
    file = folder / RECORD
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder}: no trained model here; run notebook 03_train or 'dvc repro'") from None
    except ValueError:
        raise InputError(f"{file}: not valid JSON; train again or restore it with dvc checkout") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT or KEYS - record.keys():
        raise InputError(f"{file}: not a model record of this version; train again")
    return record


def _write(file: Path, content: bytes) -> None:
    with replacing(file) as temporary:
        temporary.write_bytes(content)
