"""Checks of the exercises of lesson 50."""

from collections.abc import Callable

import numpy as np

from anomaly_course.lessons.checks import check
from anomaly_course.lessons.compare import placements


def check_on_scale(attempt: Callable) -> bool:
    """``on_scale(values, median, threshold)``: 0 at the median, 1 at the threshold, straight between and beyond."""
    values = np.array([1.0, 2.0, 3.0, 5.0])
    cases = [
        ((values, 1.0, 3.0), np.array([0.0, 0.5, 1.0, 2.0])),
        ((values, 2.0, 6.0), np.array([-0.25, 0.0, 0.25, 0.75])),
        ((np.array([[0.0, -1.0]]), -1.0, -0.5), np.array([[2.0, 0.0]])),
    ]
    hint = "subtract the median, divide by the distance from the median to the threshold"
    return check("Exercise 1, fixed scale", attempt, cases, hint)


def check_placements(attempt: Callable) -> bool:
    """``placements(anomalous, normals)``: for each anomalous score the share of normals below it, ties half."""
    rng = np.random.default_rng(0)
    many, others = rng.integers(0, 9, 12).astype(float), rng.integers(0, 6, 10).astype(float)
    normals = np.array([1.0, 2.0, 3.0, 4.0])
    cases = [
        ((np.array([5.0, 0.0]), normals), np.array([1.0, 0.0])),
        ((np.array([3.5, 2.0]), normals), np.array([0.75, 0.375])),  # of four, one is below 2 and one is tied
        ((many, others), placements(many, others)),
    ]
    hint = "anomalous[:, None] > normals is a table of pairs; add half of those that are equal, and take row means"
    return check("Exercise 2, placements", attempt, cases, hint)


def check_paired(attempt: Callable) -> bool:
    """``paired(first, second, labels, draws)``: AUROC of the first minus that of the second, for each row of draws."""
    labels = np.array([0, 0, 1, 1])
    first, second = np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])
    rows = np.array([[0, 1, 2, 3], [0, 0, 2, 2], [1, 1, 2, 2], [0, 1, 3, 3]])
    cases = [
        ((first, second, labels, rows[:1]), np.array([0.25])),  # 1 of four pairs is wrong in the second
        ((first, second, labels, rows), np.array([0.25, 0.0, 1.0, 0.0])),
        ((second, first, labels, rows), np.array([-0.25, 0.0, -1.0, 0.0])),
        ((first, first, labels, rows), np.zeros(4)),
    ]
    hint = "for each row: image_auroc(first[row], labels[row]) less the same of the second; the row serves both"
    return check("Exercise 3, paired differences", attempt, cases, hint)
