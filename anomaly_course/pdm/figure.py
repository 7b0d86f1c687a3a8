"""Pictures of clips, predictions and scores; figures are returned, only ``save_movie`` writes.

Shapes: T frames, S side of a frame. Frames are shown on [-1, 1], errors and flows on scales that are the same for
every frame.
"""

from collections.abc import Sequence

import ipywidgets
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from einops import rearrange, repeat
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from anomaly_course.pdm.clip import Clip
from anomaly_course.pdm.network import HISTORY
from anomaly_course.pdm.score import ClipMaps
from anomaly_course.widgets.picture import Studio, picture_with_controls
from anomaly_lib.figures.style import ANOMALOUS_COLOUR, MAP_COLOURS, NORMAL_COLOUR
from anomaly_lib.methods.dmad.scoring import LARGEST, field_colours
from anomaly_lib.methods.dmad.warp import combined

PANELS = ("next frame", "reference", "after coarse flow", "prediction", "flow", "error")
LARGEST_ERROR = 1.0
"""End of the error's scale: half of the whole range of grey."""


def clips_figure(clips: Sequence[Clip], moments: Sequence[int]) -> Figure:
    """One row a clip, one column a moment; anomalous moments have a frame around them and a word above."""
    figure, axes = plt.subplots(len(clips), len(moments), figsize=(1.3 * len(moments), 1.5 * len(clips)), squeeze=False)
    for clip, row in zip(clips, axes, strict=True):
        for moment, axis in zip(moments, row, strict=True):
            axis.imshow(clip.frames[moment], cmap="gray", vmin=0, vmax=1)
            _frame_around(axis, clip.labels[moment].item())
            axis.set_title(f"{clip.kind}, {moment}", fontsize=7)
    return figure


def stages_figure(clip: Clip, maps: ClipMaps, moments: Sequence[int]) -> Figure:
    """One row a moment: the frame, the reference, what each flow makes of it, the flow as colour, the error."""
    shape = (1.5 * len(PANELS), 1.65 * len(moments))
    figure, axes = plt.subplots(len(moments), len(PANELS), figsize=shape, squeeze=False)
    pictures = panels(maps)
    for moment, row in zip(moments, axes, strict=True):
        for name, axis in zip(PANELS, row, strict=True):
            axis.imshow(pictures[name][moment - HISTORY])
            _frame_around(axis, name == "next frame" and clip.labels[moment].item())
            axis.set_title(f"frame {moment}" if name == "next frame" else name, fontsize=8)
    return figure


def scores_figure(clips: Sequence[Clip], scores: Sequence[np.ndarray], threshold: float | None = None) -> Figure:
    """The score of each clip over time on one scale, anomalous frames shaded."""
    figure, axes = plt.subplots(len(clips), 1, figsize=(7, 1.15 * len(clips)), sharex=True, sharey=True, squeeze=False)
    for clip, values, axis in zip(clips, scores, axes[:, 0], strict=True):
        draw_scores(axis, clip, values, threshold)
        axis.set_ylabel(clip.kind, fontsize=8)
    axes[-1, 0].set_xlabel("frame; shaded: anomalous" + ("; dashed: threshold" if threshold is not None else ""))
    return figure


def moment_figure(
    clip: Clip, maps: ClipMaps, scores: np.ndarray, moment: int, threshold: float | None = None
) -> Figure:
    """One frame of the movie: all panels above, the score with a line at this moment below."""
    figure = plt.figure(figsize=(8.4, 3.1), layout="none")
    top = figure.add_gridspec(1, len(PANELS), left=0.01, right=0.99, top=0.88, bottom=0.46, wspace=0.05)
    for (name, pictures), place in zip(panels(maps).items(), top, strict=True):
        axis = figure.add_subplot(place)
        axis.imshow(pictures[moment - HISTORY])
        _frame_around(axis, name == "next frame" and clip.labels[moment].item())
        axis.set_title(name, fontsize=9)
    axis = figure.add_axes((0.08, 0.17, 0.9, 0.24))
    draw_scores(axis, clip, scores, threshold)
    axis.axvline(moment, color="black", linewidth=1)
    axis.set_ylabel("score")
    state = "anomalous" if clip.labels[moment] else "normal"
    axis.set_xlabel(f"frame {moment} of '{clip.kind}': {state}", fontsize=9)
    return figure


