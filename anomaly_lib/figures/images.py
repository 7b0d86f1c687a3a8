"""Figures of images with outlines and maps. Each function returns a matplotlib Figure and saves nothing."""

import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomaly_lib.figures.style import CONTOUR_COLOUR, MAP_COLOURS, MAP_LIMITS, displayable, map_scale

TITLE_WIDTH = 36
"""Characters of a photo's title in a line, at 8 points above 2 inches."""


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
        axis.set_title(title, fontsize=8, parse_math=False)
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
    bins = (np.geomspace(every.min() * 0.9, every.max() * 1.1, 15) * 100).tolist()
    colours = [tuple(colour) for colour in plt.get_cmap("cividis")(np.linspace(0, 0.95, len(areas))).tolist()]
    shares = [np.asarray(values) * 100 for values in areas.values()]
    axis.hist(shares, bins=bins, stacked=True, color=colours, label=list(areas))
    axis.set(xscale="log", xlabel="defect area, % of the image", ylabel="test images")
    axis.set_title("How large are the defects?")
    for text in axis.legend(title="defect type").get_texts():
        text.set_parse_math(False)
    return figure


def map_rows(
    images: np.ndarray, maps: np.ndarray, masks: np.ndarray | None, titles: Sequence[str], thresholds: dict
) -> Figure:
    """One row per image: input with the true outline, anomaly map on the fixed scale, input with the found outline.

    Without a pixel threshold nothing is outlined as found, and the scale is the range of these maps.
    """
    figure, axes = plt.subplots(len(images), 3, figsize=(6.6, 2.1 * len(images)), squeeze=False)
    scale = map_scale(thresholds, float(maps.min()), float(maps.max()))
    shown = scale(maps)
    for index, (row, title) in enumerate(zip(axes, titles, strict=True)):
        for axis in row:
            axis.set_axis_off()
        row[0].imshow(displayable(images[index]))
        row[0].set_title(textwrap.fill(title, TITLE_WIDTH), fontsize=8, parse_math=False)
        if masks is not None:
            outline(row[0], masks[index])
        picture = row[1].imshow(shown[index], cmap=MAP_COLOURS, vmin=MAP_LIMITS[0], vmax=MAP_LIMITS[1])
        row[2].imshow(displayable(images[index]))
        if scale.has_threshold:
            outline(row[2], shown[index] >= 1)
    axes[0, 1].set_title("anomaly map", fontsize=8)
    axes[0, 2].set_title("pixels above threshold" if scale.has_threshold else "no pixel threshold", fontsize=8)
    bar = figure.colorbar(picture, ax=axes[:, 1], location="bottom", shrink=0.9, aspect=18)
    bar.set_label(scale.label, fontsize=8)
    return figure
