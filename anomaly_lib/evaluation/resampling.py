"""Metrics of images that count more than once: what a bootstrap needs for thousands of resamples.

A resample is a row of weights, one per image: how often it was drawn. Scores are first reduced to groups, from the
highest to the lowest: exact groups of ties for image scores, bins for the millions of pixels. All metrics of a resample
follow from weights @ counts. Arrays: B resamples, N images, K groups.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from anomaly_lib.evaluation.curves import label_regions, sides
from anomaly_lib.evaluation.summary import AUPRO_LIMITS

_BLOCK = 2**18  # numbers in one block of resamples: 2 MB per array


def resampled(labels: np.ndarray, seed: int, resamples: int, columns: int, purpose: str) -> Iterator[np.ndarray]:
    """Blocks of weights (B, N): images drawn with replacement, the classes of ``labels`` (N,) bool apart.

    B is such that B x ``columns`` numbers stay small; ``purpose`` names the generator.
    """
    from anomaly_lib.base.reproducibility import derived_seed

    rng = np.random.default_rng(derived_seed(seed, purpose))
    block = max(1, _BLOCK // max(columns, labels.size))
    for start in range(0, resamples, block):
        weights = np.empty((min(block, resamples - start), labels.size))
        for side in (labels, ~labels):
            if count := int(np.count_nonzero(side)):
                weights[:, side] = rng.multinomial(count, np.full(count, 1 / count), size=len(weights))
        yield weights


# normal, anomalous (B, K): the weight of each class in each group.


def tie_groups(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order (N,) from the highest score to the lowest, and where (K,) each group of equal scores begins."""
    order = np.argsort(-scores, kind="stable")
    values = scores[order]
    return order, np.flatnonzero(np.append(True, values[1:] != values[:-1]))


def summed(weights: np.ndarray, groups: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Weights (B, N) of the images summed in tie groups (B, K)."""
    order, first = groups
    return np.add.reduceat(weights[:, order], first, axis=1)


def auroc(normal: np.ndarray, anomalous: np.ndarray) -> np.ndarray:
    """(B,) share of pairs in order, ties half; nan without a pair."""
    above = np.cumsum(normal, axis=1)
    pairs = above[:, -1] * anomalous.sum(axis=1)
    return 1 - _ratio((anomalous * (above - normal / 2)).sum(axis=1), pairs)


def average_precision(normal: np.ndarray, anomalous: np.ndarray) -> np.ndarray:
    """(B,) sum of (R_k - R_k-1) P_k; nan without an anomalous element."""
    hits = np.cumsum(anomalous, axis=1)
    found = hits + np.cumsum(normal, axis=1)
    steps = anomalous * np.divide(hits, found, out=np.zeros_like(hits), where=found > 0)
    return _ratio(steps.sum(axis=1), hits[:, -1])


def aupro(normal: np.ndarray, overlap: np.ndarray, limit: float) -> np.ndarray:
    """(B,) AUPRO up to `limit`, straight within a group; overlap (B, K) is what each group adds to PRO."""
    right, top = np.cumsum(normal, axis=1), np.cumsum(overlap, axis=1)
    stop = limit * right[:, -1:]
    left = right - normal
    inside = np.clip(_ratio(stop - left, normal, empty=0.0), 0, 1)  # the share of the group before the limit
    mean = top - overlap + inside * overlap / 2
    return _ratio((normal * inside * mean).sum(axis=1), stop[:, 0] * top[:, -1])


def _ratio(above: np.ndarray, below: np.ndarray, empty: float = np.nan) -> np.ndarray:
    """above / below, and `empty` where below is 0."""
    return np.divide(above, below, out=np.full_like(above, empty, dtype=np.float64), where=below > 0)


# Histograms.


def histograms_of(maps: np.ndarray, masks: np.ndarray, bins: int, region: np.ndarray | None = None) -> np.ndarray:
    """(3, N, K) pixels of each image in bins from the highest to the lowest, K <= `bins` + 1.

    First the normal pixels, then the defect pixels, then the defect pixels with weight 1 / (area of the defect region);
    of those inside the region of interest (N, H, W) where there is one.
    """
    normal, defect = sides(masks, region)
    number, areas = label_regions(masks, region)
    weight = 1.0 / areas[number]
    edges = _edges(maps[normal], maps[defect], weight, bins)
    weights = np.split(weight, np.cumsum(np.count_nonzero(defect, axis=(1, 2)))[:-1])
    histograms = np.zeros((3, len(maps), edges.size + 1))
    for index, image in enumerate(maps):
        place = edges.size - np.searchsorted(edges, image, side="right")
        defects = place[defect[index]]
        histograms[0, index] = np.bincount(place[normal[index]], minlength=edges.size + 1)
        histograms[1, index] = np.bincount(defects, minlength=edges.size + 1)
        histograms[2, index] = np.bincount(defects, weights[index], minlength=edges.size + 1)
    return histograms


def _edges(normal: np.ndarray, defect: np.ndarray, weight: np.ndarray, bins: int) -> np.ndarray:
    """At most `bins` values, ascending and distinct, that begin a bin each.

    Any edges are valid, they only decide the resolution. So a 17th of the normal pixels is enough to place theirs
    (a prime: it meets every column of the picture). A quarter of the bins divide the defect pixels evenly, a
    quarter the defect regions evenly (the small ones too), half the normal pixels, as the cube of the rank.
    """
    cumulated = np.cumsum(weight[np.argsort(defect)])
    defect = np.sort(defect)
    normal = np.sort(normal[:: 17 if normal.size > 17 * bins else 1])
    quarter = np.linspace(0, 1, bins // 4)
    by_region = np.minimum(np.searchsorted(cumulated, quarter * cumulated[-1]), defect.size - 1)
    top = (1 - np.linspace(0, 1, bins // 2) ** 3) * (normal.size - 1)
    picked = (
        normal[np.round(top).astype(int)],
        defect[by_region],
        defect[np.round(quarter * (defect.size - 1)).astype(int)],
    )
    return np.unique(np.concatenate(picked))


def pixel_metrics(weights: np.ndarray, histograms: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics of pixels and defect regions (B,) of each resample: weights (B, N), histograms (3, N, K)."""
    normal, defect, overlap = (weights @ histogram for histogram in histograms)
    metrics = {"pixel_auroc": auroc(normal, defect), "pixel_ap": average_precision(normal, defect)}
    return metrics | {key: aupro(normal, overlap, limit) for key, limit in AUPRO_LIMITS.items()}
