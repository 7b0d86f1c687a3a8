"""Figures of scores and metrics. Each function returns a matplotlib Figure and saves nothing."""

import itertools
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomaly_lib.evaluation.thresholds import is_anomalous
from anomaly_lib.figures.style import ANOMALOUS_COLOUR, NORMAL_COLOUR
from anomaly_lib.registry import shown_name
from anomaly_lib.reporting.results import METRICS

Points = Sequence[dict[str, float]] | None

KINDS = {
    "roc": ("ROC, images", "false_positive_rate", "true_positive_rate"),
    "precision_recall": ("precision-recall, images", "recall", "precision"),
    "pro": ("PRO, regions", "false_positive_rate", "overlap"),
}
"""Title, x and y of each curve, by its name in file names."""
MARKERS = "osD^vP*X<>"
"""Of the methods in the overview, in their order; after ten they begin again."""
CONTAMINATION = {
    "image_auroc": ("image AUROC", "C0", "o-"),
    "aupro_030": ("AUPRO 0.3", "C1", "s--"),
    "set_aside_auroc": ("image AUROC of the set-aside images (no test metric)", "0.55", "^:"),
}


def score_histogram(scores: np.ndarray, labels: np.ndarray, threshold: float | None, title: str) -> Figure:
    """Image scores of normal and anomalous test images, and the threshold from normal images, where there is one."""
    figure, axis = plt.subplots(figsize=(7, 3))
    draw_scores(axis, scores, labels, threshold, "threshold (from normal images)")
    axis.set(ylabel="test images", title=title)
    axis.legend()
    return figure


def draw_scores(
    axis: Axes, scores: np.ndarray, labels: np.ndarray, threshold: float | None, threshold_name: str
) -> None:
    """Histograms of the scores (N,) of both classes of labels (N,), and a line at the threshold, where there is one."""
    bins = np.linspace(scores.min(), scores.max(), 25).tolist() if scores.min() < scores.max() else 1
    groups = ((0, "normal", NORMAL_COLOUR, ""), (1, "anomalous", ANOMALOUS_COLOUR, "//"))
    for label, name, colour, hatch in groups:
        axis.hist(scores[labels == label], bins=bins, color=colour, alpha=0.65, hatch=hatch, label=name)
    if threshold is not None:
        axis.axvline(threshold, color="black", linestyle="--", label=threshold_name)
    axis.set(xlabel="image score")


def held_out_scores(scores: np.ndarray, thresholds: dict) -> Figure:
    """Image scores (N,) of held-out normals, one dot each, and the threshold that they gave."""
    figure, axis = plt.subplots(figsize=(7, 1.7))
    axis.plot(np.sort(scores), np.linspace(0, 1, len(scores)), "o", color=NORMAL_COLOUR, alpha=0.7)
    if thresholds["image"] is not None:
        axis.axvline(thresholds["image"], color="black", linestyle="--", label="threshold")
        axis.legend()
    axis.set(xlabel="image score", yticks=[], title=f"{len(scores)} held-out normal images, in ascending order")
    return figure


def curves_figure(curves: dict[str, Points], values: dict[str, float | None]) -> Figure:
    """The curves by name of ``KINDS``, with the area of each in its title; an undefined one says so."""
    figure, axes = plt.subplots(1, len(KINDS), figsize=(10, 3.4))
    for axis, (name, (title, x, y)) in zip(axes, KINDS.items(), strict=True):
        _draw_curve(axis, curves[name], x, y)
        area = values[name]
        axis.set_title(f"{title}: {'not defined' if area is None else f'{area:.3f}'}")
    return figure


def _draw_curve(axis: Axes, points: Points, x: str, y: str) -> None:
    axis.set(xlabel=x.replace("_", " "), ylabel=y.replace("_", " "), ylim=(-0.02, 1.02))
    axis.grid(alpha=0.3)
    if points is None:
        axis.text(0.5, 0.5, "one class only", ha="center", va="center", transform=axis.transAxes)
        return
    across, up = ([point[key] for point in points] for key in (x, y))
    axis.plot(across, up, color=NORMAL_COLOUR)
    axis.fill_between(across, up, alpha=0.12, color=NORMAL_COLOUR)


