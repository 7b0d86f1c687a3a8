"""What the first lesson needs: the check of its exercise, and the simplest detector there is."""

from collections.abc import Callable

from torch import Tensor

from anomaly_course.lessons.checks import check

SMALLEST_SPREAD = 0.02
"""A standard deviation below it, of values from 0 to 1, counts as this much: camera noise alone is about as large."""


def check_anomalous(attempt: Callable) -> bool:
    """``anomalous(score, threshold)``: whether the score is at or above the threshold."""
    cases = [((3.0, 2.0), True), ((1.0, 2.0), False), ((2.0, 2.0), True), ((-1.0, 0.0), False)]
    mistakes = [(lambda score, threshold: score > threshold, "what about a score that equals the threshold?")]
    return check("Exercise 1, decision", attempt, cases, "compare the two; the result is True or False", mistakes)


def distance_to_average(images: Tensor, normals: Tensor) -> Tensor:
    """Maps (N, S, S) of images (N, 3, S, S): how many standard deviations of the normals (M, 3, S, S) off their mean.

    The mean over the channels. It knows nothing of the neighbourhood, so it works only where parts lie alike.
    """
    spread = normals.std(dim=0).clamp(min=SMALLEST_SPREAD)
    return ((images - normals.mean(dim=0)).abs() / spread).mean(dim=1)
