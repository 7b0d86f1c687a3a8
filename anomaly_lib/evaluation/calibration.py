"""What a model needs to decide: thresholds, and the scale on which its maps are shown."""

import numpy as np

from anomaly_lib.evaluation.inputs import to_numpy
from anomaly_lib.evaluation.thresholds import expected_rate, threshold_by
from anomaly_lib.params import Rule, Thresholds


def calibrate(scores, maps, settings: Thresholds, region=None) -> dict[str, float | int | str | None]:
    """Thresholds from normal images that were not trained on: their scores (N,) and maps (N, H, W).

    ``image`` and ``pixel`` are the thresholds, each with its rule, ``pixel_median`` the zero of the shown scale.
    ``image_requested_rate`` is the false-positive rate that the rule asks for, and ``image_expected_rate`` what so few
    images can promise; None for the rule sigma, which asks for none. Pixels outside of ``region`` (H, W) bool do not
    count. ValueError without an image.
    """
    scores, maps = to_numpy(scores), to_numpy(maps)
    pixels = maps if region is None else maps[:, to_numpy(region)]
    return {
        "image": threshold_by(settings.image_rule, scores, settings.image_false_positive_rate, settings.sigmas),
        "pixel": threshold_by(settings.pixel_rule, pixels, settings.pixel_false_positive_rate, settings.sigmas),
        "pixel_median": float(np.median(pixels)),
        "held_out_images": len(scores),
        "image_rule": settings.image_rule,
        "image_requested_rate": requested_rate(settings.image_rule, settings.image_false_positive_rate),
        "image_expected_rate": _expected_rate(settings.image_rule, len(scores), settings.image_false_positive_rate),
        "pixel_rule": settings.pixel_rule,
        "pixel_requested_rate": requested_rate(settings.pixel_rule, settings.pixel_false_positive_rate),
    }


def requested_rate(rule: Rule, rate: float) -> float | None:
    """The share of normals that a rule is to flag: none above their maximum; sigma does not say."""
    return {"false_positive_rate": rate, "max": 0.0, "sigma": None}[rule]


def _expected_rate(rule: Rule, count: int, rate: float) -> float | None:
    requested = requested_rate(rule, rate)
    return None if requested is None else expected_rate(count, requested)
