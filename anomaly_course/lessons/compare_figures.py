"""Figures of the lesson that compares the methods. Values are shown ones: 0 median normal, 1 threshold."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomaly_course.lessons.compare import View
from anomaly_lib.evaluation.thresholds import decide
from anomaly_lib.figures.detection import EXTRA_COLOURS, EXTRA_LIMITS, PLAIN_WORDS
from anomaly_lib.figures.images import outline
from anomaly_lib.figures.style import ANOMALOUS_COLOUR, DECISION_COLOURS, MAP_COLOURS, MAP_LIMITS, NORMAL_COLOUR

MARKERS = {"normal": ("o", NORMAL_COLOUR), "anomalous": ("^", ANOMALOUS_COLOUR)}
RING = "#404040"
TICKS = (-10, -1, 0, 1, 10, 100)


def side_by_side(looks: Sequence[View], mask: np.ndarray) -> Figure:
    """A row a method: input with the true outline (H, W), what the method makes of it, its map, what it found."""
    figure, axes = plt.subplots(len(looks), 4, figsize=(9.2, 2.5 * len(looks)), squeeze=False)
    for row, one in zip(axes, looks, strict=True):
        for axis in row:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        height, width = one.photo.shape[:2]
        frame = (0, width, height, 0)
        row[0].imshow(one.photo, extent=frame)
        outline(row[0], mask)
        row[0].set_ylabel(one.title, fontweight="bold")
        _draw_extra(row[1], one, frame)
        picture = row[2].imshow(one.map, MAP_COLOURS, vmin=MAP_LIMITS[0], vmax=MAP_LIMITS[1], extent=frame)
        row[2].set_title(f"map, highest pixel {one.map.max():.2g}", fontsize=8)
        row[3].imshow(one.photo, extent=frame)
        _draw_found(row[3], one, frame)
    axes[0, 0].set_title("input, the truth outlined", fontsize=8)
    figure.colorbar(picture, ax=axes[:, 2], location="bottom", shrink=0.9, aspect=18, extend="both").set_label(
        "0 median normal pixel, 1 threshold", fontsize=8
    )
    return figure


def _draw_extra(axis: Axes, one: View, frame: tuple[int, int, int, int]) -> None:
    if one.extra is None:
        axis.text(0.5, 0.5, "nothing but its map", ha="center", va="center", transform=axis.transAxes)
        return
    low, high = EXTRA_LIMITS
    scale = {} if one.extra.pixels.ndim == 3 else {"cmap": EXTRA_COLOURS, "vmin": low, "vmax": high}
    axis.imshow(one.extra.pixels, extent=frame, **scale)
    axis.set_title(one.extra.title, fontsize=8)


def _draw_found(axis: Axes, one: View, frame: tuple[int, int, int, int]) -> None:
    """The outline of the pixels at or above the threshold, and the decision in words and colour."""
    if one.map.min() < 1 <= one.map.max():
        axis.contour(one.map, [1], colors=[ANOMALOUS_COLOUR], linewidths=1.2, origin="upper", extent=frame)
    decision = decide(one.score, 1.0)
    words = f"score {one.score:.2f}: {decision} ({PLAIN_WORDS[decision]})"
    axis.set_title(words, fontsize=8, color=DECISION_COLOURS[decision], fontweight="bold")


def agreement_figure(scores: Mapping[str, np.ndarray], labels: np.ndarray, ringed: Sequence[int] = ()) -> Figure:
    """For each two methods their scores (N,) of the same images against each other; ``ringed`` positions are marked.

    The axes are linear up to 1, the threshold, and logarithmic beyond. In the shaded quarters they disagree.
    """
    pairs = list(combinations(scores, 2))
    figure, axes = plt.subplots(1, len(pairs), figsize=(3.6 * len(pairs), 3.8), squeeze=False)
    every = np.concatenate(list(scores.values()))
    limits = (min(every.min(), 0) - 0.2, every.max() * 1.3)
    for axis, (first, second) in zip(axes[0], pairs, strict=True):
        for axis_scale in (axis.set_xscale, axis.set_yscale):
            axis_scale("symlog", linthresh=1)
        axis.set(xlim=limits, ylim=limits, xlabel=f"{first}: score", ylabel=f"{second}: score")
        ticks = [tick for tick in TICKS if limits[0] < tick < limits[1]]
        axis.set_xticks(ticks, ticks)
        axis.set_yticks(ticks, ticks)
        for low, high in (((limits[0], 1), (1, limits[1])), ((1, limits[1]), (limits[0], 1))):
            axis.fill_between(low, *high, color="0.9", zorder=0)
        for label, (name, (marker, colour)) in enumerate(MARKERS.items()):
            members = labels == label
            axis.plot(
                scores[first][members], scores[second][members], marker, color=colour, alpha=0.7, ms=5, label=name
            )
        for index in ringed:
            axis.plot(scores[first][index], scores[second][index], "o", ms=13, mfc="none", mec=RING)
        both = int(np.count_nonzero((scores[first] >= 1) == (scores[second] >= 1)))
        axis.set_title(f"they agree on {both} of {len(labels)}", fontsize=9)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    return figure


def intervals_figure(
    single: Mapping[str, tuple[float, tuple[float, float] | None]], paired: Mapping[str, np.ndarray]
) -> Figure:
    """Left AUROC and its interval of each method; right, for each pair, the drawn differences (R,) and their 95 %."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 2.8))
    for row, (_, (value, ends)) in enumerate(single.items()):
        if ends:
            left.plot(ends, [row, row], color=NORMAL_COLOUR, linewidth=3, alpha=0.5)
        left.plot(value, row, "o", color=NORMAL_COLOUR)
    left.set_yticks(range(len(single)), list(single))
    left.set(ylim=(len(single) - 0.5, -0.5), xlabel="image AUROC", title="each on its own: 95 % interval")
    right.axvline(0, color="0.4", linestyle="--")
    for row, differences in enumerate(paired.values()):
        right.plot(np.quantile(differences, [0.025, 0.975]), [row, row], color=ANOMALOUS_COLOUR, linewidth=3, alpha=0.5)
        right.plot(np.mean(differences), row, "D", color=ANOMALOUS_COLOUR)
    right.set_yticks(range(len(paired)), list(paired))
    right.set(ylim=(len(paired) - 0.5, -0.5), xlabel="difference of image AUROC", title="in pairs, on the same draws")
    return figure
