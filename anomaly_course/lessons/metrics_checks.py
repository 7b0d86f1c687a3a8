"""Checks of the exercises of lesson 40."""

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

from anomaly_course.lessons.checks import Span, check
from anomaly_course.lessons.metrics import area_to, half_anomalous
from anomaly_lib.evaluation import image_auroc


def check_threshold(attempt: Callable) -> bool:
    """``threshold(normals, rate)``: the lowest that flags at most this share; anything up to the next score will do."""
    twelve = np.array([7.0, 3, 12, 1, 9, 5, 11, 2, 8, 4, 10, 6])
    cases = [
        ((twelve, 0.25), Span(9, 10)),
        ((twelve, 0.3), Span(9, 10)),
        ((twelve, 0.05), Span(12, 13)),
        ((twelve - 20, 0.5), Span(-14, -13)),
        ((np.array([1.0, 2, 2, 2, 3]), 0.4), Span(2, 3)),
    ]
    mistakes = [
        (
            lambda normals, rate: np.quantile(normals, 1 - rate),
            "a quantile lies between two scores, or on one; how many scores are at or above it?",
        ),
        (
            lambda normals, rate: np.sort(normals)[len(normals) - 1 - int(rate * len(normals))],
            "a score that equals the threshold is flagged; so go just above the largest that must pass (np.nextafter)",
        ),
        (lambda normals, rate: normals.max(), "the largest score would be flagged, whatever the rate"),
        (
            lambda normals, rate: np.nextafter(normals[len(normals) - 1 - int(rate * len(normals))], np.inf),
            "the scores come in any order",
        ),
    ]
    hint = "how many may be flagged? Sort, and look at the largest score that must pass"
    return check("Exercise 1, threshold", attempt, cases, hint, mistakes)


def check_promise(attempt: Callable) -> bool:
    """``smallest_promise(n)``: the false-positive rate of a threshold just above the largest of n normals."""
    mistakes = [
        (lambda n: 1 / n, "count the new one as well: how many scores are there in all?"),
        (lambda n: 0, "the next normal can be larger than all that were seen"),
    ]
    hint = "a new normal is as likely as each of the n to be the largest of all"
    return check("Exercise 2, promise", attempt, [((1,), 1 / 2), ((12,), 1 / 13), ((199,), 1 / 200)], hint, mistakes)


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
    mistakes = [
        (lambda s, y: _pairs(s.argsort().argsort() + 1, y), "ties: equal scores share the mean of their ranks"),
        (
            lambda s, y: rankdata(s)[y == 1].sum() / (y.sum() * (1 - y).sum()),
            "the smallest possible rank sum is not taken away",
        ),
        (
            lambda s, y: _pairs(rankdata(s), y) * y.sum() * (1 - y).sum(),
            "that is the number of pairs in order; their share is wanted",
        ),
        (
            lambda s, y: _pairs(rankdata(s), y) * (1 - y).sum() / y.sum(),
            "out of how many pairs, one normal and one anomalous?",
        ),
    ]
    hint = "the worst detector has the rank sum a(a + 1)/2, the best one as much more as there are pairs"
    return check("Exercise 3, AUROC from ranks", attempt, cases, hint, mistakes)


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
    mistakes = [
        (lambda r, o, limit: area_to(r, o, limit) * limit, "the area is not divided by the limit"),
        (lambda r, o, limit: np.trapezoid(o, r) / limit, "the whole curve was integrated; the area ends at the limit"),
        (lambda r, o, limit: np.trapezoid(o, r), "the whole curve was integrated; the area ends at the limit"),
        (
            lambda r, o, limit: np.trapezoid(o[r <= limit], r[r <= limit]) / limit,
            "the piece between the last point below the limit and the limit is missing",
        ),
    ]
    hint = "the curve needs a point at exactly the limit (np.interp), and ends there"
    return check("Exercise 4, AUPRO's area", attempt, cases, hint, mistakes)


def _pairs(ranks: np.ndarray, labels: np.ndarray) -> float:
    anomalous = labels.sum()
    return (ranks[labels == 1].sum() - anomalous * (anomalous + 1) / 2) / (anomalous * (len(labels) - anomalous))
