"""Figures of the DMAD lesson. Each function returns a matplotlib Figure."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from anomaly_lib.figures.images import outline
from anomaly_lib.figures.style import ANOMALOUS_COLOUR, MAP_COLOURS, MAP_LIMITS, NORMAL_COLOUR, displayable
from anomaly_lib.methods.dmad.scoring import LARGEST, field_colours
from anomaly_lib.methods.dmad.warp import identity_grid, sample

ARROWS = 13  # along each axis


def pull_in_numbers(image: Tensor, field: Tensor, pulled: Tensor) -> Figure:
    """A small image (H, W) as numbers, a field (2, H, W) in pixels as arrows, and the pulled image (H, W)."""
    figure, axes = plt.subplots(1, 3, figsize=(7.4, 2.6))
    titles = ("image", "field: where each place reads", "pulled image")
    for axis, picture, title in zip(axes, (image, image, pulled), titles, strict=True):
        axis.imshow(picture.numpy(), cmap="viridis", vmin=0, vmax=float(image.max()), alpha=0.45)
        axis.set(xticks=range(image.shape[1]), yticks=range(image.shape[0]), title=title)
    for axis, picture in ((axes[0], image), (axes[2], pulled)):
        for (row, column), value in np.ndenumerate(picture.numpy()):
            axis.text(column, row, f"{value:g}", ha="center", va="center")
    axes[1].quiver(*field.numpy(), angles="xy", scale_units="xy", scale=1, width=0.012)
    return figure


def field_views(image: Tensor, field: Tensor) -> Figure:
    """One field (2, S, S) in library units on an image (3, S, S): deformed grid, arrows, colours and their key."""
    figure, axes = plt.subplots(1, 5, figsize=(10.4, 2.4), width_ratios=(1, 1, 1, 1, 0.6))
    pixels = (image.shape[-1] - 1) / 2
    warped = sample(image[None], field[None])[0]
    for axis, picture, title in zip(
        axes,
        (image, image, field_colours(field[None])[0], warped, _colour_key()),
        ("grid: read here", "arrows", "colours", "deformed image", f"key: edge {LARGEST * 128:.0f} px of 256"),
        strict=True,
    ):
        axis.imshow(displayable(picture))
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    _mesh(axes[0], field, pixels)
    _arrows(axes[1], field * pixels)
    return figure


def _colour_key(side: int = 61) -> Tensor:
    """Colours of displacements that point outwards, white outside the disc."""
    field = identity_grid(side, side) * LARGEST
    inside = field.square().sum(dim=1, keepdim=True) <= LARGEST**2
    return torch.where(inside, field_colours(field), torch.ones(1))[0]


def _mesh(axis: Axes, field: Tensor, pixels: float, lines: int = 9) -> None:
    size = field.shape[-1]
    columns, rows = ((identity_grid(size, size)[0] + field).clamp(-1, 1).numpy() + 1) * pixels
    kept = np.linspace(0, size - 1, lines).round().astype(int)
    axis.plot(columns[:, kept], rows[:, kept], color="white", linewidth=0.7)
    axis.plot(columns[kept].T, rows[kept].T, color="white", linewidth=0.7)


def _arrows(axis: Axes, field: Tensor) -> None:
    """Arrows from each place to where it reads; field (2, S, S) in pixels."""
    places = np.linspace(0, field.shape[-1] - 1, ARROWS).round().astype(int)
    along_x, along_y = field[:, places][:, :, places].numpy()
    axis.quiver(places, places, along_x, along_y, color="white", angles="xy", scale_units="xy", scale=1, width=0.009)


def codes_in_a_plane(vectors: Tensor, codes: Tensor, nearest: Tensor) -> Figure:
    """Vectors (M, 2), codes (K, 2), and a line from each vector to its nearest code (M,)."""
    figure, axis = plt.subplots(figsize=(3.6, 3.4))
    for vector, code in zip(vectors, codes[nearest], strict=True):
        axis.plot(*torch.stack([vector, code]).T.numpy(), color="0.6", linewidth=1)
    axis.scatter(*vectors.T.numpy(), color=NORMAL_COLOUR, label="feature vectors")
    axis.scatter(*codes.T.numpy(), color=ANOMALOUS_COLOUR, marker="x", s=60, label="codes")
    for number, code in enumerate(codes.tolist()):
        axis.annotate(f"  code {number}", code, fontsize=8)
    axis.set(xlim=(-1, 13.5), ylim=(-1, 13.5), aspect="equal", xlabel="first channel", ylabel="second channel")
    axis.legend(fontsize=8, loc="upper left")
    return figure


def stage_rows(image: Tensor, mask: Tensor, maps: Mapping[str, Tensor], thresholds: Mapping[str, tuple]) -> Figure:
    """One image's anomaly map (S, S) after each stage of the lesson.

    Each on the scale of its own model, whose (median, threshold) of normal pixels are shown as 0 and 1.
    """
    figure, axes = plt.subplots(1, 1 + len(maps), figsize=(2.3 * (1 + len(maps)), 2.6))
    axes[0].imshow(displayable(image))
    outline(axes[0], mask.numpy())
    axes[0].set_title("input", fontsize=9)
    for axis, (name, pixels) in zip(axes[1:], maps.items(), strict=True):
        zero, one = thresholds[name]
        shown = axis.imshow(
            ((pixels - zero) / (one - zero)).numpy(), cmap=MAP_COLOURS, vmin=MAP_LIMITS[0], vmax=MAP_LIMITS[1]
        )
        outline(axis, mask.numpy())
        axis.set_title(name, fontsize=9)
    for axis in axes:
        axis.set_axis_off()
    bar = figure.colorbar(shown, ax=axes, shrink=0.8)
    bar.set_label("0 median normal,\n1 threshold", fontsize=8)
    return figure


def bend_curves(
    bends: Sequence[float], scores: Mapping[str, Sequence[float]], rates: Mapping[str, Sequence[float]]
) -> Figure:
    """Against the bend of normal parts: their median image score, and the AUROC of defective against bent images."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.0))
    for index, name in enumerate(scores):
        style = {"color": f"C{index}", "marker": "os^"[index % 3], "linestyle": ("-", "--", ":")[index % 3]}
        left.plot(bends, scores[name], label=name, **style)
        right.plot(bends, rates[name], label=name, **style)
    left.set(xlabel="bend of normal parts, px", ylabel="their median image score", title="how anomalous a bend looks")
    right.set(xlabel="bend of normal parts, px", ylabel="AUROC", ylim=(0, 1), title="defective against bent normal")
    right.axhline(0.5, color="0.7", linewidth=0.8)
    left.legend(fontsize=8)
    return figure


def selection_figure(values: Sequence[float], base: float) -> Figure:
    """AUROC of worthless variants of a score, and of the score itself."""
    figure, axis = plt.subplots(figsize=(7, 2.6))
    axis.hist(values, bins=np.linspace(min(*values, base) - 0.005, max(*values, base) + 0.005, 25), color=NORMAL_COLOUR)
    axis.axvline(base, color="black", linestyle="--", label=f"the score itself, {base:.3f}")
    axis.axvline(max(values), color=ANOMALOUS_COLOUR, label=f"best variant on test labels (oracle), {max(values):.3f}")
    axis.set(xlabel="image AUROC", ylabel="variants")
    axis.legend(fontsize=8)
    return figure
