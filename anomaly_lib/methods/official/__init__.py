"""Checkpoints of the papers' authors: read, turned into a model folder that ``detect`` and the notebooks use, and back.

Nothing in a file is executed.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from anomaly_lib.base.errors import InputError, nearest
from anomaly_lib.data import load_category
from anomaly_lib.evaluation.thresholds import calibrate
from anomaly_lib.methods.base import Method
from anomaly_lib.methods.checkpoints import RECORD, TrainedModel, load_model, save_model, score_samples
from anomaly_lib.methods.official.dfr import export_dfr, import_dfr, load_dfr
from anomaly_lib.methods.official.dmad import export_dmad, import_dmad, load_dmad
from anomaly_lib.methods.official.draem import export_draem, import_draem, load_draem
from anomaly_lib.params import Thresholds

__all__ = ["export_official", "import_official", "load_dfr", "load_dmad", "load_draem"]

Function = TypeVar("Function", bound=Callable)
_IMPORT: dict[str, Callable[[list[Path], str | None], Method]] = {
    "dfr": import_dfr,
    "dmad": import_dmad,
    "draem": import_draem,
}
_EXPORT: dict[str, Callable[[Any, Path, str], tuple[Path, ...]]] = {
    "dfr": export_dfr,
    "dmad": export_dmad,
    "draem": export_draem,
}
NO_CATEGORY = "unknown"
NO_THRESHOLDS = {
    "image": None,
    "pixel": None,
    "pixel_median": None,
    "source": "none: imported from the authors' files, without normal images to find thresholds on",
}
ON_TRAINING_IMAGES = "normal training images, which the authors' model may have been trained on: rates may be exceeded"


def import_official(
    method: str,
    files: list[Path],
    output: Path,
    category: str | None = None,
    data: Path | None = None,
    weights: Path | None = None,
    image_size: int | None = None,
    progress: bool = True,
) -> TrainedModel:
    """Make a model folder of the authors' files; see each method's ``import_NAME`` for which those are.

    With ``data`` and ``category`` the thresholds come from that category's normal training images, else there are
    none. ``weights`` is a file with the backbone's weights; the model refers to it, so keep it. ``image_size`` is for
    models that were not trained at the authors' size, which their files do not say. Raises InputError for whatever
    cannot be used, before anything is written.
    """
    make = _known(method, _IMPORT)
    if data and category is None:
        raise InputError("--data needs --category: thresholds come from the normal training images of one category")
    if weights and not weights.is_file():
        raise InputError(f"{weights}: no such weight file")
    _refuse_trained(output)
    detector = make(files, str(weights.resolve()) if weights else None)
    if image_size:
        detector = _at_size(detector, image_size)
    thresholds = _thresholds(detector, data, category, progress) if data and category else NO_THRESHOLDS
    try:
        return save_model(output, detector, category or NO_CATEGORY, thresholds)
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror or error})") from None


def export_official(model: Path, output: Path) -> tuple[Path, ...]:
    """Write a trained model as its authors' code does; return the files. The size of its images is not in them.

    Raises InputError for a model that their files cannot hold, and for files that are there already.
    """
    trained = load_model(model)
    export = _known(trained.method.name, _EXPORT)
    if Path(trained.category).name != trained.category:
        raise InputError(f"{model}: its category '{trained.category}' cannot be part of a file name")
    try:
        return export(trained.method, output, trained.category)
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror or error})") from None


def _at_size(detector: Method, image_size: int) -> Method:
    try:
        params = type(detector.params).model_validate(detector.params.model_dump() | {"image_size": image_size})
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"image size {image_size}: {reason}") from None
    resized = type(detector)(params, detector.seed)
    resized.load_state_dict(detector.state_dict())
    return resized


def _refuse_trained(output: Path) -> None:
    """Only a folder without a model, or with an imported one, may be written to."""
    record = output / RECORD
    if not record.is_file():
        return
    try:
        imported = "source" in json.loads(record.read_text(encoding="utf-8"))["thresholds"]
    except (OSError, ValueError, KeyError, TypeError):
        imported = False
    if not imported:
        raise InputError(f"{output}: holds a model that was trained here; choose another --output")


def _thresholds(detector: Method, data: Path, category: str, progress: bool) -> dict[str, Any]:
    """Thresholds from all normal training images, and the word that they may have been trained on."""
    normals = load_category(data, category).train
    detector.calibrate(detector.images(normals), progress)
    scored = score_samples(detector, normals, "thresholds", progress)
    found = calibrate(scored.scores, scored.maps, Thresholds(), relative=detector.scores_are_relative)
    found["normal_images"] = found.pop("held_out_images")  # nobody can say that they were held out
    return found | {"source": ON_TRAINING_IMAGES}


def _known(method: str, functions: Mapping[str, Function]) -> Function:
    if method not in functions:
        raise InputError(f"the authors' files of '{method}' are not known here: {nearest(method, functions)}")
    return functions[method]
