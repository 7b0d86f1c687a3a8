"""How far a number may be from what more test images would have shown: intervals of rates and of metrics.

Test splits are small (toothbrush of MVTec AD: 12 normal and 30 anomalous images; one swap of ranks is 0.28
points of AUROC), so a metric without its interval says little. Four kinds:

* `rate_interval`: the true rate behind an observed count. Exact.
* `achieved_rate_interval`: what a threshold of so few held-out normals will flag among new ones. Exact.
* `image_intervals`, `pixel_intervals`: percentile bootstrap. Images are drawn with replacement, the normal and
  the anomalous ones apart, so that every resample has the split's class balance. The image is the unit, never
  the pixel: pixels of one image resemble each other, and drawing them singly would give far too narrow intervals.

* `compare`: two methods side by side, paired by category, because categories differ more than methods do. A difference
  of means alone hides that one easy category may have made it.

All but the last speak of other test images for the same trained model. Other seeds of the training are another matter.
"""

from __future__ import annotations

import numpy as np

from anomaly_lib.evaluation.inputs import as_labels, as_pair, as_region, undefined_reason, with_reasons
from anomaly_lib.evaluation.resampling import histograms_of, image_metrics, pixel_metrics, resampled, tie_groups
from anomaly_lib.evaluation.summary import AUPRO_LIMITS, NO_MASKS, checked_pixels
from anomaly_lib.evaluation.thresholds import allowed_count

FEWEST_PAIRS = 6  # with five even a clean sweep has p = 1/16
IMAGE_KEYS = ("image_auroc", "image_ap")
PIXEL_KEYS = ("pixel_auroc", "pixel_ap", *AUPRO_LIMITS)
BINS = 4096


def rate_interval(count: int, total: int, confidence: float = 0.95) -> tuple[float, float] | None:
    """Clopper-Pearson interval of the true rate after `count` of `total` independent trials, within [0, 1].

    It holds the truth with at least the given confidence, usually more. 0 of 12 gives (0, 0.26). None if total
    is 0. For images: pixels are not independent. ValueError for a count outside 0..total or a confidence
    outside (0, 1). Source: Clopper and Pearson, Biometrika 1934.
    """
    from scipy.stats import binomtest

    check_confidence(confidence)
    if not 0 <= count <= total:
        raise ValueError(f"need 0 <= count <= total, got {count} of {total}")
    if total == 0:
        return None
    low, high = binomtest(int(count), int(total)).proportion_ci(confidence, method="exact")
    return float(low), float(high)


