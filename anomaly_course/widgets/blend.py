"""Blend studio: opacity, seed and shape against the anomaly they give."""

import ipywidgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from anomaly_course.widgets.picture import Studio, picture_with_controls
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.figures.style import displayable
from anomaly_lib.params import SynthesisRecipe
from anomaly_lib.synthesis import synthesize

SHAPES = {
    "perlin": {},
    "rectangles": {"shape": "rectangles"},
    "cutout": {"cutout_probability": 1.0},
}
SEEDS = 30


def blend_figure(normal: Tensor, textures: Tensor, opacity: float, seed: int, shape: str) -> Figure:
    """Mask, texture and result of one normal image (3, H, W); a cutout is always plain and opaque."""
    always = {"clean_probability": 0.0, "rotation_probability": 0.0, "opacity": [opacity, opacity]}
    result = synthesize(
        normal[None], textures, generator(seed, "blend studio"), SynthesisRecipe(**always, **SHAPES[shape])
    )
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(8.4, 3.1))
    left.imshow(result.mask[0, 0].numpy(), cmap="gray", vmin=0, vmax=1)
    left.set_title(f"mask, {result.mask.mean() * 100:.1f} % of the image")
    middle.imshow(displayable(result.texture[0]))
    middle.set_title(", ".join(result.operations[0]) or "plain", fontsize=8)
    right.imshow(displayable(result.image[0]))
    right.set_title(f"opacity β = {result.opacity[0]:.2f}")
    for axis in (left, middle, right):
        axis.set_axis_off()
    return figure


def blend_studio(normal: Tensor, textures: Tensor) -> Studio:
    """Opacity and seed as sliders, the shape as a choice, over one normal image and the textures."""
    controls = {
        "opacity": ipywidgets.FloatSlider(0.6, min=0.05, max=1.0, step=0.05, description="opacity"),
        "seed": ipywidgets.IntSlider(0, min=0, max=SEEDS - 1, description="seed"),
        "shape": ipywidgets.Dropdown(options=list(SHAPES), value="perlin", description="shape"),
    }

    def draw(**values) -> Figure:
        return blend_figure(normal, textures, **values)

    alt = "Where a synthetic anomaly lies, the texture that is blended in, and the image with the anomaly"
    return picture_with_controls(draw, controls, alt)
