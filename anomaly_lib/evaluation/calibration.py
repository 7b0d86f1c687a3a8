"""What a model needs to decide: thresholds, and the scale on which its maps are shown."""

import numpy as np

from anomaly_lib.evaluation.thresholds import expected_rate, quantile_threshold
from anomaly_lib.params import Thresholds


def calibrate(scores, maps, rates: Thresholds) -> dict[str, float | int]:
    """Thresholds from held-out normal images: their scores (N,) and maps (N, H, W).

    ``image`` and ``pixel`` are the thresholds, ``pixel_median`` the zero of the shown scale,
    ``image_expected_rate`` the false-positive rate that so few images can promise. ValueError without an image.
    """
    scores, maps = np.asarray(scores), np.asarray(maps)
    return {
        "image": quantile_threshold(scores, rates.image_false_positive_rate),
        "pixel": quantile_threshold(maps, rates.pixel_false_positive_rate),
        "pixel_median": float(np.median(maps)),
        "held_out_images": len(scores),
        "image_requested_rate": rates.image_false_positive_rate,
        "image_expected_rate": expected_rate(len(scores), rates.image_false_positive_rate),
        "pixel_requested_rate": rates.pixel_false_positive_rate,
    }
