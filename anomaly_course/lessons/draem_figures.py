"""Figures of DRAEM's lesson, drawn from live objects: lattice, loss terms, architecture, raw and smoothed maps."""

from collections.abc import Sequence
from itertools import groupby

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from anomaly_lib.figures.images import outline
from anomaly_lib.figures.style import ANOMALOUS_COLOUR, CONTOUR_COLOUR, MAP_COLOURS, NORMAL_COLOUR, displayable
from anomaly_lib.methods.draem.losses import focal_loss, ssim_loss
from anomaly_lib.synthesis import Synthesised
from anomaly_lib.synthesis.perlin import fade

HEIGHT = 0.8  # of a block, per doubling of the side
GAMMAS = (0.0, 1.0, 2.0, 5.0)
BRIGHTER = 0.1  # added to all values, or the standard deviation of the noise: the same squared error
BLUR = 9  # pixels
COLOURS = {"encoder": "#56b4e9", "bottleneck": "#f0e442", "decoder": "#e69f00"}  # of Okabe and Ito
SKIPPING = "discriminative"
"""The network whose decoder blocks also see the encoder's output of the same side."""


def lattice_figure(gradients: Tensor, noise: Tensor) -> Figure:
    """Gradients (K, L, 2) as arrows on their lattice points, and the noise (H, W) that they make, value by value."""
    cells, pixels = len(gradients) - 1, len(noise)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.6))
    down, across = np.mgrid[0 : cells + 1, 0 : cells + 1]
    for axis in (left, right):
        axis.set(xlim=(-0.5, cells + 0.5), ylim=(cells + 0.5, -0.5), xticks=range(cells + 1), yticks=range(cells + 1))
        axis.set_aspect("equal")
    left.grid(color="0.8")
    steps = gradients.numpy() * 0.4
    left.quiver(across, down, steps[..., 1], steps[..., 0], angles="xy", scale_units="xy", scale=1, color=NORMAL_COLOUR)
    for (row, column), (y, x) in zip(np.ndindex(cells + 1, cells + 1), gradients.reshape(-1, 2).tolist(), strict=True):
        below = 0.13 if y < 0 else -0.07  # on the side of the point that the arrow leaves free
        left.text(column, row + below, f"({y:.2f}, {x:.2f})", fontsize=7, ha="center")
    left.set(title="gradients (down, right) of unit length", xlabel="cells to the right", ylabel="cells down")
    step = cells / pixels
    edges = (-step / 2, cells - step / 2, cells - step / 2, -step / 2)
    shown = right.imshow(noise.numpy(), cmap="cividis", vmin=-1, vmax=1, extent=edges)
    for row, column in np.ndindex(*noise.shape):
        value = noise[row, column].item()
        ink = "white" if value < 0.2 else "black"
        right.text(column * step, row * step, f"{value:.2f}", ha="center", va="center", fontsize=7, color=ink)
    right.set(title=f"noise on {pixels}×{pixels} pixels", xlabel="cells to the right")
    figure.colorbar(shown, ax=right, shrink=0.8, label="noise, fixed scale")
    return figure


def fade_figure() -> Figure:
    """The quintic fade beside a straight line: its slope is 0 at both ends."""
    figure, axis = plt.subplots(figsize=(4.6, 3))
    t = torch.linspace(0, 1, 101)
    axis.plot(t, t, color="0.6", linestyle="--", label="straight line")
    axis.plot(t, fade(t), color=NORMAL_COLOUR, label="fade(t) = 6t⁵ − 15t⁴ + 10t³")
    axis.set(xlabel="t: 1 − distance from the corner, in cells", ylabel="weight of that corner", title="The fade")
    axis.legend(fontsize=8)
    return figure


def batch_figure(batch: Synthesised) -> Figure:
    """One column a sample: what the network sees, the clean target of the first network, the mask of the second."""
    count = len(batch.image)
    figure, axes = plt.subplots(3, count, figsize=(1.25 * count, 4.2), squeeze=False)
    for column in range(count):
        for axis in axes[:, column]:
            axis.set(xticks=[], yticks=[])
        axes[0, column].imshow(displayable(batch.image[column]))
        axes[1, column].imshow(displayable(batch.normal[column]))
        axes[2, column].imshow(batch.mask[column, 0].numpy(), cmap="gray", vmin=0, vmax=1)
        axes[2, column].set_xlabel(f"{batch.mask[column].mean() * 100:.1f} %", fontsize=8)
    for axis, name in zip(axes[:, 0], ("input", "clean target", "mask"), strict=True):
        axis.set_ylabel(name, fontsize=8)
    return figure


