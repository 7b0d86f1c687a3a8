"""Figures of the DFR lesson. Each function returns a matplotlib Figure."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from anomaly_lib.figures.images import outline
from anomaly_lib.figures.style import ANOMALOUS_COLOUR, MAP_COLOURS, MAP_LIMITS, NORMAL_COLOUR, displayable

DEVIATIONS = 4
"""Limits of the scale of feature maps, in standard deviations of normal features."""
MARKERS = ("o", "s", "^", "D")


def layer_maps_figure(image: Tensor, mask: Tensor, maps: Mapping[str, Tensor]) -> Figure:
    """An image (3, S, S), and for each layer a column of some channels (K, h, h), in standard deviations of normal."""
    rows = max(len(channels) for channels in maps.values())
    figure, axes = plt.subplots(rows, 1 + len(maps), figsize=(1.55 * (1 + len(maps)) + 0.8, 1.6 * rows), squeeze=False)
    axes[0, 0].imshow(displayable(image))
    outline(axes[0, 0], mask.numpy())
    axes[0, 0].set_title("input", fontsize=8)
    for column, (layer, channels) in zip(axes.T[1:], maps.items(), strict=True):
        for axis, channel in zip(column, channels.numpy(), strict=True):
            limits = {"vmin": -DEVIATIONS, "vmax": DEVIATIONS}
            shown = axis.imshow(channel, cmap="cividis", interpolation="nearest", **limits)
        column[0].set_title(f"{layer}, {channels.shape[-1]}×{channels.shape[-1]}", fontsize=8)
    for axis in axes.flat:
        axis.set_axis_off()
    bar = figure.colorbar(shown, ax=axes, shrink=0.7)
    bar.set_label("standard deviations from the normal mean", fontsize=8)
    return figure


def aligned_figure(steps: Mapping[str, Tensor]) -> Figure:
    """One map (h, h) on its way to the grid, all on one scale from the lowest to the highest value of the first."""
    first = next(iter(steps.values()))
    low, high = first.min().item(), first.max().item()
    figure, axes = plt.subplots(1, len(steps), figsize=(2.5 * len(steps) + 0.8, 2.7), squeeze=False)
    for axis, (name, values) in zip(axes[0], steps.items(), strict=True):
        shown = axis.imshow(values.numpy(), cmap="cividis", vmin=low, vmax=high, interpolation="nearest")
        axis.set_title(f"{name}\n{values.shape[0]}×{values.shape[1]}", fontsize=8)
        axis.set_axis_off()
    figure.colorbar(shown, ax=axes, shrink=0.8, label="feature")
    return figure


def spread_figure(deviations: Mapping[str, Tensor], shares: Mapping[str, Mapping[str, float]]) -> Figure:
    """Left each channel's standard deviation by layer, right which share of the squared error each layer holds.

    ``shares``: {name of the features: {layer: share}}.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 3.2))
    for place, values in enumerate(deviations.values()):
        offsets = np.linspace(-0.3, 0.3, len(values))
        left.plot(place + offsets, values.numpy(), ".", color=NORMAL_COLOUR, markersize=4)
    left.set_xticks(range(len(deviations)), list(deviations), fontsize=8)
    left.set(yscale="log", ylabel="standard deviation", title="One dot a channel, over normal places")
    width = 0.8 / len(shares)
    styles = ((ANOMALOUS_COLOUR, "//"), (NORMAL_COLOUR, ""), ("0.6", ".."))
    for index, ((name, parts), (colour, hatch)) in enumerate(zip(shares.items(), styles, strict=False)):
        places = np.arange(len(parts)) + (index - (len(shares) - 1) / 2) * width
        right.bar(places, list(parts.values()), width, color=colour, hatch=hatch, label=name)
    right.set_xticks(range(len(deviations)), list(deviations), fontsize=8)
    right.set(ylim=(0, 1), ylabel="share of the squared error", title="Whose error is it?")
    right.legend(fontsize=8)
    return figure


