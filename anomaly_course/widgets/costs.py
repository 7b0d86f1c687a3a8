"""What a threshold does and costs: rates, precision, misses against false alarms, its place on the PRO curve.

Costs are per image, in units of one false alarm: a miss costs ``ratio`` of them, and a ``share`` of the images is
anomalous. Moving a threshold trades one against the other, so the best threshold depends on both numbers.
"""

from dataclasses import dataclass

import numpy as np

from anomaly_lib.evaluation import is_anomalous, pro_points
from anomaly_lib.evaluation.curves import label_regions
from anomaly_lib.evaluation.inputs import as_pair

LIMIT = 0.3
"""End of the PRO curve's axis, as for AUPRO 0.3."""


def rates(scores, labels, threshold: float) -> tuple[float, float]:
    """Recall and false-positive rate where "anomalous" means score >= threshold; both in [0, 1].

    scores (N,) finite, labels (N,) bool or 0/1 with both classes.
    """
    scores, labels = as_pair(scores, labels)
    found = is_anomalous(scores, threshold)
    return float(found[labels].mean()), float(found[~labels].mean())


def precision(recall: float, false_positive_rate: float, share: float) -> float | None:
    """Share of true alarms among all alarms where ``share`` of the images is anomalous; None without an alarm."""
    alarms = recall * share + false_positive_rate * (1 - share)
    return recall * share / alarms if alarms > 0 else None


def expected_cost(recall, false_positive_rate, share: float, ratio: float):
    """Mean cost of an image; recall and false_positive_rate are numbers or arrays in [0, 1], share in [0, 1]."""
    return share * (1 - recall) * ratio + (1 - share) * false_positive_rate


def cost_curve(scores, labels, share: float, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Every threshold that decides differently, ascending, and its expected cost: two arrays (K,) of float64.

    scores (N,) finite, labels (N,) bool or 0/1 with both classes. The last threshold lies above all scores.
    """
    scores, labels = as_pair(scores, labels)
    scores = scores.astype(np.float64)
    thresholds = np.append(np.unique(scores), np.nextafter(scores.max(), np.inf))
    normal, anomalous = np.sort(scores[~labels]), np.sort(scores[labels])
    false_positives = 1 - np.searchsorted(normal, thresholds) / normal.size
    recall = 1 - np.searchsorted(anomalous, thresholds) / anomalous.size
    return thresholds, expected_cost(recall, false_positives, share, ratio)


def cheapest_threshold(scores, labels, share: float, ratio: float) -> float:
    """The threshold of least expected cost on these images, the highest if there are several.

    On test images that is an oracle: it has seen the labels. Arguments as ``cost_curve``.
    """
    thresholds, costs = cost_curve(scores, labels, share, ratio)
    return float(thresholds[np.flatnonzero(costs == costs.min())[-1]])


@dataclass(frozen=True)
class PixelCurve:
    """The PRO curve of a test split, and where a pixel threshold stands on it."""

    points: tuple[tuple[float, float], ...]
    """(false-positive rate, mean overlap) up to ``LIMIT``."""
    normal: np.ndarray
    """Scores of the normal pixels, ascending, float64."""
    defect: np.ndarray
    """Scores of the defect pixels, ascending, float64."""
    weights: np.ndarray
    """(D + 1,): the PRO of the pixels from each place of ``defect`` upwards, and a 0 at the end."""

    def at(self, threshold: float) -> tuple[float, float]:
        """False-positive rate of pixels and mean overlap of the regions where "anomalous" means >= threshold."""
        false_positives = 1 - np.searchsorted(self.normal, threshold) / self.normal.size
        return float(false_positives), float(self.weights[np.searchsorted(self.defect, threshold)])


def pixel_curve(maps, masks) -> PixelCurve | None:
    """The curve of maps and masks (N, H, W); None without a defect region or without a normal pixel."""
    maps, masks = as_pair(maps, masks, ("maps", "masks"))
    points = pro_points(maps, masks, LIMIT)
    if points is None:
        return None
    region, areas = label_regions(masks)
    defect = maps[masks].astype(np.float64)
    order = np.argsort(defect)
    weights = (1 / (areas[region] * areas.size))[order]
    above = np.append(np.cumsum(weights[::-1])[::-1], 0.0)
    pairs = tuple((point["false_positive_rate"], point["overlap"]) for point in points)
    return PixelCurve(pairs, np.sort(maps[~masks].astype(np.float64)), defect[order], above)
