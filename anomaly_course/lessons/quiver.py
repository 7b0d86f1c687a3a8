"""Pictures of DMAD's deformation.

Flows are (N, 2, S, S) displacements in pixels, x first, as ``Method.flows`` of DMAD gives them: a picture sampled at
each place plus its displacement is the other one.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from anomaly_lib.figures.style import CONTOUR_COLOUR, displayable

ARROWS = 20
"""Arrows along a side."""


def quiver_figure(images: Tensor, pictures: dict[str, Tensor], flows: dict[str, Tensor]) -> Figure:
    """One row per image: image with forward flow, prototype with backward flow, warped back, difference.

    images (N, 3, S, S) in [0, 1]; pictures ``warped`` and ``restored`` from DMAD's ``explain``, flows ``forward`` and
    ``backward`` from its ``flows``. Arrows show from where a place takes its value, five times as long as it is; the
    figure's title gives the longest.
    """
    count, size = len(images), images.shape[-1]
    figure, axes = plt.subplots(count, 4, figsize=(9.2, 2.45 * count + 0.3), squeeze=False)
    longest = max(float(flows[name].square().sum(1).sqrt().max()) for name in ("forward", "backward"))
    figure.suptitle(
        f"arrows five times enlarged; the longest displacement is {longest:.2f} of {size} pixels", fontsize=9
    )
    for index, row in enumerate(axes):
        restored = pictures["restored"][index]
        row[0].imshow(displayable(images[index]))
        _arrows(row[0], flows["forward"][index])
        row[1].imshow(displayable(pictures["warped"][index]))
        _arrows(row[1], flows["backward"][index])
        row[2].imshow(displayable(restored))
        row[3].imshow((restored - images[index]).abs().mean(0).numpy(), cmap="cividis", vmin=0, vmax=0.2)
        titles = ("image, forward flow", "prototype, backward flow", "warped back", "|difference|, 0 to 0.2")
        for axis, title in zip(row, titles, strict=True):
            axis.set_axis_off()
            axis.set_title(title if index == 0 else "", fontsize=8)
    return figure


def _arrows(axis: Axes, flow: Tensor) -> None:
    step = max(1, flow.shape[-1] // ARROWS)
    places = np.arange(step // 2, flow.shape[-1], step)
    x, y = flow[:, places][:, :, places].numpy()
    axis.quiver(
        *np.meshgrid(places, places), x, y, angles="xy", scale_units="xy", scale=0.2, color=CONTOUR_COLOUR, width=0.006
    )
