"""Figures of synthetic anomalies: each step of the synthesis, and how much of an image it covers."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from anomaly_lib.reporting.style import NORMAL_COLOUR, displayable
from anomaly_lib.synthesis import Synthesised
from anomaly_lib.synthesis.blend import NOISE_THRESHOLD

STEPS = ("normal", "Perlin noise", "mask", "texture", "result")


def synthesis_figure(normals: Tensor, result: Synthesised) -> Figure:
    """One row a sample, one column a step; normals (N, 3, H, W) are the images before."""
    count = len(normals)
    figure, axes = plt.subplots(count, len(STEPS), figsize=(1.9 * len(STEPS), 2.05 * count), squeeze=False)
    for index, row in enumerate(axes):
        noise, mask = result.noise[index, 0].numpy(), result.mask[index, 0].numpy()
        row[0].imshow(displayable(normals[index]))
        row[1].imshow(noise, cmap="cividis", vmin=-1, vmax=1)
        row[2].imshow(mask, cmap="gray", vmin=0, vmax=1)
        row[3].imshow(displayable(result.texture[index]))
        row[4].imshow(displayable(result.image[index]))
        titles = list(STEPS)
        cells = result.cells[index].tolist()
        titles[1] = f"noise, {cells[0]}×{cells[1]} cells"
        titles[2] = f"noise > {NOISE_THRESHOLD}: {mask.mean() * 100:.1f} %"
        titles[4] = f"result, β = {result.beta[index]:.2f}"
        for axis, title in zip(row, titles, strict=True):
            axis.set_axis_off()
            axis.set_title(title, fontsize=8)
    return figure


def coverage_histogram(coverage: np.ndarray) -> Figure:
    """Shares (0 to 1) of the image that generated masks cover."""
    figure, axis = plt.subplots(figsize=(7, 3))
    axis.hist(coverage * 100, bins=np.arange(0, 20.5, 0.5), color=NORMAL_COLOUR)
    axis.axvline(coverage.mean() * 100, color="black", linestyle="--", label=f"mean {coverage.mean() * 100:.1f} %")
    axis.set(
        xlabel="share of the image inside the mask, %",
        ylabel="masks",
        title="How large are synthetic defects?",
    )
    axis.legend()
    return figure
