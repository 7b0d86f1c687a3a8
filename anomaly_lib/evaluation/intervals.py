"""How far a number may be from what more test images would have shown: intervals of rates and of metrics.

Test splits are small (toothbrush of MVTec AD: 12 normal and 30 anomalous images; one swap of ranks is 0.28
points of AUROC), so a metric without its interval says little. Three kinds:

* `achieved_rate_interval`: what thresholds of so few held-out normals will flag among new ones. Exact.
* `auroc_interval`: the AUROC of other test images. A score interval, which stays honest near 1.
* `image_intervals`, `pixel_intervals`: for all other metrics percentile bootstrap. Images are drawn with replacement,
  the normal and the anomalous ones apart, so that every resample has the split's class balance. The image is the unit,
  never the pixel: pixels of one image resemble each other, and drawing them singly would give far too narrow intervals.

All speak of other test images for the same trained model; `comparison` speaks of other categories and seeds. How often
they hold the truth is simulated: docs/fidelity/intervals.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anomaly_lib.evaluation.inputs import as_labels, as_pair, as_region, undefined_reason, with_reasons
from anomaly_lib.evaluation.resampling import (
    average_precision,
    histograms_of,
    pixel_metrics,
    resampled,
    summed,
    tie_groups,
)
from anomaly_lib.evaluation.summary import AUPRO_LIMITS, NO_MASKS, checked_pixels
from anomaly_lib.evaluation.thresholds import allowed_count

IMAGE_KEYS = ("image_auroc", "image_ap")
PIXEL_KEYS = ("pixel_auroc", "pixel_ap", *AUPRO_LIMITS)
BINS = 4096


def achieved_rate_interval(runs: Sequence[tuple[int, float, int]], confidence: float = 0.95) -> tuple[float, float]:
    """Central prediction interval of the false-positive rate that thresholds will show on new normals, pooled.

    runs: independent ones (held_out, requested_rate, total), such as categories, each with its own images.
    `quantile_threshold` of n = held_out normal images, which may flag k = floor(rate x n) of them, stands just above
    the (k + 1)-th largest of n scores. So the share of all normals beyond it is Beta(k + 1, n - k) whatever the scores'
    distribution, and the number flagged among `total` new ones is BetaBinomial(total, k + 1, n - k), with the mean
    `expected_rate`. An achieved rate outside the interval says that the test normals differ from the held-out ones.
    12 held-out images, 0.5 % requested, 20 new ones: (0, 0.30), inside of which nearly everything is; four such runs:
    (0.01, 0.19).

    Holds with at least the given confidence, as counts are whole. With tied scores fewer are flagged, and the upper
    end holds but not the lower. Not for pixels, which are not independent. ValueError for no held-out or no new
    normals, another rate, or a confidence outside (0, 1).
    Source: Wilks, Annals of Mathematical Statistics 1941 (tolerance limits).
    """
    from scipy.stats import betabinom

    check_confidence(confidence)
    chance = np.ones(1)  # of each number of flagged images
    for held_out, requested_rate, total in runs:
        if total < 1:
            raise ValueError("an achieved rate needs at least one new normal")
        flagged = allowed_count(held_out, requested_rate)
        chance = np.convolve(chance, betabinom.pmf(np.arange(total + 1), total, flagged + 1, held_out - flagged))
    cumulated = np.cumsum(chance)
    tail = (1 - confidence) / 2
    # The smallest counts whose cumulated probability reaches tail and 1 - tail; the sum may end at 1 - 1e-16.
    low, high = np.searchsorted(cumulated, [tail, min(1 - tail, cumulated[-1])]) / (chance.size - 1)
    return float(low), float(high)


def decision_check(thresholds: dict, achieved: float | None, n_normal: int, confidence: float = 0.95) -> dict:
    """The requested, expected and achieved false-positive rate of images, and whether chance explains the difference.

    ``thresholds`` as ``calibrate`` gives them, ``achieved`` the share of ``n_normal`` normal test images that were
    flagged. Keys: requested, expected, resolution (1 / (n + 1), the finest rate that n held-out images can promise),
    achieved, low, high (``achieved_rate_interval``), within, held_out and new (numbers of images); only a ``reason``
    where there is nothing to check.
    """
    if thresholds.get("image") is None:
        return {"reason": thresholds.get("reason", "the model has no threshold")}
    if thresholds["image_requested_rate"] is None:
        return {"reason": "the rule sigma asks for no rate", "achieved": achieved}
    if achieved is None:
        return {"reason": "no normal images in the test split"}
    held_out, requested = thresholds["held_out_images"], thresholds["image_requested_rate"]
    low, high = achieved_rate_interval([(held_out, requested, n_normal)], confidence)
    return {
        "requested": requested,
        "expected": thresholds["image_expected_rate"],
        "resolution": 1 / (held_out + 1),
        "achieved": achieved,
        "low": low,
        "high": high,
        "within": low <= achieved <= high,
        "held_out": held_out,
        "new": n_normal,
    }


def auroc_interval(scores, labels, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of the AUROC: all values that the observed one does not contradict, within [0, 1].

    scores (N,), labels (N,) 0 = normal, 1 = anomalous, two of each at least. The variance is that of Newcombe's method
    5 at the supposed value, not at the observed one, so that perfect ranks do not mean certainty: 20 + 30 images with
    AUROC 1 give (0.92, 1). Where DeLong's variance of these scores differs from the model's, the model's is scaled to
    it, but at least to 0.9: near 1 DeLong's is far too small. ValueError as `image_auroc`, for a class without two
    images, or another confidence.
    Source: Newcombe, Statistics in Medicine 2006, part 2, method 5; DeLong et al., Biometrics 1988.
    """
    check_confidence(confidence)
    scores, labels = as_pair(scores, labels)
    if min(np.count_nonzero(labels), np.count_nonzero(~labels)) < 2:
        raise ValueError("an interval of the AUROC needs two normal and two anomalous images")
    normal, anomalous = scores[~labels], scores[labels]
    low, high = score_interval(*delong(normal, anomalous), normal.size, anomalous.size, confidence)
    return float(low), float(high)


