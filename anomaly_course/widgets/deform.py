"""Deform a picture by hand, and watch the three losses of the deformation."""

import math

import ipywidgets
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from anomaly_course.widgets.picture import Studio, picture_with_controls
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.figures.style import displayable
from anomaly_lib.methods.dmad.losses import cycle_loss, smoothness_loss, strength_loss
from anomaly_lib.methods.dmad.scoring import field_colours
from anomaly_lib.methods.dmad.warp import Fields, from_prototype, identity_grid, length, to_prototype

LIMIT = 0.2
"""End of the bars' scale; a shift by 10 pixels of 96 has a strength of 0.21."""
MESH = 9  # lines of the drawn grid along each axis
MARGINS = {
    "left": 0.01,
    "right": 0.985,
    "top": 0.87,
    "bottom": 0.12,
    "wspace": 0.06,
    "width_ratios": (1, 1, 1, 1, 0.8),
}
"""Fixed, because looking for a layout takes as long as drawing."""
ALT = (
    "a picture, the same deformed and warped back, the flow as colours, and bars of strength, smoothness and cycle loss"
)


def hand_field(size: int, shift: float = 0.0, bend: float = 0.0, jitter: float = 0.0, seed: int = 0) -> Tensor:
    """A displacement field (1, 2, S, S) in units of half the image side.

    ``shift`` moves all places along x, ``bend`` moves them along x by a sine of the row, ``jitter`` moves each place
    on its own along both axes, by a standard deviation of so much; all three in pixels.
    """
    rows = identity_grid(size, size)[:, 1:]
    along_x = shift + bend * torch.sin(math.pi * rows)
    noise = torch.randn(1, 2, size, size, generator=generator(seed, "deform studio"))
    return (torch.cat([along_x, torch.zeros_like(along_x)], dim=1) + jitter * noise) * 2 / (size - 1)


def hand_losses(image: Tensor, field: Tensor) -> tuple[dict[str, float], Tensor, Tensor]:
    """The three losses of a forward field whose backward field is its negative; warped and restored picture.

    image (1, 3, S, S), field (1, 2, S, S); the fine fields are zero.
    """
    none = torch.zeros_like(field)
    fields = Fields(field, none, -field, none)
    warped = to_prototype(image, fields)
    restored = from_prototype(warped, fields)
    losses = {
        "strength": strength_loss(fields).item(),
        "smoothness": smoothness_loss(fields).item(),
        "cycle": cycle_loss(image, restored).item(),
    }
    return losses, warped, restored


def deform_figure(image: Tensor, shift: float = 0.0, bend: float = 0.0, jitter: float = 0.0) -> Figure:
    """Where the places of the new picture are read, the new picture, warped back, flow and losses; image (3, S, S).

    The flow's hue is the direction, its saturation the length; white is no motion.
    """
    field = hand_field(image.shape[-1], shift, bend, jitter)
    losses, warped, restored = hand_losses(image[None], field)
    figure, axes = plt.subplots(1, 5, figsize=(11.8, 2.5), layout="none", gridspec_kw=MARGINS)
    pictures = {
        "read at these places": image,
        "deformed": warped[0],
        "warped back by minus the field": restored[0],
        f"flow, hue = direction, up to {_longest(field):.1f} px": field_colours(field)[0],
    }
    for axis, (title, picture) in zip(axes, pictures.items(), strict=False):
        axis.imshow(displayable(picture))
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    axes[4].set_title("losses", fontsize=9)
    _draw_mesh(axes[0], field)
    _draw_bars(axes[4], losses)
    return figure


def _longest(field: Tensor) -> float:
    """Length of the longest displacement of (1, 2, S, S), in pixels."""
    return length(field).max().item() * (field.shape[-1] - 1) / 2


def _draw_mesh(axis: Axes, field: Tensor) -> None:
    """Lines that are straight in the new picture, where they lie in the old one."""
    size = field.shape[-1]
    places = (identity_grid(size, size) + field)[0].clamp(-1, 1)
    columns, rows = ((places + 1) * (size - 1) / 2).numpy()
    kept = torch.linspace(0, size - 1, MESH).round().int().numpy()
    axis.plot(columns[:, kept], rows[:, kept], color="white", linewidth=0.7)
    axis.plot(columns[kept].T, rows[kept].T, color="white", linewidth=0.7)


def _draw_bars(axis: Axes, losses: dict[str, float]) -> None:
    names = list(losses)[::-1]
    axis.barh(names, [min(losses[name], LIMIT) for name in names], color="C0", height=0.35)
    for row, name in enumerate(names):
        axis.text(0, row + 0.32, f"{name} {losses[name]:.4f}", va="center", fontsize=9)
    axis.set(xlim=(0, LIMIT), ylim=(-0.4, 2.6), yticks=[], xticks=(0, LIMIT / 2, LIMIT))
    axis.tick_params(labelsize=8)


def deform_studio(image: Tensor) -> Studio:
    """Three sliders for shift, bend and jitter of an image (3, S, S); the arrow keys move them."""
    controls = {
        "shift": ipywidgets.FloatSlider(0, min=-10, max=10, step=1, description="shift, px"),
        "bend": ipywidgets.FloatSlider(0, min=-10, max=10, step=1, description="bend, px"),
        "jitter": ipywidgets.FloatSlider(0, min=0, max=4, step=0.5, description="jitter, px"),
    }

    def draw(shift: float, bend: float, jitter: float) -> Figure:
        return deform_figure(image, shift, bend, jitter)

    return picture_with_controls(draw, controls, ALT)
