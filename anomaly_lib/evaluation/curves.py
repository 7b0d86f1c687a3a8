"""ROC, precision-recall and PRO curves as few points: rows for a CSV file, a figure or a DVC plot.

A curve of seven million pixels has about as many corners. At most 400 of them are kept, at even steps along the
curve, so that steep and flat parts are both drawn; the ends are exact, and the area below the straight lines
between the kept points differs from the metric by less than 0.001 (tested).
"""

from __future__ import annotations

import numpy as np

from anomaly_lib.evaluation.inputs import as_maps, as_pair, as_region, undefined_reason
from anomaly_lib.evaluation.metrics import rank
from anomaly_lib.evaluation.overlap import check_limit, pixels_of, pro_curve

MOST_POINTS = 400
Points = list[dict[str, float]]


def roc_points(scores, labels) -> Points | None:
    """The ROC curve from (0, 0) to (1, 1): rows of false_positive_rate and true_positive_rate, both in [0, 1].

    scores and labels of any equal shape, images (N,) or maps and masks (N, H, W); the area by trapezoids is
    `image_auroc` or `pixel_auroc`. None with one class only. ValueError as `image_auroc`.
    """
    if (counts := _counts(scores, labels)) is None:
        return None
    hits, false_alarms = counts
    x, y = np.append(0.0, false_alarms / false_alarms[-1]), np.append(0.0, hits / hits[-1])
    return _rows(("false_positive_rate", "true_positive_rate"), x, y, 1.0)


def precision_recall_points(scores, labels) -> Points | None:
    """The precision-recall curve as steps: rows of recall and precision, both in [0, 1].

    From recall 0 (with the precision of the highest scores) to where recall first is 1. Each threshold gives both
    corners of its step, so a line through the points is the step-wise curve and the area below it is
    `average_precision`; straight lines between thresholds would overestimate.
    Shapes, None and errors as `roc_points`.
    """
    if (counts := _counts(scores, labels)) is None:
        return None
    hits, false_alarms = counts
    gained = np.append(True, hits[1:] > hits[:-1]) & (hits > 0)  # other thresholds add no recall and no area
    recall, precision = hits[gained] / hits[-1], hits[gained] / (hits + false_alarms)[gained]
    x = np.stack([np.append(0.0, recall[:-1]), recall], axis=1).reshape(-1)
    return _rows(("recall", "precision"), x, np.repeat(precision, 2), 1.0)


def pro_points(maps, masks, limit: float = 0.3, region=None) -> Points | None:
    """The per-region-overlap curve from false-positive rate 0 to exactly `limit`.

    Rows of false_positive_rate in [0, limit] and overlap in [0, 1], as `overlap` defines them; the area by
    trapezoids, divided by the limit, is `aupro`. Arguments, None and errors as `aupro`.
    """
    check_limit(limit)
    maps, masks = as_maps(maps, masks)
    pixels = pixels_of(maps, masks, as_region(region, maps.shape))
    if pixels.reason:
        return None
    false_positives, overlap = pro_curve(pixels.normal, pixels.defect, pixels.weight, limit)
    x = false_positives / pixels.normal.size
    inside = int(np.searchsorted(x, limit, side="right"))
    if inside < x.size:  # the curve goes on: cut it at exactly the limit
        share = (limit - x[inside - 1]) / (x[inside] - x[inside - 1])
        end = overlap[inside - 1] + share * (overlap[inside] - overlap[inside - 1])
        x, overlap = np.append(x[:inside], limit), np.append(overlap[:inside], end)
    return _rows(("false_positive_rate", "overlap"), x, overlap, limit)


def _counts(scores, labels) -> tuple[np.ndarray, np.ndarray] | None:
    """Anomalous and normal elements at or above each distinct score, from the highest: two int arrays (K,)."""
    scores, labels = as_pair(scores, labels)
    if undefined_reason(labels):
        return None
    ranking = rank(scores, labels)
    last = np.flatnonzero(np.append(ranking.levels[1:] != ranking.levels[:-1], True))  # of each tie group
    hits = np.cumsum(ranking.labels, dtype=np.int64)[last]
    return hits, last + 1 - hits


def _rows(names: tuple[str, str], x: np.ndarray, y: np.ndarray, width: float) -> Points:
    """The thinned curve as dicts; `width` is the range of x, which counts as much as that of y."""
    kept = _thinned(x / width, y)
    return [dict(zip(names, point, strict=True)) for point in zip(x[kept].tolist(), y[kept].tolist(), strict=True)]


def _thinned(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Places of at most `MOST_POINTS` corners of a curve: first and last of each of even pieces of its length.

    Both, so that a long straight line between two pieces stays where it is, whatever lies before and after it.
    """
    if x.size <= MOST_POINTS:
        return np.arange(x.size)
    length = np.cumsum(np.append(0.0, np.abs(np.diff(x)) + np.abs(np.diff(y))))
    pieces = MOST_POINTS // 2
    piece = np.minimum((length / length[-1] * pieces).astype(int), pieces - 1)
    change = np.flatnonzero(piece[1:] != piece[:-1])
    return np.unique(np.concatenate([[0], change, change + 1, [x.size - 1]]))
