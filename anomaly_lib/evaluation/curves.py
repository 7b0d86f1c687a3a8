"""AUPRO, the area under the per-region-overlap curve, exact, without a loop over thresholds; curves as points.

Source: Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021. At a threshold t,

    FPR(t) = share of all normal pixels of the split, in normal and in anomalous images, with score >= t
    PRO(t) = mean over the defect regions of the share of the region's pixels with score >= t

and AUPRO(L) is the integral of PRO over FPR from 0 to L, divided by L.

Why no loop: give each defect pixel the weight 1 / (area of its region x number of regions), and PRO(t) is the sum of
the weights at or above t. Only the values of defect pixels bend the curve, and how many normal pixels lie above each
of them is looked up in the sorted normal pixels, of which only those that can come before FPR = L need sorting. So
every threshold counts. Two hundred equally spaced ones are not enough: on a map that saturates like DRAEM's softmax
they gave 0.690, and exact is 0.723.

Decisions: defect regions are 8-connected; the curve is linear between the ends of tie groups (a tie is crossed by a
straight line, as in AUROC); the last point is interpolated at exactly L. Everywhere in this package ``region`` is a
region of interest: pixels outside of it do not count.

The curves themselves are given as few points: rows for a CSV file, a figure or a DVC plot. A curve of seven million
pixels has about as many corners. At most 400 of them are kept, at even steps along the curve, so that steep and flat
parts are both drawn; the ends are exact, and the area below the straight lines between the kept points differs from
the metric by less than 0.001 (tested).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anomaly_lib.evaluation.inputs import as_maps, as_pair, as_region, undefined_reason

MOST_POINTS = 400
Points = list[dict[str, float]]


@dataclass(frozen=True)
class Pixels:
    """The pixels of a split that count, by class, in C order."""

    normal: np.ndarray  # (M,) their values
    defect: np.ndarray  # (D,) their values
    number: np.ndarray  # (D,) the defect region of each, 0..R-1
    areas: np.ndarray  # (R,) pixels of each defect region
    reason: str | None  # why the metrics of this split are undefined, if they are

    @property
    def weight(self) -> np.ndarray:
        """(D,) 1 / area of the defect region: what each pixel adds to the sum of overlaps."""
        return 1.0 / self.areas[self.number]


def pixels_of(maps: np.ndarray, masks: np.ndarray, region: np.ndarray | None) -> Pixels:
    """The pixels of checked maps and masks (N, H, W), of those inside the region (N, H, W) where there is one."""
    reason = undefined_reason(masks if region is None else masks[region], "pixel")
    normal, defect = sides(masks, region)
    return Pixels(maps[normal], maps[defect], *label_regions(masks, region), reason)


def sides(masks: np.ndarray, region: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels (N, H, W) are normal and which are defect, inside the region where there is one."""
    return (~masks, masks) if region is None else (~masks & region, masks & region)


def aupro(maps, masks, limit: float = 0.3, region=None) -> float | None:
    """AUPRO up to the false-positive rate `limit`, in [0, 1]; a perfect map gives exactly 1.

    maps (N, H, W) finite, any range, higher = more anomalous; masks (N, H, W) bool or 0/1; region (H, W) or
    (N, H, W) bool. None without a defect region or without a normal pixel. ValueError for non-finite maps, other mask
    values, unequal shapes, or a limit outside (0, 1]. Peak besides the input 9 bytes per pixel for float32 maps and
    limit 0.3, 12 for limit 1; 24 for float64.
    """
    check_limit(limit)
    maps, masks = as_maps(maps, masks)
    pixels = pixels_of(maps, masks, as_region(region, maps.shape))
    return None if pixels.reason else pro_areas(pixels.normal, pixels.defect, pixels.weight, [limit])[0]


def check_limit(limit: float) -> None:
    """ValueError unless 0 < limit <= 1."""
    if not 0 < limit <= 1:
        raise ValueError(f"the false-positive limit must lie in (0, 1], got {limit}")


