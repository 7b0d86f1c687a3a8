"""A bundle: one folder that holds a trained model for programs without torch.

``model.onnx``      images (N, 3, S, S) in [0, 1] -> ``map`` (N, S, S), ``score`` (N,), and the pictures of ``explain``
``bundle.json``     thresholds, scale, resizing rule, classes, digests, versions
``reference.npz``   a few images with what the trained model said of them, for ``verify``
``card.md``         the model card, for people

Nothing here imports torch: ONNX Runtime, NumPy and Pillow are enough.
"""

import functools
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.params import Resize

FORMAT = 1
MODEL, RECORD, REFERENCE, CARD = "model.onnx", "bundle.json", "reference.npz", "card.md"
RESIZE = {"filter": "bilinear", "antialias": True, "keep_aspect": False, "values": "RGB / 255", "by": "Pillow"}
RESIZES: dict[Resize, dict[str, Any]] = {
    "antialiased": RESIZE,
    "bilinear": RESIZE | {"antialias": False},
    "nearest": RESIZE | {"filter": "nearest", "antialias": False},
}
"""The resizing rules of ``data.images.squeezed``; a bundle that names another is refused."""
LEVELS = ("image", "pixel", "pixel_median")
"""Thresholds that decide and scale."""


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda value: type(value) is kind


def _is_level(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and math.isfinite(value))


FITS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("method", "title", "paper", "category", "digest", "params_hash", "data_hash"), _is(str)),
    **dict.fromkeys(("seed", "reference_images"), _is(int)),
    "image_size": lambda value: type(value) is int and 0 < value <= 2048,
    "thresholds": lambda value: type(value) is dict and all(map(_is_level, map(value.get, LEVELS))),
    "resize": _is(dict),
    "outputs": lambda value: (
        type(value) is dict and {"map", "score"} <= value.keys() and all(map(_is(list), value.values()))
    ),
    "digests": lambda value: type(value) is dict and {MODEL, REFERENCE} <= value.keys(),
    "versions": lambda value: type(value) is dict and "anomaly-lib" in value,
    "region": lambda value: type(value) in (list, type(None)),
}
"""What bundle.json must hold."""


class BundledDetector:
    """The ONNX model as ``methods.detector.Detector``; it is loaded when first asked."""

    scores_are_relative = False

    def __init__(self, folder: Path, record: dict[str, Any]):
        self.name, self.title, self.seed = record["method"], record["title"], record["seed"]
        self.image_size, self.outputs = record["image_size"], tuple(record["outputs"])
        self.image_resize: Resize = next(
            (name for name, rule in RESIZES.items() if rule == record["resize"]), "antialiased"
        )
        self._file = folder / MODEL

    def see(
        self, images: np.ndarray, region: np.ndarray | None = None, explain: bool = False
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """As ``Detector.see``. Raises InputError for a region: the category's own is a part of the model."""
        if region is not None:
            raise InputError("a bundle takes no region of interest: that of the category is a part of its model")
        wanted, loaded = self.outputs if explain else ("map", "score"), self._session
        try:
            found = dict(zip(wanted, loaded.run(list(wanted), {"images": images}), strict=True))
        except Exception as error:  # as in ``session``
            raise InputError(f"{self._file}: cannot be run ({' '.join(str(error).split())}); export again") from None
        score = found.pop("score")
        return found["map"], score, found if explain else {}

    @functools.cached_property
    def _session(self) -> Any:
        return session(self._file)


def session(model: Path | bytes) -> Any:
    """An ONNX Runtime session on the processor. Raises InputError without ONNX Runtime, and for what it cannot load."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise InputError("a bundle needs ONNX Runtime: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # waiting threads leave the cores to others
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a dozen types of its own
        name = model if isinstance(model, Path) else "this model"
        raise InputError(
            f"{name}: ONNX Runtime cannot load it ({' '.join(str(error).split())}); export again"
        ) from None


@dataclass(frozen=True)
class Bundle:
    """What ``detect`` needs: the same as a ``TrainedModel``."""

    method: BundledDetector
    category: str
    thresholds: dict[str, Any]
    digest: str
    """Of the trained model's tensors."""


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle. Raises InputError for anything missing, of another version, or changed since the export."""
    record = read_record(folder)
    if record["resize"] not in RESIZES.values():
        raise InputError(f"{folder / RECORD}: its resizing rule is none of {[*RESIZES]}; export again")
    if digest_of(folder / MODEL) != record["digests"][MODEL]:
        raise InputError(f"{folder / MODEL}: is not the model that {RECORD} speaks of; export again")
    return Bundle(BundledDetector(folder, record), record["category"], record["thresholds"], record["digest"])


def read_record(folder: Path) -> dict[str, Any]:
    """What bundle.json holds. Raises InputError unless it is a record of this version."""
    file = folder / RECORD
    try:
        record = json.loads(_content(file))
    except OSError:
        raise InputError(f"{folder}: no bundle here; write one with 'python -m anomaly_lib export'") from None
    except (ValueError, RecursionError):
        raise InputError(f"{file}: not valid JSON; export again") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{file}: not a bundle of this version; export again")
    if wrong := [key for key, fits in FITS.items() if not fits(record.get(key))]:
        raise InputError(f"{file}: '{wrong[0]}' is missing or is not what it should be; export again")
    return record


def _content(file: Path) -> bytes:
    if file.exists() and not file.is_file():  # a pipe would wait for ever
        raise InputError(f"{file}: not a regular file; export again")
    return file.read_bytes()


def digest_of(file: Path) -> str:
    """SHA-256 of a file. Raises InputError when it cannot be read."""
    try:
        return hashlib.sha256(_content(file)).hexdigest()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); export again") from None
