"""AUROC, average precision and F1, exact, for images and for pixels.

Each function takes numpy arrays, torch tensors or lists, and gives a Python float, or None where the metric is
undefined (one class only, or nothing at all): a 0 would be averaged into a table.

All but `f1_at` depend only on the order of the scores and on their ties. So the whole split is sorted once, and what
goes on to torchmetrics are the ranks: it silently passes scores through a sigmoid when any of them lies outside
[0, 1]. That is harmless to the order only on paper: in float32 every score past about 17 becomes 1, so DFR's and
DMAD's unbounded maps would collapse into ties, and batch by batch the order itself changes. Ranks lie in [0, 1) and
are equal exactly where the scores are equal.

Peak memory, measured by benchmarks/metrics.py: 65 to 90 bytes per score besides the input, about 20 times a float32
map (0.6 GB for 117 maps of 256 x 256); all but 14 of them are torchmetrics' integer curves. `f1_at` takes 2 bytes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from anomaly_lib.evaluation.inputs import as_maps, as_pair, undefined_reason
from anomaly_lib.evaluation.thresholds import is_anomalous

_EXACT_IN_FLOAT32 = 2**24  # every integer up to here is a float32


def image_auroc(scores, labels) -> float | None:
    """Area under the ROC curve of image scores: P(anomalous scores higher than normal), ties half.

    scores (N,) any finite range, higher = more anomalous; labels (N,) bool or 0/1. In [0, 1].
    None with one class only; ValueError for non-finite scores, other labels or unequal shapes.
    """
    scores, labels = as_pair(scores, labels)
    return None if undefined_reason(labels) else auroc_of(rank(scores, labels))


def pixel_auroc(maps, masks) -> float | None:
    """Area under the ROC curve over all pixels of the split, pooled: maps and masks (N, H, W).

    Saturated on most data (defects are small); read it beside AUPRO. Otherwise as `image_auroc`.
    """
    return image_auroc(*as_maps(maps, masks))


def average_precision(scores, labels) -> float | None:
    """Area under the precision-recall curve by steps, sum of (R_k - R_k-1) P_k; the trapezoid overestimates.

    Images (N,) or maps and masks of any equal shape. Depends on the class balance: a random score
    gives the share of anomalous elements. None and errors as `image_auroc`.
    """
    scores, labels = as_pair(scores, labels)
    return None if undefined_reason(labels) else precision_recall_of(rank(scores, labels))[0]


def f1_max(scores, labels) -> float | None:
    """ORACLE: the largest F1 over all thresholds, chosen on the test labels themselves.

    An upper bound no deployed detector reaches; report it under that name. `f1_at` with a threshold from
    held-out normals is the honest figure. Shapes, None and errors as `average_precision`.
    """
    scores, labels = as_pair(scores, labels)
    return None if undefined_reason(labels) else precision_recall_of(rank(scores, labels))[1]


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


# From the one sort.


class Ranking(NamedTuple):
    """n scores from highest to lowest, with their labels: 5 bytes per score (9 beyond 2^24 distinct ones)."""

    levels: np.ndarray  # (n,) float32 or float64 in [0, 1), non-increasing, tied as the scores are
    labels: np.ndarray  # (n,) bool, True = anomalous; the order within a tie means nothing

    def tensors(self):
        """The (preds, target) pair for torchmetrics' exact mode, `thresholds=None`.

        Being sorted already makes torchmetrics two to four times faster than maps would: it sorts again,
        but finds order, and its gathers walk through memory in sequence.
        """
        import torch

        return torch.from_numpy(self.levels), torch.from_numpy(self.labels)


def auroc_of(ranking: Ranking) -> float:
    """AUROC from a sort already made; both classes present."""
    from torchmetrics.functional.classification import binary_auroc

    preds, target = ranking.tensors()
    return float(binary_auroc(preds, target, thresholds=None, validate_args=False))


def precision_recall_of(ranking: Ranking) -> tuple[float, float]:
    """Average precision and F1-max from one exact precision-recall curve of a sort already made."""
    import torch
    from torchmetrics.functional.classification import binary_precision_recall_curve

    preds, target = ranking.tensors()
    precision, recall, _ = binary_precision_recall_curve(preds, target, thresholds=None, validate_args=False)
    ap = float(((recall[:-1] - recall[1:]) * precision[:-1]).sum(dtype=torch.float64))
    # Both are 0 only where nothing anomalous lies above the threshold; F1 is 0 there.
    f1 = 2 * precision * recall / (precision + recall).clamp_min(1e-30)
    return min(max(ap, 0.0), 1.0), float(f1.max())


def rank(scores: np.ndarray, labels: np.ndarray) -> Ranking:
    """Sort finite float scores with bool labels, both of one shape, and number the tie groups.

    O(n log n); peak 14 bytes per score for float32, 18 for float64, besides the input. Scores that differ in
    their last bit stay apart; -0.0 ties with 0.0.
    """
    values, labels = _sorted(scores, labels)
    return Ranking(np.ascontiguousarray(_levels(values)[::-1]), np.ascontiguousarray(labels[::-1]))


def _sorted(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores in ascending order and the labels that belong to them, flat.

    The two classes are sorted apart and merged: a sort of plain numbers takes half the time and memory of
    an argsort, and there are few anomalous pixels to be looked up.
    """
    normal, anomalous = np.sort(scores[~labels]), np.sort(scores[labels])
    place = np.searchsorted(normal, anomalous) + np.arange(anomalous.size)
    merged_labels = np.zeros(scores.size, dtype=bool)
    merged_labels[place] = True
    values = np.empty(scores.size, dtype=scores.dtype)
    values[merged_labels], values[~merged_labels] = anomalous, normal
    return values, merged_labels


def _levels(ascending: np.ndarray) -> np.ndarray:
    """Dense ranks of sorted scores from 0, scaled by a power of two so that they are exact and below 1."""
    group = np.zeros(ascending.size, dtype=np.int32 if ascending.size < 2**31 else np.int64)
    np.cumsum(ascending[1:] != ascending[:-1], out=group[1:])
    small = group[-1] < _EXACT_IN_FLOAT32
    levels: np.ndarray = group.astype(np.float32 if small else np.float64)
    levels *= 2.0**-24 if small else 2.0**-53
    return levels