def similarity_figure(image: Tensor, generator: torch.Generator) -> Figure:
    """An image (3, S, S) damaged in five ways, each with its two reconstruction losses."""
    noise = torch.randn(image.shape, generator=generator)
    damaged = {
        "none": image,
        "brighter": image + BRIGHTER,
        "noisy": image + BRIGHTER * noise,
        "blurred": F.avg_pool2d(image, BLUR, stride=1, padding=BLUR // 2, count_include_pad=False),
        "its mean colour": image.mean(dim=(1, 2), keepdim=True).expand_as(image),
    }
    figure, axes = plt.subplots(1, len(damaged), figsize=(2.0 * len(damaged), 2.7), squeeze=False)
    for axis, (name, copy) in zip(axes[0], damaged.items(), strict=True):
        mse, ssim = (copy - image).square().mean(), ssim_loss(copy[None], image[None])
        axis.imshow(displayable(copy))
        axis.set_title(f"{name}\nMSE {mse:.4f}\n1 − SSIM {ssim:.2f}", fontsize=8)
        axis.set_axis_off()
    return figure


def focal_figure() -> Figure:
    """The focal loss of one pixel against the probability of its true class; gamma 0 is the cross entropy."""
    figure, axis = plt.subplots(figsize=(5.6, 3.2))
    p = torch.linspace(0.02, 0.999, 200)
    logits = torch.stack([1 - p, p]).log().T[:, :, None, None]  # (200, 2, 1, 1): each pixel an image
    for gamma, line in zip(GAMMAS, ("-", "--", "-.", ":"), strict=True):
        values = [focal_loss(pixel[None], torch.ones(1, 1, 1, 1), gamma) for pixel in logits]
        name = f"γ = {gamma:g}" + (", cross entropy" if gamma == 0 else "")
        axis.plot(p, values, linestyle=line, color="black" if gamma == 2 else "0.45", label=name)
    axis.set(xlabel="p, probability of the pixel's true class", ylabel="loss of the pixel", ylim=(0, 3))
    axis.set_title("Easy pixels lose their weight")
    axis.legend(fontsize=8)
    return figure


def architecture_figure(rows: Sequence[dict]) -> Figure:
    """Both networks as blocks, from ``Method.architecture()``: height is the side, width the channels (log scales)."""
    networks = {name: list(blocks) for name, blocks in groupby(rows, key=lambda row: row["part"].split(".")[0])}
    figure, axes = plt.subplots(len(networks), 1, figsize=(10, 2.7 * len(networks)), squeeze=False)
    for axis, (name, blocks) in zip(axes[:, 0], networks.items(), strict=True):
        centres = _draw_blocks(axis, blocks)
        if name == SKIPPING:
            _draw_skips(axis, blocks, centres)
        total = sum(row["parameters"] for row in blocks)
        axis.set_title(f"{name} network: {total:,} parameters", loc="left")
    return figure


def _names(blocks: Sequence[dict]) -> list[str]:
    """What each block is, in words; the model has the names of the authors' checkpoints. The last of the encoder, with
    the smallest side, is the bottleneck."""
    names, counts = [], {"encoder": 0, "up": 0, "decoder": 0}
    last = max(place for place, block in enumerate(blocks) if "encoder" in block["part"])
    for place, block in enumerate(blocks):
        name = block["part"].split(".")[-1]
        kind = "encoder" if "encoder" in block["part"] else "up" if name.startswith("up") else "decoder"
        counts[kind] += 1
        numbered = f"{kind} {counts[kind]}"
        names.append("bottleneck" if place == last else "output" if name == "fin_out" else numbered)
    return names


def _draw_blocks(axis: Axes, blocks: Sequence[dict]) -> list[float]:
    """Draw the blocks from left to right; their centres."""
    left, centres = 0.0, []
    for block, name in zip(blocks, _names(blocks), strict=True):
        channels, side = _channels_and_side(block)
        width, height = 0.25 + 0.12 * np.log2(channels), HEIGHT * np.log2(side)
        colour = COLOURS.get(name.split()[0], COLOURS["decoder"])
        axis.add_patch(Rectangle((left, -height / 2), width, height, facecolor=colour, edgecolor="black"))
        axis.text(left + width / 2, 0, f"{channels} ch.", rotation=90, ha="center", va="center", fontsize=7)
        axis.text(left + width / 2, -height / 2 - 0.15, f"{name}\n{side}×{side}", ha="center", va="top", fontsize=7)
        centres.append(left + width / 2)
        left += width + 0.35
    tallest = max(HEIGHT * np.log2(_channels_and_side(block)[1]) for block in blocks)
    axis.set(xlim=(-0.2, left), ylim=(-tallest / 2 - 1.6, tallest / 2 + 1.3))
    axis.set_axis_off()
    return centres


def _draw_skips(axis: Axes, blocks: Sequence[dict], centres: Sequence[float]) -> None:
    """A bracket from each encoder block to the second decoder block of its side, which sees both."""
    encoder = {
        _channels_and_side(block)[1]: at for block, at in zip(blocks, centres, strict=True) if "enc" in block["part"]
    }
    for block, at in zip(blocks, centres, strict=True):
        side = _channels_and_side(block)[1]
        if ".db" in block["part"]:
            top = HEIGHT * np.log2(side) / 2
            high = top + 0.9
            axis.plot([encoder[side], encoder[side], at, at], [top, high, high, top], color="0.4", linewidth=0.9)


def _channels_and_side(block: dict) -> tuple[int, int]:
    channels, side = block["shape"].split(" x ")[:2]
    return int(channels), int(side)


def score_steps_figure(
    images: Tensor, raw: Tensor, smoothed: Tensor, masks: Tensor | None, titles: Sequence[str]
) -> Figure:
    """One column an image: input with the true outline, raw and smoothed map (N, S, S) on one scale, their maxima."""
    figure, axes = plt.subplots(3, len(images), figsize=(1.75 * len(images) + 0.8, 5.4), squeeze=False)
    for column, title in enumerate(titles):
        axes[0, column].imshow(displayable(images[column]))
        axes[0, column].set_title(title, fontsize=8)
        if masks is not None:
            outline(axes[0, column], masks[column].numpy())
        for axis, maps in zip(axes[1:, column], (raw, smoothed), strict=True):
            shown = axis.imshow(maps[column].numpy(), cmap=MAP_COLOURS, vmin=0, vmax=1)
            row, place = np.unravel_index(maps[column].argmax().item(), maps[column].shape)
            axis.plot(place, row, marker="+", color=CONTOUR_COLOUR, markersize=10)
            axis.set_xlabel(f"max {maps[column].max():.2f}", fontsize=8)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    for axis, name in zip(axes[:, 0], ("input", "raw map", "smoothed map"), strict=True):
        axis.set_ylabel(name, fontsize=8)
    figure.colorbar(shown, ax=axes[1:], shrink=0.8, label="probability of anomaly, 0 to 1")
    return figure


def reconstruction_figure(images: Tensor, reconstructions: Tensor, masks: Tensor, maps: Tensor | None = None) -> Figure:
    """One column an image: input with the true outline, reconstruction, difference, map if given; one scale, 0 to 1."""
    names = ["input", "reconstruction", "|difference|"] + ["anomaly map"] * (maps is not None)
    figure, axes = plt.subplots(
        len(names), len(images), figsize=(1.75 * len(images) + 1, 1.75 * len(names)), squeeze=False
    )
    difference = (images - reconstructions).abs().mean(dim=1)
    for index, column in enumerate(axes.T):
        column[0].imshow(displayable(images[index]))
        outline(column[0], masks[index].numpy())
        column[1].imshow(displayable(reconstructions[index]))
        for axis, values in zip(column[2:], (difference, maps), strict=False):
            shown = axis.imshow(values[index].numpy(), cmap=MAP_COLOURS, vmin=0, vmax=1)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    for axis, name in zip(axes[:, 0], names, strict=True):
        axis.set_ylabel(name, fontsize=8)
    figure.colorbar(shown, ax=axes[2:], shrink=0.8, label="0 to 1")
    return figure


def bar_figure(values: dict[str, float], label: str, title: str) -> Figure:
    """Named numbers from 0 to 1 as bars, each with its value."""
    figure, axis = plt.subplots(figsize=(6.4, 0.5 * len(values) + 1.1))
    bars = axis.barh(list(values), list(values.values()), color=ANOMALOUS_COLOUR)
    axis.bar_label(bars, fmt="%.2f", padding=3)
    axis.invert_yaxis()
    axis.set(xlim=(0, 1.1), xlabel=label, title=title)
    return figure
