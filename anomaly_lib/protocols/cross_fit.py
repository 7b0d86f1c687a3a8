"""Scores of all normal images by models that did not train on them: thresholds where few normals can be held out."""

from pathlib import Path

import torch
from torch import Tensor

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.reproducibility import derived_seed, generator
from anomaly_lib.evaluation.thresholds import RELATIVE
from anomaly_lib.methods.base import Method, ScoreMaps


def cross_fitted(
    detector: Method,
    normals: Tensor,
    folds: int,
    work: Path | None = None,
    progress: bool = True,
    region: Tensor | None = None,
) -> ScoreMaps:
    """Maps and scores of ``normals`` (N, 3, S, S), each image by a model like ``detector`` trained without its fold.

    Costs ``folds`` trainings, each on (1 - 1/folds) N images; ``work`` is a folder for caches and for resuming,
    ``region`` as in ``Method.score``. Raises InputError with fewer than two images per fold, or for relative scores.
    """
    if detector.scores_are_relative:
        raise InputError(f"cross_fit: {detector.title} cannot, as {RELATIVE}")
    if len(normals) < 2 * folds:
        raise InputError(f"cross_fit: {folds} folds of {len(normals)} normal images leave some with less than two")
    parts = torch.randperm(len(normals), generator=generator(detector.seed, "cross_fit", "folds")).chunk(folds)
    scored = []
    for index, fold in enumerate(parts):
        others = torch.ones(len(normals), dtype=torch.bool)
        others[fold] = False
        other = type(detector)(detector.params, derived_seed(detector.seed, "cross_fit", str(index)))
        other.fit(normals[others], work / f"fold-{index}" if work else None, progress)
        scored.append(other.score(normals[fold], region=region))
    order = torch.cat(parts).argsort()
    maps, scores = torch.cat([part.maps for part in scored]), torch.cat([part.scores for part in scored])
    return ScoreMaps(maps[order], scores[order])
