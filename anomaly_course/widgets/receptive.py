"""Receptive field viewer: which pixels one place of a layer can see.

The arithmetic walks from the place back to the image, window by window; it is exact for networks whose convolutions
and poolings follow each other (a shortcut past a block sees less than the block). Shapes: S image side in pixels.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from timm.layers import Conv2dSame
from torch import Tensor, nn

from anomaly_course.widgets.picture import picture_with_controls
from anomaly_lib.figures.style import CONTOUR_COLOUR, MAP_COLOURS, displayable
from anomaly_lib.methods.backbones import Backbone

OUTSIDE = 0.35
"""Brightness of what a place cannot see."""
WINDOWED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
MARGINS = {"left": 0.01, "right": 0.99, "top": 0.87, "bottom": 0.02, "wspace": 0.04}
"""Fixed, because looking for a layout takes as long as drawing."""
ALT = "a photo on which all but the receptive field of the chosen place is darkened, and that field enlarged"


@dataclass(frozen=True)
class Window:
    """One convolution or pooling along one axis, from ``size_in`` to ``size_out`` places."""

    kernel: int
    stride: int
    before: int
    """Padded places before the first."""
    size_in: int
    size_out: int


def windows(backbone: Backbone, image_size: int) -> dict[str, list[Window]]:
    """The windows from the image to each of the backbone's layers, for square images: {layer: windows}.

    ValueError for a network that is no chain of windows, such as one with strided shortcuts.
    """
    made: dict[str, Window] = {}
    network = backbone.network
    hooks = [
        module.register_forward_hook(partial(_note, made, name))
        for name, module in network.named_modules()
        if isinstance(module, WINDOWED)
    ]
    try:
        with torch.no_grad():
            backbone(torch.zeros(1, 3, image_size, image_size))
    finally:
        for hook in hooks:
            hook.remove()
    _check_chain(list(made.values()), image_size)
    steps, ends = list(network.graph.nodes), network.graph.output_node().args[0]
    return {
        layer: [made[step.target] for step in steps[: steps.index(ends[layer]) + 1] if step.target in made]
        for layer in backbone.layers
    }


def _note(made: dict[str, Window], name: str, module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
    made[name] = _window(module, inputs[0], output)


def _window(module: nn.Module, inputs: Tensor, output: Tensor) -> Window:
    kernel, stride, padding = (_first(value) for value in (module.kernel_size, module.stride, module.padding))
    size_in, size_out = inputs.shape[-1], output.shape[-1]
    if isinstance(module, Conv2dSame):  # pads as much as its input's size asks for, the larger half behind
        padding = max((size_out - 1) * stride + kernel - size_in, 0) // 2
    return Window(kernel, stride, padding, size_in, size_out)


def _first(value: int | tuple[int, ...]) -> int:
    return value[0] if isinstance(value, tuple) else value


def _check_chain(chain: Sequence[Window], image_size: int) -> None:
    size = image_size
    for window in chain:
        if window.size_in != size:
            raise ValueError(f"not a chain of windows: one sees {window.size_in} places, the one before made {size}")
        size = window.size_out


def field_size(steps: Sequence[tuple[int, int]]) -> int:
    """Side of the receptive field after ``steps`` of (kernel, stride), away from the border, in pixels."""
    field, jump = 1, 1
    for kernel, stride in steps:
        field += (kernel - 1) * jump
        jump *= stride
    return field


def seen(chain: Sequence[Window], place: int) -> tuple[int, int]:
    """First and last pixel along one axis that ``place`` of the last window's output depends on, inside the image."""
    first = last = place
    for window in reversed(chain):
        first = max(first * window.stride - window.before, 0)
        last = min(last * window.stride - window.before + window.kernel - 1, window.size_in - 1)
    return first, last


def influence(backbone: Backbone, image: Tensor, layer: str, row: int, column: int) -> Tensor:
    """How strongly each pixel of an image (3, S, S) moves one place of a layer: (S, S), at least 0.

    Length, over the three colours, of the gradient of the sum of the place's channels; 0 outside of the receptive
    field.
    """
    leaf = image[None].clone().requires_grad_()
    output = backbone(leaf)[backbone.layers.index(layer)]
    output[0, :, row, column].sum().backward()
    return leaf.grad[0].square().sum(dim=0).sqrt()