def draw_scores(axis: Axes, clip: Clip, scores: np.ndarray, threshold: float | None) -> None:
    """The score over time, anomalous frames shaded, the threshold dashed."""
    time = np.arange(HISTORY, len(clip.frames))
    for moment in clip.labels.nonzero().flatten().tolist():
        axis.axvspan(moment - 0.5, moment + 0.5, color=ANOMALOUS_COLOUR, alpha=0.25, linewidth=0)
    axis.plot(time, scores, color=NORMAL_COLOUR)
    axis.set_xlim(0, len(clip.frames) - 1)
    if threshold is not None:
        axis.axhline(threshold, color="black", linestyle="--", linewidth=0.8)


def panels(maps: ClipMaps) -> dict[str, np.ndarray]:
    """Every panel of every predicted frame as RGB in [0, 1]: {name: (T - 4, S, S, 3)}, in the order of ``PANELS``."""
    prediction = maps.prediction
    error = (maps.terms["l1"][:, 0] / LARGEST_ERROR).clamp(0, 1).numpy()
    pictures = (
        _grey(maps.target),
        _grey(prediction.reference),
        _grey(prediction.coarse_frame),
        _grey(prediction.frame),
        flow_colours(combined(prediction.flows.coarse, prediction.flows.fine)),
        mpl.colormaps[MAP_COLOURS](error)[..., :3],
    )
    return dict(zip(PANELS, pictures, strict=True))


def flow_colours(flow: Tensor, pixels: float = 3.0) -> np.ndarray:
    """(T, 2, S, S) -> (T, S, S, 3): hue is the direction, white no motion, full colour ``pixels`` or more."""
    full = pixels * 2 / flow.shape[-1]
    return rearrange(field_colours(flow * (LARGEST / full)), "t c h w -> t h w c").numpy()


def flow_wheel() -> Figure:
    """The legend of ``flow_colours``: a flow that points away from the centre, 3 pixels long at the circle."""
    size, full = 96, 3.0
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    flow = torch.stack([x, y]) * (torch.hypot(x, y) <= 1) * full * 2 / size
    figure, axis = plt.subplots(figsize=(1.9, 1.9))
    axis.imshow(flow_colours(flow[None], full)[0], extent=(-full, full, full, -full))
    axis.set(xlabel="x, px", ylabel="y, px (down)", title="where a pixel is read", xticks=(-3, 0, 3), yticks=(-3, 0, 3))
    return figure


def player(clip: Clip, maps: ClipMaps, scores: np.ndarray, threshold: float | None = None) -> Studio:
    """A slider over the frames of a clip; the arrow keys move it."""
    last = len(clip.frames) - 1
    controls = {"moment": ipywidgets.IntSlider(last // 2, HISTORY, last, description="frame", continuous_update=False)}

    def draw(moment: int) -> Figure:
        return moment_figure(clip, maps, scores, moment, threshold)

    return picture_with_controls(draw, controls, "the chosen frame, how it was predicted, and the score over time")


def movie_alt(clip: Clip) -> str:
    """Alternative text for the movie and its strip."""
    marked = clip.labels.nonzero().flatten().tolist()
    when = f"frames {marked[0]} to {marked[-1]} are anomalous" if marked else "no frame is anomalous"
    return (
        f"A clip of kind '{clip.kind}': each next frame, the blurred reference from the memory, what the coarse and "
        "the fine flow make of it, the flow as colour, the error, and below the anomaly score over time; "
        f"{when} and shaded."
    )


def _frame_around(axis: Axes, anomalous: bool) -> None:
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set(visible=anomalous, color=ANOMALOUS_COLOUR, linewidth=3)


def _grey(frames: Tensor) -> np.ndarray:
    """(T, 1, S, S) in [-1, 1] -> (T, S, S, 3) in [0, 1]."""
    return repeat((frames[:, 0] + 1) / 2, "t h w -> t h w rgb", rgb=3).clamp(0, 1).numpy()