def achieved_rate_interval(
    held_out: int, requested_rate: float, total: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Central prediction interval of the false-positive rate that a threshold will show on `total` new normals.

    `quantile_threshold` of n = `held_out` normal images, which may flag k = floor(rate x n) of them, stands just above
    the (k + 1)-th largest of n scores. So the share of all normals beyond it is Beta(k + 1, n - k) whatever the scores'
    distribution, and the number flagged among `total` new ones is BetaBinomial(total, k + 1, n - k), with the mean
    `expected_rate`. An achieved rate outside the interval says that the test normals differ from the held-out ones.
    12 held-out images, 0.5 % requested, 20 new ones: (0, 0.30).

    Holds with at least the given confidence, as counts are whole. With tied scores fewer are flagged, and the upper
    end holds but not the lower. Not for pixels, which are not independent. ValueError for no held-out or no new
    normals, another rate, or a confidence outside (0, 1).
    Source: Wilks, Annals of Mathematical Statistics 1941 (tolerance limits).
    """
    from scipy.stats import betabinom

    check_confidence(confidence)
    if total < 1:
        raise ValueError("an achieved rate needs at least one new normal")
    flagged = allowed_count(held_out, requested_rate)
    cumulated = np.cumsum(betabinom.pmf(np.arange(total + 1), total, flagged + 1, held_out - flagged))
    tail = (1 - confidence) / 2
    # The smallest counts whose cumulated probability reaches tail and 1 - tail; the sum may end at 1 - 1e-16.
    low, high = np.searchsorted(cumulated, [tail, min(1 - tail, cumulated[-1])])
    return float(low / total), float(high / total)


def decision_check(thresholds: dict, achieved: float | None, n_normal: int, confidence: float = 0.95) -> dict:
    """The requested, expected and achieved false-positive rate of images, and whether chance explains the difference.

    ``thresholds`` as ``calibrate`` gives them, ``achieved`` the share of ``n_normal`` normal test images that were
    flagged. Keys: requested, expected, resolution (1 / (n + 1), the finest rate that n held-out images can promise),
    achieved, low, high (``achieved_rate_interval``), within; only a ``reason`` where there is nothing to check.
    """
    if thresholds.get("image") is None:
        return {"reason": "the model has no threshold"}
    if thresholds["image_requested_rate"] is None:
        return {"reason": "the rule sigma asks for no rate", "achieved": achieved}
    if achieved is None:
        return {"reason": "no normal images in the test split"}
    held_out, requested = thresholds["held_out_images"], thresholds["image_requested_rate"]
    low, high = achieved_rate_interval(held_out, requested, n_normal, confidence)
    return {
        "requested": requested,
        "expected": thresholds["image_expected_rate"],
        "resolution": 1 / (held_out + 1),
        "achieved": achieved,
        "low": low,
        "high": high,
        "within": low <= achieved <= high,
    }


def image_intervals(scores, labels, seed: int, resamples: int = 1000, confidence: float = 0.95) -> dict:
    """Bootstrap intervals (low, high) of `image_auroc` and `image_ap`, by image and stratified by label.

    scores (N,), labels (N,) 0 = normal, 1 = anomalous. A key is None where the metric is undefined or a class has
    one image, which leaves nothing to draw from; "undefined" holds {key: reason}.
    Scores that separate the classes perfectly give (1, 1): a bootstrap cannot imagine an error that it has not
    seen. Read `rate_interval` beside it. Average precision is that of the split's own class balance.
    10 ms for 117 images. ValueError as `image_auroc`, or for no resamples or a confidence outside (0, 1).
    """
    check_resampling(resamples, confidence)
    scores, labels = as_pair(scores, labels)
    reason = undefined_reason(labels) or _too_few(labels)
    if reason:
        return with_reasons(dict.fromkeys(IMAGE_KEYS, reason))
    groups = tie_groups(scores)
    blocks = resampled(labels, seed, resamples, scores.size, "image intervals")
    return _percentiles([image_metrics(weights, labels, groups) for weights in blocks], confidence)


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
        ends[key] = tuple(np.quantile(drawn, tails).tolist()) if drawn.size else "no resample drew a defect"
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


# Two methods in pairs.


def compare(
    first: dict[str, float | None],
    second: dict[str, float | None],
    seed: int = 0,
    resamples: int = 10_000,
    confidence: float = 0.95,
) -> dict:
    """A metric of two methods, {category: value} each, compared over the categories where both have one.

    Keys: pairs (their number); mean_first, mean_second; mean_difference (first - second, the value's unit); wins,
    losses, ties (of the first; higher is better, ties are equal to the bit: round before if that is meant);
    p_value (two-sided Wilcoxon signed-rank test, exact, equal pairs left out as Wilcoxon did);
    interval (low, high) of the mean difference, percentile bootstrap over categories; left_out, the categories
    that only one side has, sorted; undefined {key: reason}.

    p_value is None with fewer than six unequal pairs, the interval with fewer than two pairs, the means with none.
    The p-value counts categories as a sample from all that might have been, and knows nothing of seeds: one run
    with another seed may turn it around. Do not test many metrics and report the one that wins.
    ValueError for a value that is NaN or infinite, no resamples, or a confidence outside (0, 1).
    """
    check_resampling(resamples, confidence)
    names = sorted(name for name in first if first[name] is not None and second.get(name) is not None)
    pairs = np.array([(first[name], second[name]) for name in names], dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(pairs).all():
        raise ValueError("values to compare must be finite; an undefined metric is None")
    difference = pairs[:, 0] - pairs[:, 1]
    entries = _means(pairs) | _signs(difference)
    entries |= {"p_value": _signed_rank(difference), "interval": _interval(difference, seed, resamples, confidence)}
    return with_reasons(entries | {"left_out": sorted((first.keys() | second.keys()) - set(names))})


# In the helpers below a value is a number, or a string: the reason why there is none.


def _means(pairs: np.ndarray) -> dict:
    keys = ("mean_first", "mean_second", "mean_difference")
    if not len(pairs):
        return dict.fromkeys(keys, "no category has both values")
    first, second = pairs.mean(axis=0)
    return dict(zip(keys, (float(first), float(second), float((pairs[:, 0] - pairs[:, 1]).mean())), strict=True))


def _signs(difference: np.ndarray) -> dict[str, int]:
    wins, losses = int(np.count_nonzero(difference > 0)), int(np.count_nonzero(difference < 0))
    return {"pairs": difference.size, "wins": wins, "losses": losses, "ties": difference.size - wins - losses}


def _signed_rank(difference: np.ndarray) -> float | str:
    """Two-sided p of the signed-rank sum among all 2^n choices of signs, each as likely.

    Scipy's exact table supposes that no two differences are equally large; metrics of few images often are.
    So the distribution is built up rank by rank; with half ranks doubled every sum is a whole number.
    Source: Wilcoxon, Biometrics Bulletin 1945; the same as `scipy.stats.wilcoxon(method="exact")` without ties.
    """
    from scipy.stats import rankdata

    difference = difference[difference != 0]
    if difference.size < FEWEST_PAIRS:
        return f"{difference.size} unequal pairs: the signed-rank test needs at least {FEWEST_PAIRS}"
    doubled = np.round(2 * rankdata(np.abs(difference))).astype(int)
    chance = np.zeros(doubled.sum() + 1)  # of each sum of the doubled ranks with a positive sign
    chance[0] = 1.0
    for step in doubled:
        chance[step:] = (chance[step:] + chance[: chance.size - step]) / 2
        chance[:step] /= 2
    observed = doubled[difference > 0].sum()
    return float(min(1.0, 2 * min(chance[: observed + 1].sum(), chance[observed:].sum())))


def _interval(difference: np.ndarray, seed: int, resamples: int, confidence: float) -> tuple[float, float] | str:
    """Percentile bootstrap of the mean over categories."""
    from anomaly_lib.base.reproducibility import derived_seed

    if difference.size < 2:
        return f"{difference.size} pairs: an interval needs two"
    rng = np.random.default_rng(derived_seed(seed, "comparison"))
    means = difference[rng.integers(difference.size, size=(resamples, difference.size))].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
