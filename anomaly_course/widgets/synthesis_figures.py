"""Figures of synthetic anomalies: each step of the synthesis, its switches, and how much of an image it covers."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from anomaly_lib.base.reproducibility import generator
from anomaly_lib.figures.style import ANOMALOUS_COLOUR, NORMAL_COLOUR, displayable
from anomaly_lib.params import SynthesisRecipe
from anomaly_lib.synthesis import Synthesised, synthesize
from anomaly_lib.synthesis.operations import NUMBERS, OPERATIONS, SEVEN, whole_texture

STEPS = 8
DOCUMENTED_COVERAGE = {"mean": 0.048, "median": 0.045, "p10": 0.019, "p90": 0.072, "empty": 0.053}
"""Shares that 2,000 masks of the authors' code cover at 256 pixels, and the share of them that is empty."""

SWITCHES: dict[str, dict[str, Any]] = {
    "authors' code": {},
    "rectangles": {"shape": "rectangles"},
    "random threshold": {"threshold": None},
    "plain colour": {"texture_source": "colour"},
    "normals as texture": {"texture_source": "normals"},
    "no operations": {"texture_operations": "none"},
    "beta off": {"opacity": [1.0, 1.0]},
    "cutout": {"cutout_probability": 1.0},
}
"""Changes of the recipe, most of them rows of the paper's table 3."""


def synthesis_figure(result: Synthesised) -> Figure:
    """One row per sample, one column per step, from the normal image to the result. The steps must have been kept."""
    count = len(result.image)
    figure, axes = plt.subplots(count, STEPS, figsize=(1.5 * STEPS, 1.85 * count), squeeze=False)
    for index, (row, draws) in enumerate(zip(axes, result.draws.samples(), strict=True)):
        high, wide = draws.cells
        share = result.mask[index].mean().item()
        _picture(row[0], result.normal[index], "normal" + (f", {draws.angle:+.0f}°" if draws.angle else ""))
        _noise(row[1], result.noise[index, 0], f"noise, {high}×{wide} cells")
        _noise(row[2], result.rotated_noise[index, 0], f"turned by {draws.noise_angle:+.0f}°")
        row[3].imshow(result.mask[index, 0].numpy(), cmap="gray", vmin=0, vmax=1)
        row[3].set_title(f"> {draws.threshold:.2f}: {share * 100:.1f} %", fontsize=7)
        _picture(row[4], result.texture_source[index], "texture")
        _picture(row[5], result.texture[index], ",\n".join(result.operations[index]))
        _picture(row[6], result.blend[index], f"blend, opacity {draws.opacity:.2f}")
        _picture(row[7], result.image[index], "result")
    for axis in axes.flat:
        axis.set_axis_off()
    return figure


def operations_figure(levels: Tensor, seed: int) -> Figure:
    """A texture (3, H, W) uint8 and what each of the ten operations makes of it; names of the paper's seven end in *.

    Solarize changes only every second texture; here it always does.
    """
    numbers = torch.rand(len(OPERATIONS), NUMBERS, generator=generator(seed, "operations"))
    numbers[OPERATIONS.index("solarize"), 0] = 0.0
    figure, axes = plt.subplots(2, 6, figsize=(11, 4.1))
    _picture(axes.flat[0], levels / 255, "texture")
    for axis, name, own in zip(axes.flat[1:], OPERATIONS, numbers.tolist(), strict=False):
        _picture(axis, whole_texture(levels, [(name, own)]), name + (" *" if name in SEVEN else ""))
    for axis in axes.flat:
        axis.set_axis_off()
    return figure


def switched(normals: Tensor, textures: Tensor, seed: int) -> dict[str, Synthesised]:
    """The same draws through each recipe of ``SWITCHES``; no sample stays clean and no image is turned."""
    always: dict[str, Any] = {"clean_probability": 0.0, "rotation_probability": 0.0}
    recipes = {name: SynthesisRecipe(**always, **changes) for name, changes in SWITCHES.items()}
    return {
        name: synthesize(
            normals, normals if recipe.texture_source == "normals" else textures, generator(seed, "switches"), recipe
        )
        for name, recipe in recipes.items()
    }


def switches_figure(results: dict[str, Synthesised]) -> Figure:
    """One column per recipe, one row per sample: the image, with the outline of its mask."""
    count = len(next(iter(results.values())).image)
    figure, axes = plt.subplots(count, len(results), figsize=(1.45 * len(results), 1.6 * count), squeeze=False)
    for column, (name, result) in zip(axes.T, results.items(), strict=True):
        column[0].set_title(name, fontsize=8)
        for index, axis in enumerate(column):
            axis.imshow(displayable(result.image[index]))
            if result.mask[index].any():
                axis.contour(result.mask[index, 0].numpy(), levels=[0.5], colors="white", linewidths=0.6)
            axis.set_axis_off()
    return figure


def coverage_statistics(coverage: np.ndarray) -> dict[str, float]:
    """Mean, median, tenth and ninetieth percentile of the shares (0 to 1), the share of empty masks, and the count."""
    low, high = np.quantile(coverage, (0.1, 0.9))
    shares = {"mean": coverage.mean(), "median": np.median(coverage), "p10": low, "p90": high}
    shares["empty"] = (coverage == 0).mean()
    return {"draws": len(coverage)} | {name: float(value) for name, value in shares.items()}


def coverage_histogram(coverage: np.ndarray) -> Figure:
    """Shares (0 to 1) of the image that generated masks cover, with their mean and that of the authors' code."""
    figure, axis = plt.subplots(figsize=(7, 3))
    axis.hist(coverage * 100, bins=np.arange(0, 20.5, 0.5).tolist(), color=NORMAL_COLOUR)
    for mean, colour, line, name in (
        (coverage.mean(), "black", "--", "mean"),
        (DOCUMENTED_COVERAGE["mean"], ANOMALOUS_COLOUR, ":", "authors' code, mean"),
    ):
        axis.axvline(mean * 100, color=colour, linestyle=line, label=f"{name} {mean * 100:.1f} %")
    axis.set(xlabel="share of the image inside the mask, %", ylabel="masks", title="How large are synthetic defects?")
    axis.legend()
    return figure


def _picture(axis: Axes, image: Tensor, title: str) -> None:
    axis.imshow(displayable(image))
    axis.set_title(title, fontsize=7)


def _noise(axis: Axes, noise: Tensor, title: str) -> None:
    axis.imshow(noise.numpy(), cmap="cividis", vmin=-1, vmax=1)
    axis.set_title(title, fontsize=7)
