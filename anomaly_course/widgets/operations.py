"""The ten texture operations, one by one: what each makes of a texture, and of each level where that is all it does."""

import ipywidgets
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from anomaly_course.widgets.picture import picture_with_controls
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.figures.style import displayable
from anomaly_lib.synthesis.operations import NUMBERS, OPERATIONS, POINT, Chain, table_of, whole_texture

CHANNELS = (("red", "#d55e00", "-"), ("green", "#009e73", "--"), ("blue", "#0072b2", ":"))
SEEDS = 30


def operation_figure(textures: Tensor, operation: str, texture: int, seed: int) -> Figure:
    """A texture of (M, 3, H, W) uint8 before and after one operation, and the operation's table of levels."""
    numbers = torch.rand(NUMBERS, generator=generator(seed, "operations studio")).tolist()
    chain, levels = [(operation, numbers)], textures[texture]
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(8.8, 3.1), width_ratios=(1, 1, 1.05))
    left.imshow(displayable(levels / 255))
    left.set_title(f"texture {texture}")
    middle.imshow(displayable(whole_texture(levels, chain)))
    middle.set_title(operation)
    for axis in (left, middle):
        axis.set_axis_off()
    _plot_table(right, levels, chain)
    return figure


def operations_studio(textures: Tensor) -> ipywidgets.VBox:
    """A choice of the operation, and sliders for the texture and for the seed of the operation's random numbers."""
    controls = {
        "operation": ipywidgets.Dropdown(options=list(OPERATIONS), value="gamma", description="operation"),
        "texture": ipywidgets.IntSlider(0, min=0, max=len(textures) - 1, description="texture"),
        "seed": ipywidgets.IntSlider(0, min=0, max=SEEDS - 1, description="seed"),
    }

    def draw(**values) -> Figure:
        return operation_figure(textures, **values)

    return picture_with_controls(
        draw, controls, "A texture before and after an operation, and what becomes of each level"
    )


def _plot_table(axis: Axes, levels: Tensor, chain: Chain) -> None:
    """Level after against level before, a line a channel; filters have no such table."""
    axis.set(xlim=(0, 255), ylim=(-5, 260), xlabel="level before", ylabel="level after")
    if chain[0][0] not in POINT:
        axis.text(128, 128, "no table: depends on\nneighbours or channels", ha="center", va="center", fontsize=8)
        return
    for line, (name, colour, style) in zip(table_of(chain, levels).numpy(), CHANNELS, strict=True):
        axis.plot(line, color=colour, linestyle=style, label=name)
    axis.legend(fontsize=7)
