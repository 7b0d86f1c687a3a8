"""ROC, precision-recall and PRO curves of one run, and its confusion matrix, as figures."""

import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomaly_lib.evaluation.thresholds import is_anomalous
from anomaly_lib.params import Params
from anomaly_lib.reporting.results import run_key
from anomaly_lib.reporting.style import ANOMALOUS_COLOUR, NORMAL_COLOUR

Points = Sequence[dict[str, float]] | None

KINDS = {
    "roc": ("ROC, images", "false_positive_rate", "true_positive_rate"),
    "precision_recall": ("precision-recall, images", "recall", "precision"),
    "pro": ("PRO, regions", "false_positive_rate", "overlap"),
}
"""Title, x and y of each curve, by its name in file names."""
POINTS_A_CURVE = 100  # in the files for DVC, which git holds


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


def confusion_figure(scores: np.ndarray, labels: np.ndarray, threshold: float) -> Figure:
    """Image counts of truth (rows) and decision (columns) at a threshold; wrong decisions are framed."""
    flagged = is_anomalous(scores, threshold)
    names = ("normal", "anomalous")
    counts = [[int(np.sum((labels == truth) & (flagged == said))) for said in (0, 1)] for truth in (0, 1)]
    figure, axis = plt.subplots(figsize=(3.6, 3.2))
    axis.imshow(counts, cmap="Blues", vmin=0, vmax=2 * max(1, max(map(max, counts))))
    for truth in (0, 1):
        for said in (0, 1):
            axis.text(said, truth, counts[truth][said], ha="center", va="center", fontsize=14)
            if truth != said:
                frame = plt.Rectangle((said - 0.48, truth - 0.48), 0.96, 0.96, fill=False, ec=ANOMALOUS_COLOUR, lw=2)
                axis.add_patch(frame)
    axis.set(xticks=(0, 1), yticks=(0, 1), xticklabels=names, yticklabels=names, xlabel="decision", ylabel="truth")
    axis.set_title("images at the calibrated threshold")
    return figure


def all_curves(params: Params, reports: Path, name: str) -> list[dict]:
    """Rows of one kind of curve of all methods and categories, first seed, thinned: for `dvc plots`."""
    rows = []
    for method in params.methods:
        for category in params.categories:
            file = reports / "evaluate" / run_key(method, category, params.seeds[0]) / f"{name}.csv"
            if file.is_file():
                with file.open(encoding="utf-8", newline="") as stream:
                    points = list(csv.DictReader(stream))
                kept = points[:: max(1, len(points) // POINTS_A_CURVE)] + points[-1:]
                rows += [{"method": method, "category": category, **point} for point in kept]
    return rows
