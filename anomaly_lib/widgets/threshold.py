"""Threshold studio: move the score threshold of any method, and watch precision and recall.

Precision depends on how common defects are, and a test set holds far more of them than a production line. So the
second control states another share of anomalous images, with the same recall and false-positive rate.
"""

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from anomaly_lib.evaluation import is_anomalous
from anomaly_lib.evaluation.inputs import as_pair
from anomaly_lib.reporting.figures import draw_scores
from anomaly_lib.reporting.style import ANOMALOUS_COLOUR
from anomaly_lib.widgets.picture import picture_with_controls

AS_HERE = "as in these images"
SHARES = {AS_HERE: None, "1 in 10": 0.1, "1 in 100": 0.01, "1 in 1000": 0.001}
STOPS = 200


def rates(scores, labels, threshold: float) -> tuple[float, float]:
    """Recall and false-positive rate where "anomalous" means score >= threshold; both in [0, 1].

    scores (N,) finite, labels (N,) bool or 0/1 with both classes.
    """
    scores, labels = as_pair(scores, labels)
    found = is_anomalous(scores, threshold)
    return float(found[labels].mean()), float(found[~labels].mean())


def precision(recall: float, false_positive_rate: float, share: float) -> float | None:
    """Share of true alarms among all alarms where ``share`` of the images is anomalous; None without an alarm."""
    alarms = recall * share + false_positive_rate * (1 - share)
    return recall * share / alarms if alarms > 0 else None


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


def threshold_studio(scores, labels, threshold: float) -> ipywidgets.VBox:
    """A slider over the scores' range, starting at ``threshold``, and how common defects are; arrow keys move both."""
    scores, labels = as_pair(scores, labels)
    low, high = float(min(scores.min(), threshold)), float(max(scores.max(), threshold))
    margin = (high - low or 1.0) / STOPS
    slider = ipywidgets.FloatSlider(
        threshold,
        min=low - margin,
        max=high + margin,
        step=margin,
        description="threshold",
        readout_format=".3g",
    )
    controls = {"threshold": slider, "share": ipywidgets.Dropdown(options=list(SHARES), description="defects")}

    def draw(threshold: float, share: str) -> Figure:
        return threshold_figure(scores, labels, threshold, SHARES[share])

    alt = "histogram of image scores with the threshold, and the point it gives on the precision-recall curve"
    return picture_with_controls(draw, controls, alt)
