"""From predictions to one score a frame.

Shapes: T frames of a clip, of which the first 4 have no prediction and no score; S side of a frame.

Our reading where the description is silent: a frame's value of a map is the largest mean of a square of 9 pixels, as
its objects are small, and the robust average is a mean without the lowest and the highest fifth.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import trim_mean
from torch import Tensor

from anomaly_course.pdm.clip import Clip
from anomaly_course.pdm.losses import gradient_error
from anomaly_course.pdm.network import HISTORY, FramePredictor, Prediction
from anomaly_course.pdm.training import windows
from anomaly_lib.evaluation import image_auroc
from anomaly_lib.methods.dmad.warp import length

Normalisation = Literal["held_out_normals", "paper_minmax_per_video"]
WEIGHTS = {"offset": 0.2, "l1": 0.4, "gradient": 0.6}
SQUARE = 9
AVERAGED_FRAMES = 11
TRIMMED = 0.2


class ClipMaps(NamedTuple):
    """What a predictor makes of a clip."""

    target: Tensor
    """(T - 4, 1, S, S): the frames that were to be predicted, in [-1, 1]."""
    prediction: Prediction
    terms: dict[str, Tensor]
    """``offset`` in pixels, ``l1`` and ``gradient``: (T - 4, 1, S, S) each."""


class NormalRange(NamedTuple):
    """Median and interquartile range of one term over the frames of held-out normal clips."""

    median: float
    spread: float


@torch.no_grad()
def clip_maps(predictor: FramePredictor, clip: Clip) -> ClipMaps:
    """Predict every frame of a clip that has four before it, and compare."""
    history, target = windows(clip.frames)
    prediction = predictor.eval()(history)
    pixels = clip.frames.shape[-1] / 2
    terms = {
        "offset": pixels * sum(length(flow) for flow in prediction.flows),
        "l1": (prediction.frame - target).abs(),
        "gradient": gradient_error(prediction.frame, target),
    }
    return ClipMaps(target, prediction, terms)


def clip_terms(predictor: FramePredictor, clip: Clip) -> dict[str, np.ndarray]:
    """``offset``, ``l1`` and ``gradient`` of each frame, (T - 4,) each."""
    return {name: frame_values(maps) for name, maps in clip_maps(predictor, clip).terms.items()}


def frame_differences(clip: Clip) -> dict[str, np.ndarray]:
    """The trivial detector: how much each frame differs from the one before it, as ``difference`` (T - 4,)."""
    history, target = windows(clip.frames)
    return {"difference": frame_values((target - history[:, -1:]).abs())}


def frame_values(maps: Tensor) -> np.ndarray:
    """(T, 1, S, S) -> (T,): the largest mean of a square of 9 x 9 pixels."""
    return F.avg_pool2d(maps, SQUARE, stride=1).amax(dim=(1, 2, 3)).double().numpy()


def normal_ranges(held_out: Sequence[dict[str, np.ndarray]]) -> dict[str, NormalRange]:
    """What each term is on normal clips that were not trained on."""
    ranges = {}
    for name in held_out[0]:
        low, median, high = np.quantile(np.concatenate([terms[name] for terms in held_out]), (0.25, 0.5, 0.75))
        ranges[name] = NormalRange(float(median), float(max(high - low, np.finfo(np.float32).tiny)))
    return ranges


def frame_scores(
    terms: dict[str, np.ndarray],
    ranges: dict[str, NormalRange],
    weights: dict[str, float] = WEIGHTS,
    normalisation: Normalisation = "held_out_normals",
    averaged: int = AVERAGED_FRAMES,
) -> np.ndarray:
    """0.2 offset + 0.4 L1 + 0.6 gradient, each normalised, robustly averaged over 11 frames: (T - 4,).

    ``held_out_normals`` counts interquartile ranges above the normal median. ``paper_minmax_per_video`` stretches each
    term of each video to [0, 1], as the authors do: then the most unusual frame of a normal video scores as high as
    that of any other, and a score needs the whole video. Source: the authors' video model.
    """
    if normalisation == "paper_minmax_per_video":
        normalised = {name: _stretched(terms[name]) for name in weights}
    else:
        normalised = {name: (terms[name] - ranges[name].median) / ranges[name].spread for name in weights}
    return robust_average(sum(weight * normalised[name] for name, weight in weights.items()), averaged)


def robust_average(values: np.ndarray, frames: int = AVERAGED_FRAMES) -> np.ndarray:
    """Mean of the ``frames`` around each, without the lowest and highest fifth; (T,) -> (T,).

    The first and last value are repeated beyond the ends; a clip that is shorter has a shorter average. It looks
    ahead by half its length, so it is for recorded video.
    """
    half = (min(frames, len(values)) - 1) // 2
    around = np.lib.stride_tricks.sliding_window_view(np.pad(values, half, mode="edge"), 2 * half + 1)
    return trim_mean(around, TRIMMED, axis=1)


def frame_auroc(clips: Sequence[Clip], scores: Sequence[np.ndarray]) -> dict[str, float]:
    """AUROC of all frames, as ``all``, and of the normal clips' together with each kind's: {kind: value}."""
    kinds = [kind for kind in dict.fromkeys(clip.kind for clip in clips) if kind != "normal"]
    chosen = {kind: [clip.kind in ("normal", kind) for clip in clips] for kind in kinds}
    return {"all": _auroc(clips, scores)} | {
        kind: _auroc(*(_kept(values, keep) for values in (clips, scores))) for kind, keep in chosen.items()
    }


def _auroc(clips: Sequence[Clip], scores: Sequence[np.ndarray]) -> float:
    labels = torch.cat([clip.labels[HISTORY:] for clip in clips]).numpy()
    return float(image_auroc(np.concatenate(scores), labels))


def _kept(values: Sequence, keep: Sequence[bool]) -> list:
    return [value for value, kept in zip(values, keep, strict=True) if kept]


def _stretched(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / max(np.ptp(values), np.finfo(np.float32).tiny)


def scored(
    detector: Callable[[Clip], dict[str, np.ndarray]], held_out: Sequence[Clip], test: Sequence[Clip], **options
) -> list[np.ndarray]:
    """Scores of test clips by a detector that gives terms, normalised by what it gives on held-out clips."""
    ranges = normal_ranges([detector(clip) for clip in held_out])
    return [frame_scores(detector(clip), ranges, **options) for clip in test]