def delong(normal: np.ndarray, anomalous: np.ndarray) -> tuple[np.float64, np.float64]:
    """AUROC and DeLong's variance of it, from scores (M,) and (N,)."""
    found, passed = _placements(anomalous, normal), _placements(normal, anomalous)
    return found.mean(), found.var(ddof=1) / found.size + passed.var(ddof=1) / passed.size


def _placements(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Share of the others that each score lies above, ties half: (N,)."""
    others = np.sort(others)
    return (np.searchsorted(others, scores, "left") + np.searchsorted(others, scores, "right")) / (2 * others.size)


def score_interval(auroc, variance, n_normal: int, n_anomalous: int, confidence: float):
    """Ends (B,) of `auroc_interval` for AUROCs (B,) and their variances (B,) as DeLong has them.

    The ends are the values at which |observed - supposed| is as many deviations as the confidence asks for.
    """
    from scipy.stats import norm

    def supposed(value):  # Newcombe 2006, method 5: exponential scores, both sample sizes replaced by their mean
        others = (n_normal + n_anomalous) / 2 - 1
        factor = 1 + others * ((1 - value) / (2 - value) + value / (1 + value))
        return value * (1 - value) * factor / (n_normal * n_anomalous)

    model = supposed(auroc)
    scale = np.maximum(0.9, np.divide(variance, model, out=np.ones_like(variance), where=model > 0))
    bound = norm.ppf((1 + confidence) / 2) ** 2 * scale

    def lower(observed):
        low, high = np.zeros_like(observed), observed
        for _ in range(60):
            middle = (low + high) / 2
            out = (observed - middle) ** 2 > bound * supposed(middle)
            low, high = np.where(out, middle, low), np.where(out, high, middle)
        return low

    return lower(auroc), 1 - lower(1 - auroc)  # the variance is symmetric


def image_intervals(scores, labels, seed: int, resamples: int = 1000, confidence: float = 0.95) -> dict:
    """Intervals (low, high): `auroc_interval`, and of `image_ap` a bootstrap by image, stratified by label.

    scores (N,), labels (N,) 0 = normal, 1 = anomalous. A key is None where the metric is undefined, a class has
    one image, which leaves nothing to draw from, or all resamples agree, as with perfect scores: a bootstrap cannot
    imagine an error that it has not seen. "undefined" holds {key: reason}. Average precision is that of the split's
    own class balance, and its interval too narrow near 1.
    10 ms for 117 images. ValueError as `image_auroc`, or for no resamples or a confidence outside (0, 1).
    """
    check_resampling(resamples, confidence)
    scores, labels = as_pair(scores, labels)
    reason = undefined_reason(labels) or _too_few(labels)
    if reason:
        return with_reasons(dict.fromkeys(IMAGE_KEYS, reason))
    groups = tie_groups(scores)
    blocks = resampled(labels, seed, resamples, scores.size, "image intervals")
    sides = ([summed(weights * side, groups) for side in (~labels, labels)] for weights in blocks)
    drawn = _percentiles([{"image_ap": average_precision(*pair)} for pair in sides], confidence)
    return {"image_auroc": auroc_interval(scores, labels, confidence)} | drawn


def pixel_intervals(
    maps, masks, labels, seed: int, resamples: int = 200, confidence: float = 0.95, bins: int = BINS, region=None
) -> dict:
    """Bootstrap intervals (low, high) of pixel_auroc, pixel_ap, aupro_030 and aupro_005, by image.

    maps (N, H, W), masks (N, H, W) or None, labels (N,) 0 = normal, 1 = anomalous, by which the drawing is
    stratified; region as in `evaluate`. Each image is kept as a histogram over `bins` values of the pooled maps, so
    that a resample is one product, weights @ histograms. Binning moves a metric by less than 0.002 (by 0.0002 on 117
    maps of 256 x 256, most in AP): far less than any interval's width.

    A key is None as in `image_intervals`, or without masks or defects; "undefined" holds {key: reason}. Resamples
    that happen to hold no defect pixel, possible where some anomalous images have empty masks, are left out.
    With 200 resamples the ends themselves scatter by about a tenth of the width. 117 maps of 256 x 256: 0.5 s.
    ValueError as `evaluate`, or for no resamples, fewer than 16 bins or another confidence.
    """
    check_resampling(resamples, confidence)
    if bins < 16:
        raise ValueError(f"need at least 16 bins, got {bins}")
    labels = as_labels(labels)
    maps, masks = checked_pixels(labels, maps, masks)
    region = as_region(region, maps.shape)
    reason = NO_MASKS if masks is None else undefined_reason(masks if region is None else masks[region], "pixel")
    reason = reason or _too_few(labels)
    if masks is None or reason:
        return with_reasons(dict.fromkeys(PIXEL_KEYS, reason))
    histograms = histograms_of(maps, masks, bins, region)
    blocks = resampled(labels, seed, resamples, histograms.shape[-1], "pixel intervals")
    return _percentiles([pixel_metrics(weights, histograms) for weights in blocks], confidence)


def _percentiles(blocks: list[dict[str, np.ndarray]], confidence: float) -> dict:
    """(low, high) of the resampled values of each metric; a resample without a value is nan and left out."""
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    ends: dict[str, tuple[float, ...] | str] = {}
    for key in blocks[0]:
        drawn = np.concatenate([block[key] for block in blocks])
        drawn = drawn[~np.isnan(drawn)]
        if not drawn.size:
            ends[key] = "no resample drew a defect"
        elif drawn.size > 1 and drawn.min() == drawn.max():
            ends[key] = f"all resamples give {drawn[0]:g}, which is no certainty"
        else:
            ends[key] = tuple(np.quantile(drawn, tails).tolist())
    return with_reasons(ends)


def _too_few(labels: np.ndarray) -> str | None:
    """Why nothing can be drawn from a class, if so; a class without images draws nothing, and that is right."""
    for side, name in ((~labels, "normal"), (labels, "anomalous")):
        if np.count_nonzero(side) == 1:
            return f"one {name} image in the test split: an interval needs two"
    return None


def check_resampling(resamples: int, confidence: float) -> None:
    check_confidence(confidence)
    if resamples < 1:
        raise ValueError(f"need at least one resample, got {resamples}")


def check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"the confidence must lie in (0, 1), got {confidence}")
