"""Figures of the lesson on metrics. Each function returns a matplotlib Figure."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomaly_lib.figures.images import outline
from anomaly_lib.figures.style import ANOMALOUS_COLOUR, MAP_COLOURS, MAP_LIMITS, NORMAL_COLOUR, MapScale

LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")


def gain_figure(choices: Sequence[int], gains: Mapping[int, Sequence[float]], quality: float) -> Figure:
    """What the best of so many equal candidates pretends, a line for each number of test images."""
    figure, axis = plt.subplots(figsize=(6, 3.2))
    for (images, values), line, marker in zip(gains.items(), LINES, MARKERS, strict=False):
        axis.plot(choices, values, line, marker=marker, color="black", label=f"{images} test images")
    axis.axhline(0, color="0.7", linewidth=0.8)
    axis.set(xscale="log", xlabel="candidates to pick from (epochs, scores, seeds), all equal")
    axis.set_xticks(list(choices), [str(count) for count in choices])
    axis.minorticks_off()
    axis.set(ylabel="picked AUROC − true AUROC", title=f"The best of equals, whose true AUROC is {quality:g}")
    axis.legend(fontsize=8)
    return figure


def spread_figure(values: Mapping[str, Sequence[float]], label: str, title: str) -> Figure:
    """Named samples as boxes from quartile to quartile; whiskers hold nine tenths, and the number is the mean."""
    figure, axis = plt.subplots(figsize=(9, 0.5 * len(values) + 1.1))
    axis.boxplot(
        list(values.values()),
        orientation="horizontal",
        whis=(5, 95),
        showfliers=False,
        widths=0.55,
        medianprops={"color": ANOMALOUS_COLOUR, "linewidth": 2},
    )
    axis.set_yticks(range(1, len(values) + 1), list(values))
    for place, sample in enumerate(values.values(), start=1):
        axis.text(1.02, place, f"{np.mean(sample):.2f}", va="center", transform=axis.get_yaxis_transform())
    axis.invert_yaxis()
    axis.set(xlim=(-0.02, 1.02), xlabel=label, title=title)
    return figure


def pairs_figure(honest: Mapping[str, float], oracle: Mapping[str, float], title: str) -> Figure:
    """For each name an honest and an oracle F1, joined by a line that is the difference."""
    figure, axis = plt.subplots(figsize=(7, 0.3 * len(honest) + 1.3))
    places = np.arange(len(honest))
    axis.hlines(places, list(honest.values()), list(oracle.values()), color="0.6")
    axis.plot(list(honest.values()), places, "o", color=NORMAL_COLOUR, label="threshold from held-out normals")
    axis.plot(list(oracle.values()), places, "D", color=ANOMALOUS_COLOUR, label="F1-max, oracle")
    axis.set_yticks(places, list(honest), fontsize=8)
    axis.invert_yaxis()
    axis.set(xlim=(-0.02, 1.04), xlabel="image F1", title=title)
    axis.legend(fontsize=8, loc="lower left")
    return figure


def sigmoid_figure(
    offsets: Sequence[float],
    raw: Sequence[float],
    ranked: Sequence[float],
    sizes: Sequence[int],
    by_batch: Sequence[Sequence[float]],
    truth: float,
) -> Figure:
    """Left AUROC against a number added to all scores, right against the batch size, a dot for each image order."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    left.plot(offsets, raw, "--", marker="s", color=ANOMALOUS_COLOUR, label="torchmetrics, raw scores")
    left.plot(offsets, ranked, color=NORMAL_COLOUR, label="from ranks")
    left.set(xlabel="added to every score", ylabel="image AUROC", title="The same scores, shifted")
    left.legend(fontsize=8, loc="lower left")
    for place, values in enumerate(by_batch):
        right.plot(np.full(len(values), place), values, "s", color=ANOMALOUS_COLOUR, alpha=0.4)
    right.axhline(truth, color=NORMAL_COLOUR, label="from ranks, any batch and order")
    right.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    right.set(xlabel="batch size", title="The same scores, other batches and orders")
    right.legend(fontsize=8, loc="lower left")
    return figure