def confusion_figure(scores: np.ndarray, labels: np.ndarray, threshold: float | None) -> Figure:
    """Image counts of truth (rows) and decision (columns) at a threshold; wrong decisions are framed.

    Without a threshold nothing is flagged.
    """
    flagged = is_anomalous(scores, np.inf if threshold is None else threshold)
    names = ("normal", "anomalous")
    counts = [[int(np.sum((labels == truth) & (flagged == said))) for said in (0, 1)] for truth in (0, 1)]
    figure, axis = plt.subplots(figsize=(3.6, 3.2))
    axis.imshow(counts, cmap="Blues", vmin=0, vmax=2 * max(1, max(map(max, counts))))
    for truth in (0, 1):
        for said in (0, 1):
            axis.text(said, truth, str(counts[truth][said]), ha="center", va="center", fontsize=14)
            if truth != said:
                frame = plt.Rectangle((said - 0.48, truth - 0.48), 0.96, 0.96, fill=False, ec=ANOMALOUS_COLOUR, lw=2)
                axis.add_patch(frame)
    axis.set(xticks=(0, 1), yticks=(0, 1), xticklabels=names, yticklabels=names, xlabel="decision", ylabel="truth")
    axis.set_title("images at the calibrated threshold")
    return figure


def overview_figure(rows: Sequence[dict]) -> Figure:
    """Image AUROC, pixel AUROC and AUPRO 0.3 by category, one dot per run; what no run has is left out."""
    wanted = [metric for metric in METRICS if metric.key in ("image_auroc", "pixel_auroc", "aupro_030")]
    shown = [m for m in wanted if any(row.get(m.key) is not None for row in rows)] or wanted[:1]
    categories = list(dict.fromkeys(row["category"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    spacing = min(0.18, 0.8 / max(1, len(methods)))  # the methods of one category stay together
    size = (3.1 * len(shown) + 1.6, 0.45 * len(categories) + 1.6)
    figure, axes = plt.subplots(1, len(shown), figsize=size, sharey=True, squeeze=False)
    for axis, metric in zip(axes[0], shown, strict=True):
        for place, (method, marker) in enumerate(zip(methods, itertools.cycle(MARKERS), strict=False)):
            runs = [row for row in rows if row["method"] == method and row.get(metric.key) is not None]
            heights = [categories.index(row["category"]) + spacing * place for row in runs]
            axis.plot([row[metric.key] for row in runs], heights, marker, label=shown_name(method), alpha=0.8)
        middles = [index + spacing * (len(methods) - 1) / 2 for index in range(len(categories))]
        axis.set(xlabel=metric.title, yticks=middles, yticklabels=categories)
        axis.grid(axis="x", alpha=0.3)
    axes[0, 0].margins(y=0.25)
    axes[0, 0].invert_yaxis()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right center")
    return figure


def contamination_figure(rows: Sequence[dict], title: str) -> Figure:
    """Image AUROC and AUPRO against the share of anomalous training images; rows of ``contamination_rows``.

    A metric that is not defined has no curve. The vertical axis goes from chance for an AUROC, or lower where a value
    does, to 1.
    """
    figure, axis = plt.subplots(figsize=(7, 3.4))
    shares = [100 * row["share"] for row in rows]
    lowest = 0.5
    for key, (label, colour, style) in CONTAMINATION.items():
        values = [row[key] for row in rows]
        if None not in values:
            axis.plot(shares, values, style, color=colour, label=label)
            lowest = min(lowest, *values)
    axis.set(xlabel="anomalous images in the training set, %", xticks=shares, ylim=(lowest - 0.02, 1.02), title=title)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return figure
