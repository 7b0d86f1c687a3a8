"""Figures of data, training and results. Each function returns a matplotlib Figure and saves nothing."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomaly_lib.reporting.style import (
    ANOMALOUS_COLOUR,
    CONTOUR_COLOUR,
    MAP_COLOURS,
    MAP_LIMITS,
    NORMAL_COLOUR,
    displayable,
    on_fixed_scale,
)

LINES = ("-", "--", "-.")
COUNTS = ("used_codes", "perplexity")
"""Columns of a history that are counts: no losses, and no part of their figure."""


def contact_sheet(
    images: np.ndarray, titles: Sequence[str], masks: np.ndarray | None = None, columns: int = 6
) -> Figure:
    """Images (N, 3, H, W) in a grid, outlined by their masks (N, H, W) where given."""
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(1.5 * columns, 1.7 * rows), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for index, (axis, image, title) in enumerate(zip(axes.flat, images, titles, strict=False)):
        axis.imshow(displayable(image))
        axis.set_title(title, fontsize=8)
        if masks is not None:
            outline(axis, masks[index])
    return figure


def outline(axis: Axes, mask: np.ndarray) -> None:
    """Draw the border of a mask (H, W), if it has any."""
    if np.any(mask):
        axis.contour(np.asarray(mask, dtype=float), levels=[0.5], colors=[CONTOUR_COLOUR], linewidths=0.9)


def mean_and_spread(images: np.ndarray) -> Figure:
    """The mean of normal images (N, 3, H, W), and where they differ from each other."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2))
    left.imshow(displayable(images.mean(axis=0)))
    left.set_title(f"mean of {len(images)} normal images")
    spread = right.imshow(images.std(axis=0).mean(axis=0), cmap="viridis", vmin=0)
    right.set_title("standard deviation of a pixel")
    figure.colorbar(spread, ax=right, shrink=0.8, label="intensity, 0 to 1")
    for axis in (left, right):
        axis.set_axis_off()
    return figure


def area_histogram(areas: dict[str, Sequence[float]]) -> Figure:
    """Defect areas, as shares of the image, by defect type: {type: areas}."""
    figure, axis = plt.subplots(figsize=(7, 3))
    every = np.concatenate([np.asarray(values) for values in areas.values()])
    bins = np.geomspace(every.min() * 0.9, every.max() * 1.1, 15) * 100
    colours = plt.get_cmap("cividis")(np.linspace(0, 0.95, len(areas)))
    axis.hist(
        [np.asarray(v) * 100 for v in areas.values()],
        bins=bins,
        stacked=True,
        color=colours,
        label=list(areas),
    )
    axis.set(
        xscale="log",
        xlabel="defect area, % of the image",
        ylabel="test images",
        title="How large are the defects?",
    )
    axis.legend(title="defect type")
    return figure


def loss_curve(history: Sequence[dict], title: str) -> Figure:
    """Mean of each loss over the steps since the row before, and the learning rate.

    ``loss`` is the sum that was minimised; what else a row holds are its terms.
    """
    figure, axis = plt.subplots(figsize=(7, 3))
    steps = [row["step"] for row in history]
    terms = [name for name in history[0] if name not in ("step", "loss", "learning_rate", *COUNTS)]
    axis.plot(steps, [row["loss"] for row in history], color="black", label="loss")
    for index, name in enumerate(terms):
        colour, line = f"C{index}", LINES[index % len(LINES)]
        axis.plot(steps, [row[name] for row in history], color=colour, linestyle=line, linewidth=1, label=name)
    axis.set(xlabel="step", ylabel="loss", yscale="log", title=title)
    rate = axis.twinx()
    rate.plot(steps, [row["learning_rate"] for row in history], color="0.6", linestyle=":")
    rate.set_ylabel("learning rate (dotted)")
    if terms:
        figure.legend(loc="outside right center", fontsize=8)
    return figure


def training_pictures(folder: Path) -> Figure | None:
    """The pictures that a training kept in ``folder`` (``step-000100.png``), in order; None without any."""
    files = sorted(folder.glob("step-*.png"))
    if not files:
        return None
    pictures = [plt.imread(file) for file in files]
    height, width = pictures[0].shape[:2]
    columns = max(1, round(9 / (2.0 * width / height)))
    rows = -(-len(files) // columns)
    shape = (9, 9 / columns * height / width * rows + 0.25 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=shape, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, picture, file in zip(axes.flat, pictures, files, strict=False):
        axis.imshow(picture)
        axis.set_title(f"after {int(file.stem.removeprefix('step-'))} steps", fontsize=8)
    return figure


def score_histogram(scores: np.ndarray, labels: np.ndarray, threshold: float, title: str) -> Figure:
    """Image scores of normal and anomalous test images, and the threshold from held-out normals."""
    figure, axis = plt.subplots(figsize=(7, 3))
    bins = np.linspace(scores.min(), scores.max(), 25)
    groups = ((0, "normal", NORMAL_COLOUR, ""), (1, "anomalous", ANOMALOUS_COLOUR, "//"))
    for label, name, colour, hatch in groups:
        axis.hist(scores[labels == label], bins=bins, color=colour, alpha=0.65, hatch=hatch, label=name)
    axis.axvline(threshold, color="black", linestyle="--", label="threshold (held-out normals)")
    axis.set(xlabel="image score", ylabel="test images", title=title)
    axis.legend()
    return figure


def map_rows(
    images: np.ndarray, maps: np.ndarray, masks: np.ndarray | None, titles: Sequence[str], thresholds: dict
) -> Figure:
    """One row an image: input with the true outline, anomaly map on the fixed scale, input with the found outline."""
    figure, axes = plt.subplots(len(images), 3, figsize=(6.6, 2.1 * len(images)), squeeze=False)
    shown = on_fixed_scale(maps, thresholds)
    for index, (row, title) in enumerate(zip(axes, titles, strict=True)):
        for axis in row:
            axis.set_axis_off()
        row[0].imshow(displayable(images[index]))
        row[0].set_title(title, fontsize=8)
        if masks is not None:
            outline(row[0], masks[index])
        picture = row[1].imshow(shown[index], cmap=MAP_COLOURS, vmin=MAP_LIMITS[0], vmax=MAP_LIMITS[1])
        row[2].imshow(displayable(images[index]))
        outline(row[2], shown[index] >= 1)
    axes[0, 1].set_title("anomaly map", fontsize=8)
    axes[0, 2].set_title("pixels above threshold", fontsize=8)
    bar = figure.colorbar(picture, ax=axes[:, 1], location="bottom", shrink=0.9, aspect=18)
    bar.set_label("0 median normal, 1 threshold", fontsize=8)
    return figure