def place_at(chain: Sequence[Window], pixel: int) -> int:
    """The place of the last window's output that stands for a pixel, along one axis."""
    return pixel * chain[-1].size_out // chain[0].size_in


def receptive_figure(photo: Tensor, fields: Mapping[str, list[Window]], x: int, y: int, layer: str) -> Figure:
    """What the place of ``layer`` at pixel (x, y) of a photo (3, S, S) sees: on the photo, and enlarged."""
    chain = fields[layer]
    (left, right), (top, bottom) = (seen(chain, place_at(chain, pixel)) for pixel in (x, y))
    shown = displayable(photo)
    dark = OUTSIDE * shown
    dark[top : bottom + 1, left : right + 1] = shown[top : bottom + 1, left : right + 1]
    figure, (whole, part) = plt.subplots(1, 2, figsize=(6.6, 3.5), layout="none", gridspec_kw=MARGINS)
    whole.imshow(dark)
    whole.plot(x, y, "+", color=CONTOUR_COLOUR, markersize=10)
    _frame(whole, left, top, right, bottom)
    part.imshow(shown[top : bottom + 1, left : right + 1])
    side = field_size([(window.kernel, window.stride) for window in chain])
    whole.set_title(f"{layer}: {side} × {side} px,\nif the photo were endless", fontsize=9)
    part.set_title(f"seen here: {right - left + 1} × {bottom - top + 1}\nof {len(shown)} × {len(shown)} px", fontsize=9)
    for axis in (whole, part):
        axis.set_axis_off()
    return figure


def _frame(axis: Axes, left: int, top: int, right: int, bottom: int) -> None:
    corner, width, height = (left - 0.5, top - 0.5), right - left + 1, bottom - top + 1
    axis.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=CONTOUR_COLOUR, linewidth=1.5))


def influence_figure(backbone: Backbone, photo: Tensor, x: int, y: int) -> Figure:
    """One panel a layer: its place at pixel (x, y), the receptive field, and how much each pixel in it counts.

    The influence is shown as a share of the largest one of that place, on a logarithmic scale from 0.001 to 1.
    """
    fields = windows(backbone, photo.shape[-1])
    figure, axes = plt.subplots(1, len(fields), figsize=(2.0 * len(fields) + 0.8, 2.5), squeeze=False)
    for axis, (layer, chain) in zip(axes[0], fields.items(), strict=True):
        column, row = (place_at(chain, pixel) for pixel in (x, y))
        strength = influence(backbone, photo, layer, row, column)
        shares = np.log10((strength / strength.max()).clamp(min=1e-3).numpy())
        shown = axis.imshow(shares, cmap=MAP_COLOURS, vmin=-3, vmax=0)
        (left, right), (top, bottom) = seen(chain, column), seen(chain, row)
        _frame(axis, left, top, right, bottom)
        half = half_of_the_influence(strength)
        axis.set_title(f"{layer}: half of it\nin {half} pixels", fontsize=8)
        axis.set(xticks=[], yticks=[])
    bar = figure.colorbar(shown, ax=axes, shrink=0.7, ticks=[-3, -2, -1, 0])
    bar.ax.set_yticklabels(["≤ 0.001", "0.01", "0.1", "1"])
    bar.set_label("share of the largest influence", fontsize=8)
    return figure


def half_of_the_influence(strength: Tensor) -> int:
    """How few pixels of (S, S) hold half of the sum."""
    falling = strength.flatten().sort(descending=True).values.double().cumsum(0)
    return int((falling < falling[-1] / 2).sum()) + 1


def receptive_viewer(backbone: Backbone, photo: Tensor) -> ipywidgets.VBox:
    """Sliders for the pixel and a choice of the layer, on a square photo (3, S, S); all work with the arrow keys."""
    fields = windows(backbone, photo.shape[-1])
    size = photo.shape[-1]
    position = {"min": 0, "max": size - 1, "step": max(1, math.ceil(size / 64))}
    controls = {
        "x": ipywidgets.IntSlider(size // 2, description="x, px", **position),
        "y": ipywidgets.IntSlider(size // 2, description="y, px", **position),
        "layer": ipywidgets.Dropdown(options=list(fields), value=list(fields)[len(fields) // 2], description="layer"),
    }

    def draw(x: int, y: int, layer: str) -> Figure:
        return receptive_figure(photo, fields, x, y, layer)

    return picture_with_controls(draw, controls, ALT)
