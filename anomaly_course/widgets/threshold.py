"""Threshold studio: move the score threshold of any method, and watch decisions, curves and costs move with it.

Precision and cost depend on how common defects are, and a test set holds far more of them than a production line. So
one control states another share of anomalous images, with the same recall and false-positive rate.
"""

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from anomaly_course.widgets.costs import precision, rates
from anomaly_course.widgets.picture import Studio, picture_with_controls
from anomaly_course.widgets.threshold_view import Scored, decision_figure
from anomaly_lib.evaluation.inputs import as_pair
from anomaly_lib.figures.results import draw_scores
from anomaly_lib.figures.style import ANOMALOUS_COLOUR

__all__ = ["AS_HERE", "RATIOS", "SHARES", "Scored", "precision", "rates", "threshold_figure", "threshold_studio"]

AS_HERE = "as in these images"
SHARES = {AS_HERE: None, "1 in 10": 0.1, "1 in 100": 0.01, "1 in 1000": 0.001}
RATIOS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""What a miss costs, in false alarms."""
STOPS = 200


def threshold_figure(scores, labels, threshold: float, share: float | None = None) -> Figure:
    """Left the scores and the threshold, right precision against recall, with the point of this threshold.

    ``share`` of anomalous images, for the precision; None takes that of ``labels``.
    """
    scores, labels = as_pair(scores, labels)
    share = float(labels.mean()) if share is None else share
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.4))
    draw_scores(left, scores, labels, threshold, "threshold")
    left.set(ylabel="images", title=f"anomalous from {threshold:.3g} upwards")
    left.legend(fontsize=8)
    every = [rates(scores, labels, value) for value in np.unique(scores)]
    right.step([r for r, _ in every], [precision(r, f, share) for r, f in every], where="post", color="0.5")
    recall, false_positives = rates(scores, labels, threshold)
    exact = precision(recall, false_positives, share)
    if exact is not None:
        right.plot(recall, exact, "o", color=ANOMALOUS_COLOUR, markersize=9)
    shown = "undefined, no alarm" if exact is None else f"{exact:.2f}"
    right.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.05), xlabel="recall", ylabel="precision")
    right.set_title(f"precision {shown} · recall {recall:.2f}\nfalse alarms on {false_positives:.0%} of normal images")
    return figure


def threshold_studio(scores, labels, threshold: float, **further) -> Studio:
    """The threshold, how common defects are, and what a miss costs; arrow keys move all three.

    scores (N,) and labels (N,) of test images, the calibrated ``threshold`` from which the slider starts; ``further``
    are the other fields of ``Scored``: a PRO curve, and what lets a threshold be chosen without test labels.
    """
    scored = Scored(*as_pair(scores, labels), threshold, **further)
    low, high = float(min(scored.scores.min(), threshold)), float(max(scored.scores.max(), threshold))
    margin = (high - low or 1.0) / STOPS
    slider = ipywidgets.FloatSlider(
        threshold,
        min=low - margin,
        max=high + margin,
        step=margin,
        description="threshold",
        readout_format=".3g",
    )
    controls = {
        "threshold": slider,
        "share": ipywidgets.Dropdown(options=list(SHARES), description="defects"),
        "ratio": ipywidgets.SelectionSlider(options=RATIOS, value=10, description="miss costs"),
    }

    def draw(threshold: float, share: str, ratio: int) -> Figure:
        return decision_figure(scored, threshold, SHARES[share], ratio)

    alt = (
        "histogram of image scores with the threshold, confusion matrix, ROC and PRO curves with the point of this "
        "threshold, and the expected cost against the threshold"
    )
    return picture_with_controls(draw, controls, alt)
