"""A trained model as a folder: ``model.safetensors`` (tensors) and ``model.json`` (everything else).

Nothing in it can run code. The JSON holds params, seed, thresholds, versions and the hash of the tensors, so
that every number of a report can name the checkpoint that it comes from.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError, field_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from anomaly_lib.base.errors import InputError, refused
from anomaly_lib.base.files import replacing
from anomaly_lib.base.reproducibility import provenance
from anomaly_lib.data import Sample
from anomaly_lib.methods.base import Method, ScoreMaps, in_batches
from anomaly_lib.registry import method_class, params_class

FORMAT: Literal[1] = 1
TENSORS, RECORD = "model.safetensors", "model.json"
LONGEST_REASON = 300  # characters
_AGAIN = "train again, or restore the model with dvc checkout"
_MAKE = "the notebooks 03_train and 03b_calibrate leave one in build/play, 'make repro' all of a profile in its reports"


class Record(BaseModel):
    """What ``model.json`` holds; further keys are for people."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    format: Literal[1]  # FORMAT
    method: str
    category: str
    seed: Annotated[int, Field(ge=0)]
    digest: str
    params: dict[str, Any]
    thresholds: dict[str, Any]

    @field_validator("thresholds")
    @classmethod
    def _numbers(cls, thresholds: dict[str, Any]) -> dict[str, Any]:
        shown = ("pixel_median",) if thresholds.get("pixel") is not None else ()
        for name in ("image", "pixel", "pixel_median"):
            value = thresholds.get(name)
            number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not number and (value is not None or name in shown):
                raise ValueError(f"{name} must be a finite number")
        TypeAdapter(list[FiniteFloat]).validate_python(thresholds.get("held_out_scores", []), strict=True)
        return thresholds


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
    tensors, digest = tensors_of(method)
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


def tensors_of(method: Method) -> tuple[bytes, str]:
    """What model.safetensors holds, and its digest."""
    tensors = save({name: tensor.detach().cpu().contiguous() for name, tensor in method.state_dict().items()})
    return tensors, hashlib.sha256(tensors).hexdigest()[:16]


def load_model(folder: Path) -> TrainedModel:
    """Read a folder that ``save_model`` wrote. Raises InputError, naming the file, for anything else."""
    record, tensors = _record(folder), folder / TENSORS
    method = _untrained(folder / RECORD, record)
    try:
        if hashlib.sha256(tensors.read_bytes()).hexdigest()[:16] != record.digest:
            raise InputError(f"{tensors}: does not match {RECORD}; {_AGAIN}")
        state = load_file(tensors)
    except (OSError, SafetensorError):
        raise InputError(f"{tensors}: missing or damaged; {_AGAIN}") from None
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise InputError(f"{tensors}: {name} holds values that are not finite; {_AGAIN}")
    try:
        method.load_state_dict(state)
        restored = method.state_dict()
    except (InputError, RuntimeError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"{tensors}: {_one_line(error)}; {_AGAIN}") from None
    for name, tensor in state.items():
        if (tensor.dtype, tensor.shape) != (restored[name].dtype, restored[name].shape):
            raise InputError(f"{tensors}: {name} has another type or shape than {RECORD} asks for; {_AGAIN}")
    return TrainedModel(method, record.category, record.thresholds, record.digest)


def score_samples(method: Method, samples: Sequence[Sample], description: str, progress: bool = False) -> ScoreMaps:
    """What a trained method says of images on disk; a few are in memory at a time. InputError as ``Method.images``."""
    batches = in_batches(samples, description, progress)
    return ScoreMaps.joined([method.score(method.images(batch)) for batch in batches])


def _untrained(file: Path, record: Record) -> Method:
    """The method as the record describes it, before its tensors are there."""
    try:
        return method_class(record.method)(params_class(record.method).model_validate(record.params), record.seed)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(["params", *map(str, first["loc"])])
        raise InputError(f"{file}: has settings that this version does not know ({key}); train again") from None
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def _record(folder: Path) -> Record:
    file = folder / RECORD
    if folder.is_file():
        raise InputError(f"{folder}: is a file; give the folder that holds {RECORD}")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder}: no trained model here; {_MAKE}") from None
    except OSError as error:
        raise refused(error, file, "cannot be read") from None
    except (ValueError, RecursionError):
        raise InputError(f"{file}: not valid JSON; {_AGAIN}") from None
    try:
        return Record.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "content"
        raise InputError(f"{file}: not a model record of this version ({key}: {first['msg']}); train again") from None


def _one_line(error: Exception) -> str:
    """The beginning of an error's text; torch lists every tensor that does not fit, a line each."""
    text = " ".join(str(error).split())
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]} …"


def _write(file: Path, content: bytes) -> None:
    with replacing(file) as temporary:
        temporary.write_bytes(content)
