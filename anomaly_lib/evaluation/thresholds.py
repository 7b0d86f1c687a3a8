"""Thresholds from held-out normal data alone: no test label is ever looked at.

One convention everywhere: a pixel or an image is anomalous when its score is >= the threshold (`is_anomalous`).

DFR sets its threshold by the false-positive rate it expects on normal data (0.5 % of pixels; Yang et al.,
Neurocomputing 2021). The same rule serves image scores, with a word about small n. Of n normal scores,
k = floor(rate x n) may be flagged. If rate < 1/n then k = 0 and the rule is "just above the maximum": 12
held-out images cannot express 0.5 %, whatever the formula. A new normal, drawn like the n, is flagged with
probability (k + 1) / (n + 1) (less with ties), so 1 / (n + 1) is the finest rate that n scores can
promise. `expected_rate` gives that number, to stand beside the requested one. Pixels of one image
resemble each other, so for pixels n overstates what is known and the achieved rate scatters more.

`threshold_by` chooses among this and two other rules by name; `calibrate` finds all that a model needs to decide.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from anomaly_lib.evaluation.inputs import as_scores, to_numpy

if TYPE_CHECKING:  # a bundle decides without the params of its training
    from anomaly_lib.params import Rule, Thresholds

RULES = ("false_positive_rate", "max", "sigma")
RELATIVE = "its scores depend on the images that are scored with it (DMAD: set score_normalisation to normals)"


def quantile_threshold(normal_values, false_positive_rate: float) -> float:
    """The smallest threshold that flags at most the requested share of the normal values.

    normal_values: finite scores of any shape, of held-out normal pixels or images; rate in [0, 1).
    Exact, not interpolated: count(values >= threshold) <= rate x n, and any lower threshold of the values' precision
    flags too many. It is the next float above the largest value that must pass, in float32 or float64 as the values
    are: compare with `is_anomalous`. Peak 5 to 9 bytes per value.
    ValueError for no values, non-finite values or another rate.
    """
    values = as_scores(normal_values, "normal values").reshape(-1)
    flagged = allowed_count(values.size, false_positive_rate)
    place = values.size - 1 - flagged  # in ascending order: the largest value that must pass
    must_pass = np.partition(values, place)[place]
    return float(np.nextafter(must_pass, values.dtype.type(np.inf)))


def max_threshold(normal_values) -> float:
    """The next float above the largest normal value: none of them is flagged.

    For few values, such as the image scores of a small class. Not for pixels: one hot pixel in millions would decide,
    and the more images are held out the less the threshold finds. Argument and errors as `quantile_threshold`, which
    gives the same for a rate below 1 / n.
    """
    return quantile_threshold(normal_values, 0.0)


def sigma_threshold(normal_values, sigmas: float = 3.0) -> float:
    """Mean + `sigmas` sample deviations (n - 1) of the normal values, in float64: the usual rule of MVTec AD 2.

    It reaches past the largest value, so it can ask for less than 1 / (n + 1), but only by assuming a bell curve.
    Were scores normally distributed, a new one would be flagged with probability P(T > sigmas / sqrt(1 + 1/n)), T
    of Student with n - 1 degrees: 0.75 % for 12 images and 3 sigmas, 0.13 % only for very many. Anomaly maps have
    heavy tails and flag many times more, so prefer a rate for pixels.
    Values that are all equal have no deviation; they get `max_threshold`, or each would be flagged itself.
    Errors as `quantile_threshold`; ValueError also for one value, or sigmas that are negative or not finite.
    """
    values = as_scores(normal_values, "normal values").reshape(-1)
    if values.size < 2:
        raise ValueError("mean + k sigma needs at least two normal values")
    if not 0 <= sigmas < math.inf:
        raise ValueError(f"the number of sigmas must be finite and not negative, got {sigmas}")
    if values.min() == values.max():
        return max_threshold(values)
    return float(values.mean(dtype=np.float64) + sigmas * values.std(dtype=np.float64, ddof=1))


def threshold_by(rule: str, normal_values, rate: float, sigmas: float = 3.0) -> float:
    """The threshold that one of `RULES` gives; `rate` is read by the first only, `sigmas` by the last only.

    ValueError for another rule, and as the rule's function.
    """
    if rule == "false_positive_rate":
        return quantile_threshold(normal_values, rate)
    if rule == "max":
        return max_threshold(normal_values)
    if rule == "sigma":
        return sigma_threshold(normal_values, sigmas)
    raise ValueError(f"the threshold rule must be one of {', '.join(RULES)}, got {rule!r}")


def calibrate(scores, maps, settings: Thresholds, region=None, relative: bool = False) -> dict[str, Any]:
    """Thresholds from normal images that were not trained on: their scores (N,) and maps (N, H, W).

    ``image`` and ``pixel`` are the thresholds, each with its rule, ``pixel_median`` the zero of the shown scale.
    ``image_requested_rate`` is the false-positive rate that the rule asks for, and ``image_expected_rate`` what so few
    images can promise; None for the rule sigma, which asks for none. ``held_out_scores`` ascend. Pixels outside of the
    region of interest ``region`` (H, W) bool do not count. ``relative`` scores (``Method.scores_are_relative``) of one
    set say nothing of another: there is no image threshold then, and a ``reason``. ValueError without an image.
    """
    scores, maps = to_numpy(scores), to_numpy(maps)
    pixels = maps if region is None else maps[:, to_numpy(region)]
    requested = _requested_rate(settings.image_rule, settings.image_false_positive_rate)
    found = {
        "image": threshold_by(settings.image_rule, scores, settings.image_false_positive_rate, settings.sigmas),
        "pixel": threshold_by(settings.pixel_rule, pixels, settings.pixel_false_positive_rate, settings.sigmas),
        "pixel_median": float(np.median(pixels)),
        "held_out_images": len(scores),
        "held_out_scores": np.sort(scores).tolist(),
        "image_rule": settings.image_rule,
        "image_requested_rate": requested,
        "image_expected_rate": None if requested is None else expected_rate(len(scores), requested),
        "pixel_rule": settings.pixel_rule,
        "pixel_requested_rate": _requested_rate(settings.pixel_rule, settings.pixel_false_positive_rate),
    }
    refused: dict[str, Any] = {
        "image": None,
        "held_out_scores": [],
        "image_requested_rate": None,
        "image_expected_rate": None,
        "reason": RELATIVE,
    }
    return {**found, **refused} if relative else found


def _requested_rate(rule: Rule, rate: float) -> float | None:
    """The share of normals that a rule is to flag: none above their maximum; sigma does not say."""
    return {"false_positive_rate": rate, "max": 0.0, "sigma": None}[rule]


def expected_rate(count: int, false_positive_rate: float) -> float:
    """The share of new normals that a `quantile_threshold` of `count` normals flags on average.

    (k + 1) / (n + 1) with k = floor(rate x n), for example 1/13 for 12 images and a rate of 0.5 %.
    For exchangeable scores without ties; with ties it is an upper bound. Never below 1 / (n + 1).
    """
    return (allowed_count(count, false_positive_rate) + 1) / (count + 1)


def conformal_rank(score: float, normal_scores) -> int:
    """1 + number of the n held-out normal ``normal_scores`` at or above ``score``; divided by n + 1 it is a p-value.

    Were the photo a normal one, drawn like the n, a p-value of at most q had probability at most q: 1 / (n + 1) is the
    smallest that n can say. Source: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005.
    """
    return 1 + int(np.count_nonzero(is_anomalous(normal_scores, score)))


def is_unsure(score: float, threshold: float, normal_scores, band: float) -> bool:
    """Whether a score is near its threshold: within ``band`` times the way from the median normal score to it."""
    return bool(abs(score - threshold) <= band * abs(threshold - float(np.median(normal_scores))))


def is_anomalous(scores, threshold: float) -> np.ndarray:
    """Bool array, score >= threshold, compared in float64.

    Numpy would round a Python float to the maps' float32 first, and a threshold between two float32
    numbers would flag the lower one: on a saturated map that is most of the picture.
    """
    return as_scores(scores) >= np.float64(threshold)


def decide(score: float, threshold: float | None) -> str | None:
    """'anomalous' at or above the threshold, else 'normal'; None without a threshold."""
    if threshold is None:
        return None
    return "anomalous" if is_anomalous(score, threshold) else "normal"


def decision_words(score: float, threshold: float | None) -> str:
    """'3.2 below 4.1, normal', or that there is no threshold to decide by."""
    if threshold is None:
        return f"{score:.3g}; no threshold, so no decision"
    # as many digits as it takes to tell the two apart
    digits = next((n for n in range(3, 9) if f"{score:.{n}g}" != f"{threshold:.{n}g}"), 9)
    decision = decide(score, threshold)
    side = "at or above" if decision == "anomalous" else "below"
    return f"{score:.{digits}g} {side} {threshold:.{digits}g}, {decision}"


def false_positive_rate(normal_values, threshold: float) -> float | None:
    """The achieved share of normal values that are flagged, in [0, 1]; None without values."""
    flagged = is_anomalous(normal_values, threshold)
    return float(np.count_nonzero(flagged) / flagged.size) if flagged.size else None


def allowed_count(count: int, rate: float) -> int:
    """The largest k < count with k / count <= rate."""
    if count < 1:
        raise ValueError("a threshold needs at least one normal value")
    if not 0 <= rate < 1:
        raise ValueError(f"the false-positive rate must lie in [0, 1), got {rate}")
    # 0.29 x 100 is 28.999999999999996 in floating point, 29 in the head of whoever asked for 29 %.
    k = min(math.floor(rate * count) + 1, count - 1)
    while k / count > rate:
        k -= 1
    return k
