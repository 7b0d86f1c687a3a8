"""One threshold seen from five sides: histogram, cost, confusion matrix, ROC and PRO."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomaly_course.widgets.costs import (
    LIMIT,
    PixelCurve,
    cheapest_threshold,
    cost_curve,
    expected_cost,
    precision,
    rates,
)
from anomaly_course.widgets.picture import verdict_element
from anomaly_lib.evaluation import is_anomalous, roc_points
from anomaly_lib.figures.results import draw_scores
from anomaly_lib.figures.style import ANOMALOUS_COLOUR, DECISION_COLOURS, NORMAL_COLOUR

LEFT = {"left": 0.05, "right": 0.4, "top": 0.9, "bottom": 0.11, "hspace": 0.32}
RIGHT = {"left": 0.45, "right": 0.985, "top": 0.84, "bottom": 0.16, "wspace": 0.4}
"""Fixed, because looking for a layout takes as long as drawing."""
NAMES = ("normal", "anomalous")
CALIBRATED, UNSEEN, ORACLE = "calibrated on held-out normals", "cheapest, synthetic anomalies", "oracle: cheapest here"
MARKS = {
    CALIBRATED: {"marker": "s", "color": "black"},
    UNSEEN: {"marker": "^", "color": NORMAL_COLOUR},
    ORACLE: {"marker": "D", "color": "#cc79a7"},
}
"""Of the thresholds that rules choose: by held-out normals, with synthetic anomalies on them, by test labels."""


@dataclass(frozen=True)
class Scored:
    """The scores of a test split, and what is known of it besides."""

    scores: np.ndarray
    """(N,) finite."""
    labels: np.ndarray
    """(N,) bool, both classes."""
    threshold: float
    """From held-out normal images."""
    pixels: PixelCurve | None = None
    pixel_threshold: float | None = None
    """From held-out normal images."""
    unseen: tuple[np.ndarray, np.ndarray] | None = None
    """Scores (M,) and labels (M,) of held-out normals and of synthetic anomalies on them: no test label."""

    zeros: tuple[float, float] = (0.0, 0.0)
    """Median score of a normal image and of a normal pixel: the zeros of the two fixed scales."""

    def pixel_at(self, threshold: float) -> float:
        """The pixel threshold that stands where the image threshold stands, each on its fixed scale."""
        image_zero, pixel_zero = self.zeros
        place = (threshold - image_zero) / (self.threshold - image_zero)
        return pixel_zero + place * (self.pixel_threshold - pixel_zero)

    def choices(self, share: float, ratio: float) -> dict[str, float]:
        """Thresholds that rules would choose, by name; the oracle has looked at the test labels."""
        found = {CALIBRATED: self.threshold}
        if self.unseen is not None:
            found[UNSEEN] = cheapest_threshold(*self.unseen, share, ratio)
        return found | {ORACLE: cheapest_threshold(*self.pair, share, ratio)}

    @property
    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        """Scores and labels."""
        return self.scores, self.labels


def decision_figure(scored: Scored, threshold: float, share: float | None = None, ratio: float = 10) -> Figure:
    """Histogram over the cost curve; confusion matrix, ROC and PRO with the point of this threshold.

    ``share`` of anomalous images, for precision and cost; None takes that of the labels. ``ratio``: what a miss
    costs, in false alarms.
    """
    share = float(scored.labels.mean()) if share is None else share
    figure = plt.figure(figsize=(12, 4.4), layout="none")
    histogram, costs = figure.subplots(2, 1, sharex=True, gridspec_kw=LEFT)
    confusion, roc, pro = figure.subplots(1, 3, gridspec_kw=RIGHT)
    draw_scores(histogram, *scored.pair, threshold, "threshold")
    histogram.set(xlabel="", ylabel="images", title=f"anomalous from {threshold:.3g} upwards")
    histogram.legend(fontsize=7)
    flagged = is_anomalous(scored.scores, threshold)
    missed, alarms = int(np.sum(scored.labels & ~flagged)), int(np.sum(~scored.labels & flagged))
    words = f"{missed} of {scored.labels.sum()} defects missed, {alarms} of {(~scored.labels).sum()} good stopped"
    figure.set_label(verdict_element(words, DECISION_COLOURS[None]))
    _draw_costs(costs, scored, threshold, share, ratio)
    _draw_confusion(confusion, scored, threshold, share)
    _draw_roc(roc, scored, threshold)
    _draw_pro(pro, scored, threshold)
    return figure


def _draw_costs(axis: Axes, scored: Scored, threshold: float, share: float, ratio: float) -> None:
    thresholds, costs = cost_curve(*scored.pair, share, ratio)
    axis.step(thresholds, costs, where="pre", color="0.5")
    for name, value in scored.choices(share, ratio).items():
        cost = _cost(scored, value, share, ratio)
        axis.plot(value, cost, **MARKS[name], linestyle="none", markersize=6, label=f"{name}: {cost:.3g}")
    now = _cost(scored, threshold, share, ratio)
    axis.axvline(threshold, color="black", linestyle="--", linewidth=0.9)
    axis.plot(threshold, now, "o", color=ANOMALOUS_COLOUR, markersize=8)
    axis.set(xlabel="image score", ylabel="cost an image", ylim=(0, 1.7 * costs.max()))
    axis.set_title(f"expected cost {now:.3g} false alarms an image, a miss costs {ratio:g}")
    axis.legend(fontsize=7, loc="upper center")


def _cost(scored: Scored, threshold: float, share: float, ratio: float) -> float:
    return expected_cost(*rates(*scored.pair, threshold), share, ratio)


def _draw_confusion(axis: Axes, scored: Scored, threshold: float, share: float) -> None:
    flagged = is_anomalous(scored.scores, threshold)
    counts = [[int(np.sum((scored.labels == truth) & (flagged == said))) for said in (0, 1)] for truth in (0, 1)]
    axis.imshow(counts, cmap="Blues", vmin=0, vmax=2 * max(map(max, counts)), aspect="auto")
    for truth in (0, 1):
        for said in (0, 1):
            axis.text(said, truth, counts[truth][said], ha="center", va="center", fontsize=14)
    axis.set(xticks=(0, 1), yticks=(0, 1), xticklabels=NAMES, xlabel="decision", ylabel="truth")
    axis.set_yticklabels(NAMES, rotation=90, va="center")
    exact = precision(*rates(*scored.pair, threshold), share)
    shown = "undefined, no alarm" if exact is None else f"{exact:.2f}"
    axis.set_title(f"{counts[1][0]} missed, {counts[0][1]} false alarms\nprecision {shown}")


def _draw_roc(axis: Axes, scored: Scored, threshold: float) -> None:
    points = [(point["false_positive_rate"], point["true_positive_rate"]) for point in roc_points(*scored.pair)]
    recall, false_positives = rates(*scored.pair, threshold)
    axis.plot(*zip(*points, strict=True), color="0.5")
    axis.plot(false_positives, recall, "o", color=ANOMALOUS_COLOUR, markersize=8)
    axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="false-positive rate", ylabel="recall")
    axis.set_title(f"ROC, images\nrecall {recall:.2f} at FPR {false_positives:.2f}")


def _draw_pro(axis: Axes, scored: Scored, threshold: float) -> None:
    axis.set(xlim=(-0.01, LIMIT + 0.01), ylim=(-0.03, 1.03), xlabel="false-positive rate", ylabel="overlap")
    if scored.pixels is None or scored.pixel_threshold is None:
        axis.text(LIMIT / 2, 0.5, "no maps, or no masks", ha="center", va="center")
        axis.set_title("PRO, regions")
        return
    axis.plot(*zip(*scored.pixels.points, strict=True), color="0.5")
    pixel = scored.pixel_at(threshold)
    false_positives, overlap = scored.pixels.at(pixel)
    axis.plot(min(false_positives, LIMIT), overlap, "o", color=ANOMALOUS_COLOUR, markersize=8)
    axis.set_title(f"PRO, pixels from {pixel:.3g}\noverlap {overlap:.2f} at FPR {false_positives:.3f}")
