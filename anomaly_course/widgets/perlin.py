"""Perlin studio: cells and threshold against the mask they give."""

import ipywidgets
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from anomaly_course.widgets.picture import Studio, picture_with_controls
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.synthesis import perlin_noise

SIZE = 192  # pixels; small enough to answer at once


def perlin_figure(cells_high: int, cells_wide: int, threshold: float, seed: int = 0) -> Figure:
    """The noise of one lattice, and the region above the threshold; cells are powers of two from 1 to 32."""
    draw = generator(seed, "perlin studio")
    noise = perlin_noise(torch.tensor([[cells_high, cells_wide]]), (SIZE, SIZE), draw)[0].numpy()
    mask = noise > threshold
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.3))
    left.imshow(noise, cmap="cividis", vmin=-1, vmax=1)
    left.set_title(f"{cells_high}×{cells_wide} cells")
    right.imshow(mask, cmap="gray", vmin=0, vmax=1)
    right.set_title(f"above {threshold:.2f}: {mask.mean() * 100:.1f} % of the image")
    for axis in (left, right):
        axis.set_axis_off()
    return figure


def perlin_studio() -> Studio:
    """Three sliders, for cells along both axes and the threshold; the arrow keys move them."""
    powers = [2**k for k in range(6)]
    controls = {
        "cells_high": ipywidgets.SelectionSlider(options=powers, value=4, description="cells high"),
        "cells_wide": ipywidgets.SelectionSlider(options=powers, value=4, description="cells wide"),
        "threshold": ipywidgets.FloatSlider(0.5, min=-0.5, max=0.9, step=0.05, description="threshold"),
    }

    return picture_with_controls(perlin_figure, controls, "Perlin noise, and the region of it above the threshold")
