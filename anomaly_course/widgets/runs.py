"""The runs of a profile as a gallery and a threshold need them: every test image with its score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from anomaly_course.widgets.costs import pixel_curve
from anomaly_course.widgets.looks import look, region_of
from anomaly_course.widgets.threshold_view import Scored
from anomaly_course.widgets.trained import loaded, normal_score, split_of
from anomaly_lib.base.errors import InputError
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.data import Sample, load_category, read_rgb
from anomaly_lib.data.tensors import load_masks
from anomaly_lib.methods.checkpoints import RECORD, TrainedModel
from anomaly_lib.params import Params, project_root
from anomaly_lib.pipeline import runs
from anomaly_lib.registry import shown_name
from anomaly_lib.synthesis import synthesize

AS_STORED, MISSES, FALSE_ALARMS = "all images", "worst misses", "worst false alarms"
ORDERS = (AS_STORED, MISSES, FALSE_ALARMS)


@dataclass(frozen=True)
class Run:
    """One trained model and its scores of the test images."""

    title: str
    """'DFR · nut · seed 0'."""
    samples: tuple[Sample, ...]
    scores: np.ndarray
    """(N,) float64, of the samples."""
    threshold: float
    map_of: Callable[[Sample], np.ndarray | None]
    """The map (S, S) of an image on the fixed scale, worked out when it is wanted; None where no model is there."""

    @property
    def labels(self) -> np.ndarray:
        """(N,) bool, from the folders."""
        return np.array([sample.is_anomalous for sample in self.samples])

    def order(self, name: str) -> list[int]:
        """Places of the samples in one of ``ORDERS``.

        Misses are the anomalous images, the lowest score first; false alarms the normal ones, the highest first. Both
        go on with images that were decided rightly, so that there is always something to see: the nearest ones.
        ValueError for another name.
        """
        if name not in ORDERS:
            raise ValueError(f"an order is one of {', '.join(ORDERS)}, not '{name}'")
        if name == AS_STORED:
            return list(range(len(self.samples)))
        wanted = np.flatnonzero(self.labels == (name == MISSES))
        sign = 1 if name == MISSES else -1
        return wanted[np.argsort(sign * self.scores[wanted], kind="stable")].tolist()


def recorded_runs(params: Params) -> list[Run]:
    """The runs that the profile's pipeline evaluated, methods first, then categories and seeds; empty without any.

    Raises InputError for a record that does not belong to the data, naming it.
    """
    reports = project_root() / params.reports
    made = [run for run in runs.runs_of(params) if run.file(reports, "scores.csv").is_file() and run.metrics(reports)]
    return [_recorded(params, reports, run) for run in made]


def _recorded(params: Params, reports: Path, run: runs.Run) -> Run:
    found = load_category(project_root() / params.data, run.category)
    by_name = {f"{sample.defect}/{sample.path.name}": sample for sample in found.test}
    file = run.file(reports, "scores.csv")
    try:
        recorded, threshold = runs.read_scores(file), run.metrics(reports)["image_threshold"]
        samples = tuple(by_name[name] for name in recorded.images)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{file.parent}: not the record of these test images ({error}); run 'dvc repro' again"
        ) from None
    models = run.folder(reports, runs.DECIDING)
    title = f"{shown_name(run.method)} · {run.category} · seed {run.seed}"

    def read() -> TrainedModel | None:
        return loaded(models) if (models / RECORD).is_file() else None

    return Run(title, samples, recorded.scores, threshold, _maps(params, read))


def _maps(params: Params, read: Callable[[], TrainedModel | None]) -> Callable[[Sample], np.ndarray | None]:
    """Keeps the last maps, because one leafs to and fro."""

    @lru_cache(maxsize=64)
    def map_of(sample: Sample) -> np.ndarray | None:
        model = read()
        return None if model is None else look(model, read_rgb(sample.path), 0.0, region_of(params, model)).shown

    return map_of


def live_run(params: Params, model: TrainedModel) -> Run:
    """Score the test images of the model's category now."""
    found = load_category(project_root() / params.data, model.category)
    scored = _score(params, model, found.test)
    title = f"{model.method.title} · {model.category} · {model.digest}"
    scores, threshold = scored.scores.double().numpy(), model.thresholds["image"]
    return Run(title, found.test, scores, threshold, _maps(params, lambda: model))


def scored_split(params: Params, model: TrainedModel) -> Scored:
    """Everything that the threshold studio moves: test scores, PRO curve, held-out normals with synthetic anomalies."""
    found = load_category(project_root() / params.data, model.category)
    scored = _score(params, model, found.test)
    masks = load_masks(found.test, model.method.params.image_size).numpy() if found.has_masks else None
    return Scored(
        scored.scores.double().numpy(),
        np.array([sample.is_anomalous for sample in found.test]),
        model.thresholds["image"],
        None if masks is None else pixel_curve(scored.maps.numpy(), masks),
        model.thresholds["pixel"],
        unseen_scores(params, model, split_of(params, found, model.method.seed)[1]),
        (normal_score(params, model), model.thresholds["pixel_median"]),
    )


def unseen_scores(params: Params, model: TrainedModel, held_out: Sequence[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """Scores (M,) and labels (M,) of held-out normals and of one synthetic anomaly on each: the selection's recipe."""
    region = region_of(params, model)
    normals = model.method.images(held_out)
    draw = generator(0, "threshold studio", "anomalies")
    made = synthesize(normals, normals, draw, params.selection.recipe, keep_steps=False).image
    scores = torch.cat([model.method.score(images, region=region).scores for images in (normals, made)])
    return scores.double().numpy(), np.arange(len(scores)) >= len(normals)


def _score(params: Params, model: TrainedModel, samples: Sequence[Sample]):
    images = model.method.images(samples)
    return model.method.score(images, progress=True, region=region_of(params, model))
