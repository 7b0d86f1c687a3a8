"""Train, calibrate and export a model, a line each; with torch and the extra ``export``.

    model = train("dfr", "data/sample/nut")
    model = calibrate(model, "data/sample/nut")
    export(model, "data/sample/nut", "build/nut")

A category is a folder in MVTec shape. S is the method's image size.
"""

import json
import logging
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.files import replacing
from anomaly_lib.base.reproducibility import derived_seed, provenance
from anomaly_lib.data.folder import Category, Sample, data_hash, load_category
from anomaly_lib.data.images import read_rgb
from anomaly_lib.data.regions import PLACE, load_region, read_polygons
from anomaly_lib.data.split import split_normals
from anomaly_lib.evaluation.thresholds import calibrate as thresholds_from
from anomaly_lib.export.bundle import CARD, FORMAT, LEVELS, MODEL, RECORD, REFERENCE, RESIZES, digest_of
from anomaly_lib.export.card import card
from anomaly_lib.methods.checkpoints import TrainedModel, tensors_of
from anomaly_lib.params import Split, Thresholds, params_hash, validated
from anomaly_lib.registry import method_class, params_class

OPSET = 20
REFERENCES = 4
"""Images: a normal one, and one of each of the first defect types."""


def train(method: str, category: Path | str, seed: int = 0, **settings: Any) -> TrainedModel:
    """Fit a method on the normal images of a category, less the fifth that ``calibrate`` needs.

    ``settings`` as the method's section of params.yaml. Raises InputError as ``load_category`` and ``fit``, and for
    unknown settings.
    """
    found = _category(category)
    detector = method_class(method)(validated(params_class(method), settings, ["methods", method]), seed)
    fit, _ = _halves(found, seed)
    detector.fit(detector.images(fit))
    return TrainedModel(detector, found.name, {}, tensors_of(detector)[1])


def calibrate(model: TrainedModel, category: Path | str, rules: Thresholds | None = None) -> TrainedModel:
    """The model with thresholds from the normal images of the category that ``train`` left out.

    Where the category has a region of interest, only what lies in it counts.
    """
    found, detector = _category(category), model.method
    _, held_out = _halves(found, detector.seed)
    region = _region(found, detector.image_size)
    scored = detector.score(detector.images(held_out), region=region)
    relative = detector.scores_are_relative
    thresholds = thresholds_from(scored.scores, scored.maps, rules or Thresholds(), region, relative)
    return TrainedModel(detector, model.category, thresholds, model.digest)


def export(model: TrainedModel, category: Path | str, output: Path | str, region: bool = True) -> Path:
    """Write a bundle (``export.bundle``) to the folder ``output``, and return it.

    Of the category it takes the reference images, the data's digest, and the region of interest, unless ``region`` is
    false. Raises InputError for a method that cannot be exported, and without the extra ``export``.
    """
    found, detector, folder = _category(category), model.method, Path(output)
    inside = _region(found, detector.image_size) if region else None
    samples = _references(found)
    images = detector.images(samples)
    scored = detector.score(images, region=inside)
    expected = {**detector.explain(images), "map": scored.maps, "score": scored.scores}
    shapes = _write_model(detector.exportable(inside), images, folder / MODEL)
    levels = [model.thresholds.get(level) for level in LEVELS]
    reference = {"photo": read_rgb(samples[0].path), "images": images.numpy()}
    reference["thresholds"] = np.array([np.nan if level is None else level for level in levels])
    reference |= {f"output_{name}": expected[name].cpu().numpy() for name in shapes}
    with replacing(folder / REFERENCE) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **reference)
    polygons = read_polygons(found.folder / PLACE) if inside is not None else None
    record = _record(model, found, shapes, folder, polygons, len(samples))
    for file, text in ((CARD, card(record)), (RECORD, json.dumps(record, indent=2) + "\n")):
        with replacing(folder / file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return folder


def _write_model(network: nn.Module, images: Tensor, file: Path) -> dict[str, list[int | str]]:
    """The network as ONNX; returns the shape of each output by name, the first axis as ``N``."""
    try:
        import onnxscript  # noqa: F401  torch writes ONNX with it
    except ModuleNotFoundError:
        raise InputError("export needs onnx and onnxscript: pip install 'anomaly-lib[export]'") from None
    with torch.no_grad():
        outputs = network(images)
    number = torch.export.Dim("N")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it counts its steps
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own parts, about their future
        program = torch.export.export(network.eval(), (images,), dynamic_shapes=({0: number},), strict=False)
        written = torch.onnx.export(
            program, input_names=["images"], output_names=list(outputs), opset_version=OPSET, dynamo=True, verbose=False
        )
    assert written  # without a file to write to it is a program
    with replacing(file) as temporary:
        written.save(temporary, external_data=False)
    return {name: ["N", *output.shape[1:]] for name, output in outputs.items()}


def _record(
    model: TrainedModel, found: Category, shapes: dict, folder: Path, polygons: Any, references: int
) -> dict[str, Any]:
    detector, thresholds = model.method, model.thresholds
    versions = {name: version(name) for name in ("anomaly-lib", "onnx", "onnxscript")}
    return {
        "format": FORMAT,
        "method": detector.name,
        "title": detector.title,
        "paper": detector.paper,
        "category": model.category,
        "seed": detector.seed,
        "digest": model.digest,
        "image_size": detector.image_size,
        "resize": RESIZES[detector.image_resize],
        "outputs": shapes,
        "thresholds": thresholds,
        "scale": {"shown_as_0": thresholds.get("pixel_median"), "shown_as_1": thresholds.get("pixel")},
        "classes": {"normal": "score < thresholds.image", "anomalous": "score >= thresholds.image"},
        "region": polygons,
        "reference_images": references,
        "digests": {name: digest_of(folder / name) for name in (MODEL, REFERENCE)},
        "params_hash": params_hash(detector.params),
        "params": detector.params.model_dump(mode="json"),
        "data_hash": data_hash(found),
        "versions": provenance() | versions,
    }


def _category(folder: Path | str) -> Category:
    return load_category(Path(folder).absolute().parent, Path(folder).name)


def _halves(found: Category, seed: int) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """The samples to fit on and those held out, as the pipeline's notebook 03 draws them."""
    return split_normals(found.train, Split().held_out, derived_seed(seed, "split"))


def _region(found: Category, size: int) -> Tensor | None:
    file = found.folder / PLACE
    return load_region(file, size) if file.exists() else None


def _references(found: Category) -> list[Sample]:
    """The first test image of each kind, normal first; without test images the first ones of training."""
    firsts = {sample.defect: sample for sample in reversed(found.test)}
    chosen = sorted(firsts.values(), key=lambda sample: (sample.is_anomalous, sample.defect))
    return (chosen or list(found.train))[:REFERENCES]
