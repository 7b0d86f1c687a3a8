"""Pictures of DMAD's deformation: arrows, and the way from an image to its prototype and back.

Flows are (N, 2, S, S) displacements in pixels, x first, as ``Method.flows`` of DMAD gives them: a picture sampled at
each place plus its displacement is the other one.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from anomaly_lib.figures.style import CONTOUR_COLOUR, displayable
from anomaly_lib.methods.dmad.warp import sample

ARROWS = 20
"""Arrows along a side."""
TITLE_HEIGHT = 20


def quiver_figure(images: Tensor, pictures: dict[str, Tensor], flows: dict[str, Tensor]) -> Figure:
    """One row an image: the image with its forward flow, the prototype with its backward flow, warped back, difference.

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


def warp_frames(image: Tensor, flows: dict[str, Tensor], index: int = 0, steps: int = 8) -> list[Image.Image]:
    """Frames from an image (3, S, S) to its prototype, and from there back; ``index`` is its place in the flows.

    Each way has ``steps`` equal parts; the way back starts from the prototype, so that the last frame shows what the
    two flows together leave of the image. ``figures.demo.save_gif`` writes them.
    """
    forward, backward = (flows[name][index : index + 1] for name in ("forward", "backward"))
    warped = partly_warped(image[None], forward, 1.0)
    shares = torch.linspace(0, 1, steps + 1).tolist()
    frames = [_frame(partly_warped(image[None], forward, share)[0], "to the prototype", share) for share in shares]
    back = [_frame(partly_warped(warped, backward, share)[0], "back to the image", share) for share in shares[1:]]
    return frames + back


def partly_warped(pictures: Tensor, flow: Tensor, share: float) -> Tensor:
    """(N, C, S, S) pictures pulled along a ``share`` of the flow (N, 2, S, S) in pixels."""
    return sample(pictures, flow * (share * 2 / (flow.shape[-1] - 1)))


def _arrows(axis: Axes, flow: Tensor) -> None:
    step = max(1, flow.shape[-1] // ARROWS)
    places = np.arange(step // 2, flow.shape[-1], step)
    x, y = flow[:, places][:, :, places].numpy()
    axis.quiver(
        *np.meshgrid(places, places), x, y, angles="xy", scale_units="xy", scale=0.2, color=CONTOUR_COLOUR, width=0.006
    )


def _frame(picture: Tensor, words: str, share: float) -> Image.Image:
    pixels = (displayable(picture) * 255).round().astype(np.uint8)
    canvas = Image.new("RGB", (pixels.shape[1], pixels.shape[0] + TITLE_HEIGHT), "white")
    canvas.paste(Image.fromarray(pixels), (0, TITLE_HEIGHT))
    draw = ImageDraw.Draw(canvas)
    draw.text((4, 2), f"{words}: {share:.0%}", fill="black", font=ImageFont.load_default(13))
    return canvas
