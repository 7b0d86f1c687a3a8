"""What the lesson that compares the methods needs: models, one image through each, paired differences.

Shown values have no unit: 0 is the median of held-out normals, 1 the threshold that they gave; S is a model's own
image side, N the number of test images.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anomaly_course.lessons.metrics import aurocs
from anomaly_course.widgets.looks import shown_scores
from anomaly_lib.base.errors import InputError
from anomaly_lib.data import Sample, read_rgb
from anomaly_lib.evaluation.resampling import resampled
from anomaly_lib.evaluation.thresholds import calibrate
from anomaly_lib.figures.detection import Extra, telling_extra
from anomaly_lib.figures.style import map_scale
from anomaly_lib.methods.checkpoints import TrainedModel, load_model, score_samples
from anomaly_lib.params import Params
from anomaly_lib.pipeline.runs import find_model
from anomaly_lib.registry import is_baseline, method_class, params_class

SMALL = {
    "draem": {"image_size": 64, "reconstructive_width": 16, "discriminative_width": 8, "steps": 200},
    "dfr": {"image_size": 128, "feature_size": 32, "steps": 300},
    "dmad": {"image_size": 128, "steps": 80},
}
"""Settings for about two minutes of fitting in all, going by the times of lessons 10 to 30."""
TINY = {
    "draem": {"image_size": 64, "reconstructive_width": 8, "discriminative_width": 8, "batch": 4, "steps": 4},
    "dfr": {"image_size": 64, "feature_size": 16, "steps": 20},
    "dmad": {"image_size": 64, "steps": 4, "batch": 4},
}
"""Settings that only show that everything runs."""
BASELINES = ("mean_image", "padim", "patchcore")


@dataclass(frozen=True)
class Contestant:
    """A model with thresholds, and how it came here."""

    model: TrainedModel
    seconds: float | None
    """Of fitting, measured here; None where the pipeline has trained it."""

    @property
    def title(self) -> str:
        return self.model.method.title

    @property
    def side(self) -> int:
        """Of the images that it takes, in pixels."""
        return self.model.method.params.image_size

    @property
    def parameters(self) -> int:
        """How many were trained; a backbone's are not among them."""
        return sum(row["parameters"] for row in self.model.method.architecture())


@dataclass(frozen=True)
class Scored:
    """What one method says of N images, on its fixed scale."""

    scores: np.ndarray
    """(N,) shown image scores: flagged at 1 or above."""
    maps: np.ndarray
    """(N, S, S) shown anomaly maps."""

    def of(self, index: int) -> tuple[np.ndarray, float]:
        """Map and score of one image."""
        return self.maps[index], float(self.scores[index])


@dataclass(frozen=True)
class View:
    """One image as one method sees it."""

    title: str
    photo: np.ndarray
    """(H, W, 3) uint8, as the file has it."""
    extra: Extra | None
    map: np.ndarray
    """(S, S), shown."""
    score: float
    """Shown."""


def pipeline_models(params: Params, category: str, seed: int) -> list[Contestant]:
    """The profile's trained models of all its methods, baselines aside; empty unless all of them are there."""
    try:
        methods = [method for method in params.methods if not is_baseline(method)]
        folders = [find_model(params, method, category, seed) for method in methods]
        return [Contestant(load_model(folder), None) for folder in folders]
    except InputError:
        return []


def fitted_models(
    settings: dict[str, dict], fit: Sequence[Sample], held_out: Sequence[Sample], params: Params, seed: int
) -> list[Contestant]:
    """Fit each method of ``settings`` to the samples ``fit``, with thresholds from ``held_out``; nothing is saved."""
    found = []
    for name, values in settings.items():
        method = method_class(name)(params_class(name)(**values), seed)
        images, others = (method.images(part) for part in (fit, held_out))
        started = time.perf_counter()
        method.fit(images)
        seconds = time.perf_counter() - started
        scored = method.score(others)
        thresholds = calibrate(scored.scores, scored.maps, params.thresholds)
        found.append(Contestant(TrainedModel(method, "", thresholds, "not saved"), seconds))
    return found


def score_all(contestant: Contestant, samples: Sequence[Sample], held_out: Sequence[Sample]) -> Scored:
    """Scores and maps of all samples; the median score of ``held_out`` is the scores' zero."""
    middle = float(score_samples(contestant.model.method, held_out, "held-out images").scores.median())
    scored = score_samples(contestant.model.method, samples, "test images")
    thresholds = contestant.model.thresholds
    maps = map_scale(thresholds)(scored.maps.numpy())
    return Scored(shown_scores(scored.scores.numpy(), middle, thresholds["image"]), maps)


def look(contestant: Contestant, sample: Sample, map_and_score: tuple[np.ndarray, float]) -> View:
    """One sample through ``explain``, beside its map (S, S) and score, both shown ones."""
    pictures = contestant.model.method.explain(contestant.model.method.images([sample]))
    extra = telling_extra({name: picture[0].cpu().numpy() for name, picture in pictures.items()})
    return View(contestant.title, read_rgb(sample.path), extra, *map_and_score)


def placements(anomalous: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """For each anomalous score (A,) the share of the normal ones (M,) below it, ties half: (A,); the mean is AUROC.

    Source: DeLong, DeLong, Clarke-Pearson, Biometrics 1988.
    """
    below = anomalous[:, None] > normals
    return (below + 0.5 * (anomalous[:, None] == normals)).mean(axis=1)


def stratified_draws(labels: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Positions (R, N) of the images that ``image_intervals`` draws, the normal ones of each row first."""
    normals_first = np.argsort(labels, kind="stable")
    blocks = resampled(labels.astype(bool), seed, resamples, labels.size, "image intervals")
    counts = np.concatenate(list(blocks)).astype(int)[:, normals_first]
    return np.stack([np.repeat(normals_first, row) for row in counts])


def paired_differences(first: np.ndarray, second: np.ndarray, labels: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """AUROC of ``first`` minus that of ``second``, scores (N,) of the same images, for each row of draws (R, N): (R,).

    Every row holds the same number of normal and anomalous images, as ``stratified_draws`` gives them.
    """
    drawn_labels = labels[draws[0]].astype(bool)
    return aurocs(first[draws], drawn_labels) - aurocs(second[draws], drawn_labels)
