"""Leaf through the test images of a category."""

from collections.abc import Sequence

import ipywidgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from anomaly_course.widgets.picture import Studio, picture_with_controls
from anomaly_lib.data import Sample, read_mask, read_rgb
from anomaly_lib.figures.images import outline


def sample_figure(sample: Sample, show_outline: bool = True) -> Figure:
    """One image at its own size, titled by type and file name, with the outline of its mask if it has one."""
    figure, axis = plt.subplots(figsize=(4, 4))
    axis.imshow(read_rgb(sample.path))
    axis.set_axis_off()
    axis.set_title(f"{sample.defect} · {sample.path.name}")
    if show_outline and sample.mask_path:
        outline(axis, read_mask(sample.mask_path))
    return figure


def browse(samples: Sequence[Sample]) -> Studio:
    """A slider over the samples and a switch for the outline; both work with the arrow and space keys."""
    controls = {
        "position": ipywidgets.IntSlider(0, 0, len(samples) - 1, description="image", continuous_update=False),
        "show_outline": ipywidgets.Checkbox(True, description="outline of the defect"),
    }

    def draw(position: int, show_outline: bool) -> Figure:
        return sample_figure(samples[position], show_outline)

    return picture_with_controls(draw, controls, "the chosen test image, its defect outlined")
