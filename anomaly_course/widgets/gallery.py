"""Gallery: leaf through the test images of every method, category and seed, the worst mistakes first if wanted."""

from collections.abc import Sequence

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomaly_course.widgets.picture import Studio, picture_with_controls, verdict_element
from anomaly_course.widgets.runs import AS_STORED, ORDERS, Run
from anomaly_lib.base.errors import InputError
from anomaly_lib.data import Sample, read_mask, read_rgb
from anomaly_lib.evaluation.thresholds import decide, decision_words
from anomaly_lib.figures.demo import OUTCOMES, outcome
from anomaly_lib.figures.images import outline
from anomaly_lib.figures.style import ANOMALOUS_COLOUR, MAP_COLOURS, MAP_LIMITS, NORMAL_COLOUR

MARGINS = {"left": 0.01, "right": 0.99, "top": 0.86, "bottom": 0.11, "wspace": 0.05, "width_ratios": (1, 1, 1.1)}
"""Fixed, because looking for a layout takes as long as drawing."""


def gallery_figure(run: Run, order: str, position: int) -> Figure:
    """A photo with its true outline, its anomaly map, and where its score lies among all; position 0 is the first.

    A position beyond the last image shows the last. ValueError for another order.
    """
    places = run.order(order)
    if not places:
        raise InputError(f"{run.title}: there is no image for '{order}'; choose another")
    position = min(position, len(places) - 1)
    sample, score = run.samples[places[position]], float(run.scores[places[position]])
    verdict = outcome(sample.is_anomalous, decide(score, run.threshold))
    colour, sign = OUTCOMES[verdict]
    figure, (photo, anomaly_map, scores) = plt.subplots(1, 3, figsize=(11, 4.4), layout="none", gridspec_kw=MARGINS)
    figure.set_label(verdict_element(f"{sign} {verdict}: {sample.defect}", colour))
    words = f"{run.title}: image {position + 1} of {len(places)}, {verdict}"
    figure.suptitle(words, fontsize=12, fontweight="bold", color=colour)
    photo.imshow(read_rgb(sample.path))
    if sample.mask_path:
        outline(photo, read_mask(sample.mask_path))
    photo.set_title(f"{sample.defect}/{sample.path.name}")
    _draw_map(anomaly_map, run, sample)
    _draw_place(scores, run, score)
    scores.set_title(f"score {decision_words(score, run.threshold)}")
    for axis in (photo, anomaly_map):
        axis.set_axis_off()
    return figure


def gallery(runs: Sequence[Run]) -> Studio:
    """Which run, which images, and the place among them; arrow keys move all three. ValueError without a run."""
    if not runs:
        raise ValueError("a gallery needs at least one run")
    by_title = {run.title: run for run in runs}
    longest = max(len(run.samples) for run in runs)
    controls = {
        "run": ipywidgets.Dropdown(options=list(by_title), description="run"),
        "order": ipywidgets.Dropdown(options=ORDERS, value=AS_STORED, description="show"),
        "position": ipywidgets.IntSlider(1, 1, longest, description="image", continuous_update=False),
    }

    def draw(run: str, order: str, position: int) -> Figure:
        return gallery_figure(by_title[run], order, position - 1)

    return picture_with_controls(draw, controls, "a test image, its anomaly map, and its score among all scores")


def _draw_map(axis: Axes, run: Run, sample: Sample) -> None:
    shown = run.map_of(sample)
    if shown is None:
        axis.text(0.5, 0.5, "the model is not here:\nonly its scores are", ha="center", va="center")
        return
    axis.imshow(shown, cmap=MAP_COLOURS, vmin=MAP_LIMITS[0], vmax=MAP_LIMITS[1])
    outline(axis, shown >= 1)
    axis.set_title(f"anomaly map, largest {shown.max():.2f}; threshold 1")


def _draw_place(axis: Axes, run: Run, score: float) -> None:
    """All scores as small dots in two rows, this one large."""
    labels, heights = run.labels, np.linspace(-0.25, 0.25, len(run.scores))
    for label, name, colour, mark in (
        (False, "normal", NORMAL_COLOUR, "o"),
        (True, "anomalous", ANOMALOUS_COLOUR, "^"),
    ):
        axis.plot(run.scores[labels == label], label + heights[labels == label], mark, color=colour, alpha=0.5)
        axis.text(0.01, 0.41 + 0.455 * label, name, transform=axis.transAxes, color=colour, fontsize=9)
    axis.axvline(run.threshold, color="black", linestyle="--")
    axis.axvline(score, color="black", linewidth=2)
    axis.set(yticks=[], ylim=(-0.6, 1.6), xlabel="image score; dashed: threshold, solid: this image")
