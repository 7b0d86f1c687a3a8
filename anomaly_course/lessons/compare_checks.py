"""Checks of the exercises of lesson 50."""

from collections.abc import Callable
from functools import partial

import numpy as np

from anomaly_course.lessons.checks import check
from anomaly_course.lessons.compare import placements
from anomaly_lib.evaluation import image_auroc


def check_on_scale(attempt: Callable) -> bool:
    """``on_scale(values, median, threshold)``: 0 at the median, 1 at the threshold, straight between and beyond."""
    values = np.array([1.0, 2.0, 3.0, 5.0])
    cases = [
        ((values, 1.0, 3.0), np.array([0.0, 0.5, 1.0, 2.0])),
        ((values, 2.0, 6.0), np.array([-0.25, 0.0, 0.25, 0.75])),
        ((np.array([[0.0, -1.0]]), -1.0, -0.5), np.array([[2.0, 0.0]])),
    ]
    mistakes = [
        (lambda v, m, t: (v - m) / t, "divided by the threshold; but after the shift the threshold is no longer there"),
        (lambda v, m, t: v / t, "the median should come out as 0"),
        (
            lambda v, m, t: (v - v.min()) / (v.max() - v.min()),
            "stretched to the values themselves: that scale is not fixed",
        ),
        (lambda v, m, t: ((v - m) / (t - m)).clip(0, 1), "nothing is cut off: beyond the threshold the scale goes on"),
    ]
    hint = "what has become of the threshold once the median is shifted to 0?"
    return check("Exercise 1, fixed scale", attempt, cases, hint, mistakes)


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
    mistakes = [
        (lambda a, n: (a[:, None] > n).mean(axis=1), "ties are missing: a normal score that is equal counts half"),
        (lambda a, n: (a[:, None] >= n).mean(axis=1), "ties count whole; an equal normal score counts half"),
        (
            lambda a, n: (a[:, None] < n).mean(axis=1) + (a[:, None] == n).mean(axis=1) / 2,
            "counted from the wrong side",
        ),
        (
            lambda a, n: placements(a, n).mean(),
            "that is the mean of them, the AUROC; one number per anomalous image is wanted",
        ),
    ]
    hint = "a table compares each anomalous with each normal score; the share is a mean along its second axis"
    return check("Exercise 2, placements", attempt, cases, hint, mistakes)


def check_paired(attempt: Callable) -> bool:
    """``paired(first, second, labels, draws)``: AUROC of the first minus that of the second, for each row of draws."""
    labels = np.array([0, 0, 1, 1])
    first, second = np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])
    rows = np.array([[0, 1, 2, 3], [0, 0, 2, 2], [1, 1, 2, 2], [0, 1, 3, 3], [2, 1, 3, 0]])
    cases = [
        ((first, second, labels, rows[:1]), np.array([0.25])),  # 1 of four pairs is wrong in the second
        ((first, second, labels, rows), np.array([0.25, 0.0, 1.0, 0.0, 0.25])),
        ((second, first, labels, rows), np.array([-0.25, 0.0, -1.0, 0.0, -0.25])),
        ((first, first, labels, rows), np.zeros(5)),
    ]
    mistakes = [
        (partial(_differences, labels_too=False), "the labels have to be drawn along with the scores"),
        (partial(_differences, pairs=False), "the second method is not drawn: it is no pair"),
        (lambda f, s, y, rows: _differences(f, s, y, rows).mean(), "one difference for each row, not their mean"),
    ]
    hint = "a row picks images; scores of both methods and labels are taken at the same places"
    return check("Exercise 3, paired differences", attempt, cases, hint, mistakes)


def _differences(
    first: np.ndarray,
    second: np.ndarray,
    labels: np.ndarray,
    rows: np.ndarray,
    labels_too: bool = True,
    pairs: bool = True,
) -> np.ndarray:
    """Exercise 3, or one of its likely mistakes."""
    differences = []
    for row in rows:
        truth, other = labels[row] if labels_too else labels, row if pairs else slice(None)
        differences.append(image_auroc(first[row], truth) - image_auroc(second[other], truth if pairs else labels))
    return np.array(differences)
