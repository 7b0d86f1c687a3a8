"""Does a calibrated decision keep its promise on images that it never saw?"""

from __future__ import annotations

from anomaly_lib.evaluation.intervals import achieved_rate_interval

NO_RATE = "the rule sigma asks for no rate"


def decision_check(thresholds: dict, achieved: float | None, n_normal: int, confidence: float = 0.95) -> dict:
    """The requested, expected and achieved false-positive rate of images, and whether chance explains the difference.

    ``thresholds`` as ``calibrate`` gives them, ``achieved`` the share of ``n_normal`` normal test images that were
    flagged. Keys: requested, expected, resolution (1 / (n + 1), the finest rate that n held-out images can promise),
    achieved, low, high (``achieved_rate_interval``), within; only a ``reason`` where there is nothing to check.
    """
    if thresholds.get("image") is None:
        return {"reason": "the model has no threshold"}
    if thresholds["image_requested_rate"] is None:
        return {"reason": NO_RATE, "achieved": achieved}
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