def label_regions(masks: np.ndarray, region: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Number the 8-connected defect regions of the whole split, each image on its own.

    masks (N, H, W) bool -> numbers (D,), 0..R-1 of each defect pixel in the order of `maps[masks]`, and areas
    (R,) in pixels. Diagonal neighbours are one defect region, so that a thin scratch is not counted as many.
    With a region of interest (N, H, W), of the pixels inside alone, in the order of `maps[masks & region]`: numbered
    on the whole masks and then cut, so that what the cut parts stays one.
    """
    from scipy import ndimage

    if masks.ndim != 3:
        raise ValueError(f"maps and masks must be (N, H, W), got {masks.shape}")
    parts, count = [np.zeros(0, dtype=np.int32)], 0
    for mask in masks[masks.any(axis=(1, 2))]:
        labels, found = ndimage.label(mask, structure=np.ones((3, 3)))
        parts.append(labels[mask] + (count - 1))
        count += found
    numbers: np.ndarray = np.concatenate(parts)
    if region is not None:
        kept, numbers = np.unique(numbers[region[masks]], return_inverse=True)
        count = kept.size
    return numbers, np.bincount(numbers, minlength=count)


def pro_areas(normal: np.ndarray, defect: np.ndarray, weight: np.ndarray, limits: Sequence[float]) -> list[float]:
    """AUPRO at each limit from the pixels themselves: arguments as `pro_curve`, neither class empty."""
    false_positives, overlap = pro_curve(normal, defect, weight, max(limits))
    return [_area(false_positives, overlap, limit * normal.size) for limit in limits]


def pro_curve(
    normal: np.ndarray, defect: np.ndarray, weight: np.ndarray, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """The corners of the PRO curve from FPR 0 past `limit`: normal pixels at or above t (a count), PRO(t).

    normal (M,) scores, reordered in place; defect and weight (D,). Between two defect values PRO is
    constant, so each distinct value gives two corners: where its tie group begins and where it ends.
    """
    above = _highest(normal, limit)
    order = np.argsort(-defect)
    values = defect[order]
    first = np.flatnonzero(np.append(True, values[1:] != values[:-1]))  # of each tie group
    values = values[first]
    begin = above.size - np.searchsorted(above, values, side="right")  # normal pixels > value
    end = above.size - np.searchsorted(above, values, side="left")  # normal pixels >= value
    gained = np.cumsum(np.add.reduceat(weight[order], first))
    overlap = gained / gained[-1]  # by the last sum, not by R: ends at exactly 1
    before = np.append(0.0, overlap[:-1])
    x, y = _interleave(begin, end), _interleave(before, overlap)
    return np.concatenate([[0], x, [normal.size]]), np.concatenate([[0.0], y, [1.0]])


def _highest(normal: np.ndarray, limit: float) -> np.ndarray:
    """The normal scores, ascending, down to and with all ties of the one where FPR reaches the limit.

    A lower defect value then counts all of them, which is past the limit: its true place is not needed.
    """
    last = normal.size - min(math.ceil(limit * normal.size) + 1, normal.size)
    normal.partition(last)
    return np.sort(normal[normal >= normal[last]])


def _interleave(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left[0], right[0], left[1], right[1], ..."""
    return np.stack([left, right], axis=1).reshape(-1)


def _area(false_positives: np.ndarray, overlap: np.ndarray, stop: float) -> float:
    """The mean of PRO while the count of false positives goes from 0 to `stop`."""
    inside = int(np.searchsorted(false_positives, stop, side="right"))
    x, missed = false_positives[:inside].astype(np.float64), 1.0 - overlap[:inside]
    if inside < false_positives.size:  # the curve goes on: cut it at exactly the limit
        step = (stop - x[-1]) / (false_positives[inside] - x[-1])
        x = np.append(x, stop)
        missed = np.append(missed, missed[-1] + step * (1.0 - overlap[inside] - missed[-1]))
    # Integrating what is missed, not what is found, makes a perfect map exactly 1 and not 1 - 1e-16.
    lost = np.sum(np.diff(x) * (missed[1:] + missed[:-1])) / 2
    return float(min(max(1.0 - lost / stop, 0.0), 1.0))


# Curves as points.


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
    values = np.unique(scores)[::-1]
    hits, false_alarms = (
        side.size - np.searchsorted(np.sort(side), values) for side in (scores[labels], scores[~labels])
    )
    return hits, false_alarms


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
