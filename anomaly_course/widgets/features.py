"""Layers and latent size: how much of normal features so many principal components explain, and what they leave.

Principal components are the best linear autoencoder, and need no training: so the picture follows its controls.
Shapes: N images, K pictures, C channels, M vectors, g grid side, S image side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import ipywidgets
import matplotlib.pyplot as plt
import torch
from einops import rearrange
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from anomaly_course.widgets.picture import picture_with_controls
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.evaluation import quantile_threshold
from anomaly_lib.figures.images import outline
from anomaly_lib.figures.style import MAP_COLOURS, MAP_LIMITS, NORMAL_COLOUR, displayable
from anomaly_lib.methods.dfr.features import RegionalFeatures
from anomaly_lib.methods.dfr.space import FeatureSpace, fit_space, statistics
from anomaly_lib.methods.maps import upsampled

ALL_LAYERS = "all layers"
LATENT_SIZES = (0, *(2**k for k in range(9)))
VECTORS = 8192  # locations from which components are found
EXPECTED_RATE = 0.005
"""Share of normal pixels above the threshold (paper)."""
PAPER_SHARE = 0.9
MARGINS = {"left": 0.01, "right": 0.93, "top": 0.83, "bottom": 0.17, "wspace": 0.16, "width_ratios": (1, 1.25, 1)}
"""Fixed, because looking for a layout takes as long as drawing."""
ALT = "a defective image, the explained variance against the latent size, and the map of what is left unexplained"


@dataclass(frozen=True)
class Components:
    """Principal components of normal feature vectors, each channel standardised."""

    space: FeatureSpace
    directions: Tensor
    """(C, C), a column each, the strongest first."""
    explained: Tensor
    """(C,) share of the variance that the first 1, 2, ... explain together; the last is 1."""

    def reconstruct(self, features: Tensor, latent: int) -> Tensor:
        """Standardised features (N, C, h, w) from their first ``latent`` components; with 0 the mean, which is 0."""
        kept = self.directions[:, :latent]
        return torch.einsum("dc,nchw->ndhw", kept @ kept.T, features)

    def left_out(self, features: Tensor) -> Tensor:
        """Mean squared error of raw features (N, C, h, w) for each latent size from 0 to C: (C + 1, N, h, w).

        The components are at right angles, so the error is the sum of the squared coordinates that were left out.
        """
        squares = torch.einsum("ck,nchw->knhw", self.directions, self.space(features)).square()
        rest = squares.flip(0).cumsum(0).flip(0) / len(squares)
        return torch.cat([rest, torch.zeros_like(rest[:1])])


def components(vectors: Tensor) -> Components:
    """Principal components of (M, C) normal feature vectors."""
    normal = statistics(vectors)
    variances, directions = torch.linalg.eigh(normal.correlation)
    falling = variances.flip(0).clamp(min=0)
    return Components(
        fit_space("standardised", normal), directions.flip(1).float(), (falling.cumsum(0) / falling.sum()).float()
    )


@dataclass(frozen=True, eq=False)
class FeatureExample:
    """Features of normal images, and pictures to look at."""

    channels: dict[str, int]
    """Channels of each layer, in the order in which they lie in the features."""
    vectors: Tensor
    """(M, C) of locations of normal images, from which components are found."""
    held_out: Tensor
    """(N, C, g, g) of other normal images, for the scale of the maps."""
    features: Tensor
    """(K, C, g, g) of the pictures."""
    pictures: Tensor
    """(K, 3, S, S) in [0, 1]."""
    masks: Tensor
    """(K, S, S) bool, their defects."""

    def slice_of(self, layers: str) -> slice:
        """Where the channels of a layer lie, or of ``ALL_LAYERS``. ValueError for another name."""
        if layers == ALL_LAYERS:
            return slice(0, sum(self.channels.values()))
        if layers not in self.channels:
            raise ValueError(f"no layer '{layers}' among {', '.join(self.channels)}")
        names = list(self.channels)
        start = sum(self.channels[name] for name in names[: names.index(layers)])
        return slice(start, start + self.channels[layers])


def feature_example(
    extractor: RegionalFeatures, normals: Tensor, held_out: Tensor, pictures: Tensor, masks: Tensor, seed: int = 0
) -> FeatureExample:
    """An example from the extractor's layers; ``normals`` and ``held_out`` are features (N, C, g, g) already."""
    rows = rearrange(normals, "n c h w -> (n h w) c")
    drawn = torch.randint(len(rows), (VECTORS,), generator=generator(seed, "layers and latent size"))
    channels = dict(zip(extractor.backbone.layers, extractor.channels, strict=True))
    return FeatureExample(channels, rows[drawn], held_out, extractor(pictures), pictures, masks)