def curves_figure(curves: Mapping[str, tuple], limit: float) -> Figure:
    """One panel a name: the exact PRO curve as a line, and the points of a few spaced thresholds, up to the limit.

    ``curves``: {name: ((rates, overlap) exact, (rates, overlap) of few thresholds)}.
    """
    figure, axes = plt.subplots(1, len(curves), figsize=(4.5 * len(curves), 3.4), sharey=True)
    for axis, (name, (exact, few)) in zip(axes, curves.items(), strict=True):
        shown = exact[0] <= 1.3 * limit
        axis.plot(exact[0][shown], exact[1][shown], color=NORMAL_COLOUR, label="every threshold")
        axis.plot(*few, "s--", color=ANOMALOUS_COLOUR, markersize=4, label=f"{len(few[0])} equally spaced")
        axis.axvline(limit, color="black", linewidth=0.8)
        inside = np.count_nonzero(few[0] < limit)
        last = few[0][few[0] < limit].max()
        axis.set(xlim=(0, 1.3 * limit), ylim=(0, 1.02), xlabel="false-positive rate of all normal pixels")
        axis.set_title(f"{name}: {inside} of {len(few[0])} thresholds\nbelow the limit, the last at {last:.3f}")
    axes[0].set_ylabel("PRO, mean overlap of regions")
    axes[-1].legend(fontsize=8, loc="lower right")
    return figure


def masks_figure(source: np.ndarray, small: Mapping[str, np.ndarray], counts: Mapping[str, int]) -> Figure:
    """A mask (H, W) and its reductions side by side, each with its number of regions and its share of the area."""
    panels = {"as annotated": source, **small}
    figure, axes = plt.subplots(1, len(panels), figsize=(2.4 * len(panels), 3))
    for axis, (name, mask) in zip(axes, panels.items(), strict=True):
        axis.imshow(mask, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        share = mask.mean() / source.mean()
        regions = f"{counts[name]} region" + "s" * (counts[name] != 1)
        axis.set_title(f"{name}\n{regions}, {share:.0%} of the area", fontsize=8)
        axis.set(xticks=[], yticks=[])
    return figure


def widths_figure(
    widths: Sequence[float], regions: Mapping[str, Sequence[float]], areas: Mapping[str, Sequence[float]], true: float
) -> Figure:
    """Regions a mask and share of the area that remain, against the width of the scratches in original pixels."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2))
    colours = ("0.45", ANOMALOUS_COLOUR, NORMAL_COLOUR)
    for axis, measured in zip(axes, (regions, areas), strict=True):
        for (name, values), line, marker, colour in zip(measured.items(), LINES, MARKERS, colours, strict=False):
            axis.plot(widths, values, line, marker=marker, color=colour, label=name)
        axis.set(xscale="log", xlabel="width of the scratches, pixels of the file")
        axis.set_xticks(widths, [f"{width:g}" for width in widths])
        axis.minorticks_off()
    axes[0].axhline(true, color="black", linewidth=0.8)
    axes[1].axhline(1, color="black", linewidth=0.8)
    axes[0].set(yscale="symlog", ylim=(-0.3, None), ylabel="regions a mask", title="Regions (black line: as annotated)")
    axes[0].set_yticks([0, 1, 2, 5, 10, 20, 50], ["0", "1", "2", "5", "10", "20", "50"])
    axes[1].set(ylabel="area after / before", title="Area")
    axes[1].legend(fontsize=8)
    return figure


def scales_figure(
    maps: np.ndarray, stretched: np.ndarray, masks: np.ndarray, titles: Sequence[str], scale: MapScale
) -> Figure:
    """Maps (N, H, W) in two rows: on one fixed scale, and each stretched on its own; true defects are outlined."""
    figure, axes = plt.subplots(2, len(maps), figsize=(2 * len(maps) + 1, 4.4), squeeze=False)
    for row, values, limits, label in (
        (axes[0], scale(maps), MAP_LIMITS, scale.label),
        (axes[1], stretched, (0, 1), "0 lowest, 1 highest of each image"),
    ):
        shown = [_map(axis, *pair, limits) for axis, *pair in zip(row, values, masks, strict=True)]
        figure.colorbar(shown[0], ax=row, shrink=0.9).set_label(label, fontsize=7)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    axes[0, 0].set_ylabel("one scale for all", fontsize=9)
    axes[1, 0].set_ylabel("min–max per image", fontsize=9)
    return figure


def _map(axis: Axes, values: np.ndarray, mask: np.ndarray, limits: tuple[float, float]):
    axis.set(xticks=[], yticks=[])
    shown = axis.imshow(values, cmap=MAP_COLOURS, vmin=limits[0], vmax=limits[1])
    outline(axis, mask)
    return shown