def plane_figure(vectors: Tensor, reconstruction: Tensor, direction: Tensor, title: str) -> Figure:
    """Vectors (M, 2), what one number each makes of them, and the line along ``direction`` on which that lies."""
    figure, axis = plt.subplots(figsize=(3.9, 3.6))
    reach = 1.25 * (vectors - vectors.mean(0)).abs().max().item()
    ends = reconstruction.mean(0) + direction * direction.new_tensor([[-3.0], [3.0]]) * reach
    axis.plot(*ends.T.numpy(), color="0.8", linewidth=4, zorder=0, label="what one number can say")
    for vector, rebuilt in zip(vectors, reconstruction, strict=True):
        axis.plot(*np.stack([vector, rebuilt]).T, color=ANOMALOUS_COLOUR, linewidth=1)
    axis.plot(*vectors.T.numpy(), "o", color=NORMAL_COLOUR, label="features")
    axis.plot(*reconstruction.T.numpy(), "x", color="black", label="reconstruction")
    middle = vectors.mean(0).tolist()
    axis.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach), aspect="equal")
    axis.set(xlabel="first channel", ylabel="second channel", title=title)
    axis.legend(fontsize=7, loc="upper left")
    return figure


def scales_figure(scales: Mapping[str, Tensor]) -> Figure:
    """The normal error of each place (g, g) of some categories, in units of its mean, on one scale from 0.5 to 2."""
    figure, axes = plt.subplots(1, len(scales), figsize=(2.9 * len(scales) + 0.8, 2.9), squeeze=False)
    for axis, (name, scale) in zip(axes[0], scales.items(), strict=True):
        relative = (scale / scale.mean()).numpy()
        shown = axis.imshow(relative, cmap="cividis", vmin=0.5, vmax=2)
        axis.set_title(f"{name}: {relative.min():.2f} to {relative.max():.2f}", fontsize=9)
        axis.set_axis_off()
    figure.colorbar(shown, ax=axes, shrink=0.85).set_label("normal error of a place,\n1 the mean of all", fontsize=8)
    return figure


def areas_figure(areas: Sequence[float], scores: Sequence[float], kinds: Sequence[str], threshold: float) -> Figure:
    """Image scores of defective images against the area of their defect, a mark a kind, and the threshold."""
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    areas, scores, kinds = 100 * np.asarray(areas), np.asarray(scores), np.asarray(kinds)
    for index, (kind, marker) in enumerate(zip(sorted(set(kinds)), MARKERS, strict=False)):
        of_kind = kinds == kind
        axis.plot(areas[of_kind], scores[of_kind], marker, color=f"C{index}", label=kind)
    axis.axhline(threshold, color="black", linestyle="--", label="threshold")
    axis.set(xscale="log", xlabel="area of the defect, % of the image", ylabel="image score")
    axis.set_title("What lies below the line is missed")
    axis.legend(fontsize=8)
    return figure


def cases_figure(images: Tensor, shown: Tensor, titles: Sequence[str]) -> Figure:
    """Images (N, 3, S, S) above their anomaly maps (N, S, S), on the scale where 1 is the pixel threshold."""
    figure, axes = plt.subplots(2, len(images), figsize=(1.9 * len(images) + 0.9, 4.2), squeeze=False)
    for column, image, values, title in zip(axes.T, images, shown, titles, strict=True):
        column[0].imshow(displayable(image))
        column[0].set_title(title, fontsize=8)
        drawn = column[1].imshow(values.numpy(), cmap=MAP_COLOURS, vmin=MAP_LIMITS[0], vmax=MAP_LIMITS[1])
    for axis in axes.flat:
        axis.set_axis_off()
    bar = figure.colorbar(drawn, ax=axes[1], shrink=0.8)
    bar.set_label("0 median normal,\n1 threshold", fontsize=7)
    return figure
