"""A trained model for the page: its bundle, cut to the outputs that are shown, at half precision where that holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from anomaly_lib.evaluation import is_anomalous
from anomaly_lib.export.bundle import MODEL, load_bundle, session
from anomaly_lib.export.verify import verify
from anomaly_lib.export.write import export
from anomaly_lib.methods.checkpoints import TrainedModel

SHOWN = {"draem": ["reconstruction"], "dfr": None, "dmad": ["warped", "forward", "deformation"]}
"""Pictures beside map and score; None for all."""
HALF_BOUND = 5e-3
"""Largest difference of maps and of scores, each as a share of the category's largest, with which weights are kept at
half precision."""
SMALLEST = 256
"""Numbers of a tensor from which on half precision saves anything."""


@dataclass(frozen=True)
class LiveModel:
    """What the page gets of one method."""

    onnx: bytes
    half: bool
    pictures: list[str]
    maps: np.ndarray
    scores: np.ndarray
    """Of all test photos, by the trained model itself, as the maps."""


def live_model(model: TrainedModel, category: Path, images: np.ndarray, bundles: Path) -> LiveModel:
    """``images`` are the category's test photos (N, 3, S, S); the bundle is kept in ``bundles``."""
    folder = bundles / f"{model.method.name}-{category.name}"
    if not _is_current(folder, model):
        export(model, category, folder)
    bundle = load_bundle(folder)
    pictures = SHOWN.get(model.method.name) or [name for name in bundle.method.outputs if name not in ("map", "score")]
    whole = onnx.utils.Extractor(onnx.load(folder / MODEL)).extract_model(["images"], ["map", "score", *pictures])
    maps, scores, _ = model.method.see(images)
    halved = at_half_precision(whole).SerializeToString()
    holds = agrees(halved, images, maps, scores, model.thresholds)
    return LiveModel(halved if holds else whole.SerializeToString(), holds, pictures, maps, scores)


def at_half_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model whose large weights are float16, and cast to float32 when it is loaded: half the size."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    for weights in list(half.graph.initializer):
        if weights.data_type == TensorProto.FLOAT and np.prod(weights.dims) >= SMALLEST:
            values = numpy_helper.to_array(weights).astype(np.float16)
            half.graph.initializer.remove(weights)
            half.graph.initializer.append(numpy_helper.from_array(values, f"{weights.name}_half"))
            cast = helper.make_node("Cast", [f"{weights.name}_half"], [weights.name], to=TensorProto.FLOAT)
            half.graph.node.insert(0, cast)
    return half


def agrees(
    content: bytes, images: np.ndarray, maps: np.ndarray, scores: np.ndarray, thresholds: dict[str, Any]
) -> bool:
    """Whether all maps and scores lie within HALF_BOUND and all images are decided alike."""
    half = session(content)
    for image, expected, score in zip(images, maps, scores, strict=True):
        found, found_score = half.run(["map", "score"], {"images": image[None]})
        if np.abs(found[0] - expected).max() > HALF_BOUND * np.abs(maps).max():
            return False
        if abs(found_score[0] - score) > HALF_BOUND * np.abs(scores).max():
            return False
        if is_anomalous(found_score, thresholds["image"])[0] != is_anomalous(score[None], thresholds["image"])[0]:
            return False
    return True


def _is_current(folder: Path, model: TrainedModel) -> bool:
    if not (folder / MODEL).is_file() or verify(folder):
        return False
    bundle = load_bundle(folder)
    return (bundle.digest, bundle.thresholds) == (model.digest, model.thresholds)