@dataclass(frozen=True)
class Spectrum:
    """What components of some layers explain, and what is left for every latent size from 0 to C."""

    explained: Tensor
    """(C,)"""
    held_out: Tensor
    """(C + 1, N g g), error of normal locations."""
    pictures: Tensor
    """(C + 1, K, g, g)"""


@lru_cache(maxsize=8)
def spectrum(example: FeatureExample, layers: str) -> Spectrum:
    """Everything that the picture needs of one choice of layers; kept, so that a slider answers at once."""
    chosen = example.slice_of(layers)
    found = components(example.vectors[:, chosen])
    held_out = found.left_out(example.held_out[:, chosen]).flatten(1)
    return Spectrum(found.explained, held_out, found.left_out(example.features[:, chosen]))


def normal_scale(values: Tensor) -> tuple[float, float]:
    """The median of normal values, and the value that 0.5 % of them exceed: what is shown as 0 and as 1."""
    return values.median().item(), quantile_threshold(values, EXPECTED_RATE)


def error_map(example: FeatureExample, layers: str, latent: int, image: int) -> Tensor:
    """(S, S) error of a picture, 0 where the median normal error is and 1 at the pixel threshold of held-out normals.

    All 0 where nothing is left out.
    """
    found = spectrum(example, layers)
    latent = min(latent, len(found.explained))
    size = example.pictures.shape[-1]
    if latent == len(found.explained):
        return torch.zeros(size, size)
    zero, one = normal_scale(found.held_out[latent])
    return (upsampled(found.pictures[latent, image][None], size)[0] - zero) / (one - zero)


def feature_figure(example: FeatureExample, layers: str, latent: int, image: int = 0) -> Figure:
    """The picture, the explained variance with the chosen latent size, and the error map on the fixed scale."""
    shown = error_map(example, layers, latent, image)
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9.4, 3.0), layout="none", gridspec_kw=MARGINS)
    left.imshow(displayable(example.pictures[image]))
    left.set_title("input and its defect", fontsize=9)
    _draw_explained(middle, spectrum(example, layers).explained, latent)
    drawn = right.imshow(shown.numpy(), cmap=MAP_COLOURS, vmin=MAP_LIMITS[0], vmax=MAP_LIMITS[1])
    mask = example.masks[image]
    above = shown >= 1
    found = f"{above[mask].float().mean():.0%} of the defect, " if mask.any() else ""
    rest = f"{above[~mask].float().mean():.1%} of the rest"
    right.set_title(f"error map; above 1, the threshold:\n{found}{rest}", fontsize=9)
    for axis in (left, right):
        outline(axis, mask.numpy())
        axis.set_axis_off()
    figure.colorbar(drawn, cax=figure.add_axes((0.945, 0.17, 0.012, 0.66)), ticks=[0, 1, 2])
    return figure


def _draw_explained(axis: Axes, explained: Tensor, latent: int) -> None:
    """Cumulative share against the number of components; the paper's 90 % and the chosen size."""
    channels = len(explained)
    latent = min(latent, channels)
    share = explained[latent - 1].item() if latent else 0.0
    needed = int((explained < PAPER_SHARE).sum()) + 1
    axis.plot(range(1, channels + 1), explained.numpy(), color=NORMAL_COLOUR)
    axis.axhline(PAPER_SHARE, color="0.6", linestyle="--", linewidth=0.8)
    axis.plot(latent, share, "o", color="black")
    axis.set(xlim=(0, channels + 1), ylim=(-0.03, 1.03), xlabel=f"latent size, of {channels} channels")
    axis.set_title(f"{latent} explain {share:.0%} of the variance;\n90 % takes {needed}", fontsize=9)
    axis.tick_params(labelsize=8)


def feature_studio(example: FeatureExample, names: Sequence[str]) -> ipywidgets.VBox:
    """The layers, the latent size and the picture (named by ``names``); all work with the arrow keys."""
    pictures = {f"{index + 1}: {name}": index for index, name in enumerate(names)}
    controls = {
        "layers": ipywidgets.Dropdown(options=[*example.channels, ALL_LAYERS], value=ALL_LAYERS, description="layers"),
        "latent": ipywidgets.SelectionSlider(options=LATENT_SIZES, value=32, description="latent size"),
        "image": ipywidgets.Dropdown(options=list(pictures), description="image"),
    }
    for layers in (*example.channels, ALL_LAYERS):
        spectrum(example, layers)  # once now, or the first change of the layers would have to wait for it

    def draw(layers: str, latent: int, image: str) -> Figure:
        return feature_figure(example, layers, latent, pictures[image])

    return picture_with_controls(draw, controls, ALT)
