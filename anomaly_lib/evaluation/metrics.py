"""AUROC, average precision and F1, exact, for images and for pixels.

Each function takes numpy arrays, torch tensors or lists, and gives a Python float, or None where the metric is
undefined (one class only, or nothing at all): a 0 would be averaged into a table.

All but `f1_at` depend only on the order of the scores and on their ties. Pixels are counted by `ranked`, from the two
classes sorted apart, in float64: 20 times as fast as torchmetrics (benchmarks/metrics.py). Image AUROC goes to
torchmetrics, as ranks: it silently passes scores through a sigmoid when any of them lies outside [0, 1]. That is
harmless to the order only on paper: in float32 every score past about 17 becomes 1, so DFR's and DMAD's unbounded
scores would collapse into ties, and batch by batch the order itself changes. Ranks lie in [0, 1) and are equal exactly
where the scores are equal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from anomaly_lib.evaluation.inputs import as_maps, as_pair, undefined_reason
from anomaly_lib.evaluation.thresholds import is_anomalous


def image_auroc(scores, labels) -> float | None:
    """Area under the ROC curve of image scores: P(anomalous scores higher than normal), ties half.

    scores (N,) any finite range, higher = more anomalous; labels (N,) bool or 0/1. In [0, 1].
    None with one class only; ValueError for non-finite scores, other labels or unequal shapes.
    """
    scores, labels = as_pair(scores, labels)
    if undefined_reason(labels):
        return None
    import torch
    from torchmetrics.functional.classification import binary_auroc

    ranks = torch.from_numpy(np.unique(scores, return_inverse=True)[1] / scores.size)
    return float(binary_auroc(ranks, torch.from_numpy(labels), thresholds=None, validate_args=False))


def pixel_auroc(maps, masks) -> float | None:
    """Area under the ROC curve over all pixels of the split, pooled: maps and masks (N, H, W).

    Saturated on most data (defects are small); read it beside AUPRO. Otherwise as `image_auroc`.
    """
    maps, masks = as_maps(maps, masks)
    return None if undefined_reason(masks) else ranked(maps[~masks], maps[masks]).auroc


def average_precision(scores, labels) -> float | None:
    """Area under the precision-recall curve by steps, sum of (R_k - R_k-1) P_k; the trapezoid overestimates.

    Images (N,) or maps and masks of any equal shape. Depends on the class balance: a random score
    gives the share of anomalous elements. None and errors as `image_auroc`.
    """
    scores, labels = as_pair(scores, labels)
    return None if undefined_reason(labels) else ranked(scores[~labels], scores[labels]).average_precision


def f1_max(scores, labels) -> float | None:
    """ORACLE: the largest F1 over all thresholds, chosen on the test labels themselves.

    An upper bound no deployed detector reaches; report it under that name. `f1_at` with a threshold from
    held-out normals is the honest figure. Shapes, None and errors as `average_precision`.
    """
    scores, labels = as_pair(scores, labels)
    return None if undefined_reason(labels) else ranked(scores[~labels], scores[labels]).f1_max


def f1_at(scores, labels, threshold: float) -> float | None:
    """F1 where "anomalous" means score >= threshold, 2 TP / (2 TP + FP + FN), in [0, 1].

    0 if nothing anomalous is found. Shapes, None and errors as `average_precision`.
    """
    scores, labels = as_pair(scores, labels)
    if undefined_reason(labels):
        return None
    found = is_anomalous(scores, threshold)
    hits = int(np.count_nonzero(found & labels))
    return 2.0 * hits / (int(np.count_nonzero(found)) + int(np.count_nonzero(labels)))


class Ranked(NamedTuple):
    """Metrics of the order of scores, each in [0, 1]."""

    auroc: float
    average_precision: float
    f1_max: float  # ORACLE


def ranked(normal: np.ndarray, anomalous: np.ndarray) -> Ranked:
    """The exact metrics of finite scores by class, (N,) and (P,), neither empty, in float64.

    Only the anomalous scores, on pixels the few, are thresholds that matter: between two of them recall stays and
    precision falls. Each one is looked up in the sorted normals. O((N + P) log N); peak 4 bytes per score for float32
    and 40 per anomalous one, besides the input. -0.0 ties with 0.0.
    """
    normal, anomalous = np.sort(normal), np.sort(anomalous)
    below, upto = (np.searchsorted(normal, anomalous, side) for side in ("left", "right"))
    auroc = (int(below.sum()) + int(upto.sum())) / (2 * normal.size * anomalous.size)
    hits = anomalous.size - np.searchsorted(anomalous, anomalous)  # with ties: at the end of the tie
    found = hits + (normal.size - below)
    return Ranked(auroc, float(np.mean(hits / found)), float(np.max(2 * hits / (found + anomalous.size))))
