"""Checks of the exercises of lesson 40."""

from collections.abc import Callable

import numpy as np
import torch

from anomaly_course.lessons.checks import check
from anomaly_course.lessons.metrics import half_anomalous
from anomaly_lib.evaluation import image_auroc


def check_threshold(attempt: Callable) -> bool:
    """``threshold(normals, rate)``: the lowest that flags at most this share; anything up to the next score will do."""

    def flagged(normals: np.ndarray, rate: float, probe: float):
        """How many normals, and whether the probe just above those that must pass, are flagged."""
        found = attempt(normals, rate)
        if found is None or found is Ellipsis:
            return found
        return torch.tensor([int((normals >= found).sum()), int(probe >= found)])

    twelve = np.array([7.0, 3, 12, 1, 9, 5, 11, 2, 8, 4, 10, 6])
    cases = [
        ((twelve, 0.25, 10.0), torch.tensor([3, 1])),
        ((twelve, 0.3, 10.0), torch.tensor([3, 1])),
        ((twelve, 0.05, 13.0), torch.tensor([0, 1])),
        ((twelve - 20, 0.5, -13.0), torch.tensor([6, 1])),
        ((np.array([1.0, 2, 2, 2, 3]), 0.4, 3.0), torch.tensor([1, 1])),
    ]
    hint = (
        "k = floor(rate * n) may be flagged; sort, and go just above the largest score that must pass (np.nextafter). "
        "Given are normals, rate and a new score; expected is how many normals are flagged, and that the new one is"
    )
    return check("Exercise 1, threshold", flagged, cases, hint)


def check_promise(attempt: Callable) -> bool:
    """``smallest_promise(n)``: the false-positive rate of a threshold just above the largest of n normals."""
    hint = "a new normal is as likely as each of the n to be the largest of all"
    return check("Exercise 2, promise", attempt, [((1,), 1 / 2), ((12,), 1 / 13), ((199,), 1 / 200)], hint)


def check_auroc(attempt: Callable) -> bool:
    """``auroc(scores, labels)`` with ties half, for scores of any size."""
    labels, high = np.array([0, 0, 1, 1]), np.array([20.0, 22.0, 21.0, 23.0])
    rng = np.random.default_rng(0)
    many, truth = rng.integers(0, 9, 60).astype(float), half_anomalous(60).astype(int)
    cases = [
        ((np.array([1.0, 2, 3, 4]), labels), 1.0),
        ((np.array([4.0, 3, 2, 1]), labels), 0.0),
        ((high, labels), 0.75),
        ((np.array([1.0, 2, 2, 3]), labels), 0.875),  # of four pairs three are right and one is tied
        ((np.zeros(5), np.array([1, 0, 0, 1, 0])), 0.5),
        ((many, truth), image_auroc(many, truth)),
    ]
    hint = "rankdata; from the rank sum of the anomalous take a(a + 1)/2 away, divide by the number of pairs"
    return check("Exercise 3, AUROC from ranks", attempt, cases, hint)


def check_area(attempt: Callable) -> bool:
    """``area(rates, overlap, limit)``: AUPRO's area and its normalisation, for a curve that begins at rate 0."""
    zero_one = np.array([0.0, 1.0])
    cases = [
        ((zero_one, np.array([1.0, 1.0]), 0.3), 1.0),
        ((zero_one, zero_one, 0.3), 0.15),  # a triangle, half the limit
        ((np.array([0.0, 0.1, 1.0]), np.array([0.0, 0.9, 0.9]), 0.3), 0.75),  # (0.1 * 0.45 + 0.2 * 0.9) / 0.3
        ((np.array([0.0, 0.05, 0.3, 0.6]), np.array([0.5, 0.8, 1.0, 1.0]), 0.05), 0.65),
        ((np.array([0.0, 0.2, 0.4]), np.array([0.0, 0.4, 0.8]), 0.3), 0.3),
    ]
    hint = "np.interp gives the overlap at the limit; keep the rates below it, append that point, divide by the limit"
    return check("Exercise 4, AUPRO's area", attempt, cases, hint)
