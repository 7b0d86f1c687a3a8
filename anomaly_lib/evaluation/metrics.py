"""AUROC, average precision and F1, exact, for images and for pixels.

Each function takes numpy arrays, torch tensors or lists, and gives a Python float, or None where the
metric is undefined (one class only, or nothing at all): a 0 would be averaged into a table.

Peak memory, measured by benchmarks/metrics.py: 65 to 90 bytes a score besides the input, about 20 times a
float32 map (0.6 GB for 117 maps of 256 x 256); all but 14 of them are torchmetrics' integer curves. It grows
with the number of pixels only, never with thresholds or regions. `f1_at` takes 2 bytes.
"""

from __future__ import annotations

import numpy as np

from anomaly_lib.evaluation.inputs import as_pair, undefined_reason
from anomaly_lib.evaluation.ranking import Ranking, rank


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
    maps, masks = as_pair(maps, masks, ("maps", "masks"))
    return None if undefined_reason(masks) else auroc_of(rank(maps, masks))


def average_precision(scores, labels) -> float | None:
    """Area under the precision-recall curve by steps, sum of (R_k - R_k-1) P_k; not the trapezoid,
    which overestimates.

    Images (N,) or maps and masks of any equal shape. Depends on the class balance: a random score
    gives the share of anomalous elements. None and errors as `image_auroc`.
    """
    scores, labels = as_pair(scores, labels)
    return None if undefined_reason(labels) else precision_recall_of(rank(scores, labels))["ap"]


def f1_max(scores, labels) -> float | None:
    """ORACLE: the largest F1 over all thresholds, chosen on the test labels themselves.

    An upper bound no deployed detector reaches; report it under that name. `f1_at` with a threshold from
    held-out normals is the honest figure. Shapes, None and errors as `average_precision`.
    """
    scores, labels = as_pair(scores, labels)
    return None if undefined_reason(labels) else precision_recall_of(rank(scores, labels))["f1_max"]


def f1_at(scores, labels, threshold: float) -> float | None:
    """F1 where "anomalous" means score >= threshold, 2 TP / (2 TP + FP + FN), in [0, 1].

    The same convention as the curves and `thresholds.quantile_threshold`. 0 if nothing anomalous is
    found. Shapes, None and errors as `average_precision`.
    """
    from anomaly_lib.evaluation.thresholds import is_anomalous

    scores, labels = as_pair(scores, labels)
    if undefined_reason(labels):
        return None
    found = is_anomalous(scores, threshold)
    hits = int(np.count_nonzero(found & labels))
    return 2.0 * hits / (int(np.count_nonzero(found)) + int(np.count_nonzero(labels)))


def auroc_of(ranking: Ranking) -> float:
    """AUROC from a sort already made; both classes present."""
    from torchmetrics.functional.classification import binary_auroc

    preds, target = ranking.tensors()
    return float(binary_auroc(preds, target, thresholds=None, validate_args=False))


def precision_recall_of(ranking: Ranking) -> dict[str, float]:
    """`ap` and `f1_max` from one exact precision-recall curve of a sort already made."""
    import torch
    from torchmetrics.functional.classification import binary_precision_recall_curve

    preds, target = ranking.tensors()
    precision, recall, _ = binary_precision_recall_curve(preds, target, thresholds=None, validate_args=False)
    ap = float(((recall[:-1] - recall[1:]) * precision[:-1]).sum(dtype=torch.float64))
    # Both are 0 only where nothing anomalous lies above the threshold; F1 is 0 there.
    f1 = 2 * precision * recall / (precision + recall).clamp_min(1e-30)
    return {"ap": min(max(ap, 0.0), 1.0), "f1_max": float(f1.max())}
