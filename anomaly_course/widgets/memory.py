"""A memory of normal features: how many codes it has, how they begin, and what it then makes of a defect.

Shapes: N images, C channels, g x g locations, K codes, M = N g g vectors.
"""

from dataclasses import dataclass

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from einops import rearrange
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, one_hot

from anomaly_course.widgets.picture import Studio, picture_with_controls
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.figures.images import outline
from anomaly_lib.figures.style import ANOMALOUS_COLOUR, MAP_COLOURS, NORMAL_COLOUR, displayable
from anomaly_lib.methods.dmad.quantise import VectorQuantiser, health

SIZES = [2**k for k in range(9)]
ERROR_LIMIT = 2.0
"""End of the error scale; 1 is the mean squared distance of normal features from their own mean."""
MARGINS = {"left": 0.01, "right": 0.99, "top": 0.88, "bottom": 0.17, "wspace": 0.12, "width_ratios": (1, 1, 1, 1)}
"""Fixed, because looking for a layout takes as long as drawing."""
ALT = "a defective image, the error of its quantised features, features and codes as points, and how often each is used"


@dataclass(frozen=True)
class MemoryExample:
    """Features to store, and an image to look up."""

    normals: Tensor
    """(N, C, g, g) features of normal images."""
    picture: Tensor
    """(3, S, S) a defective image in [0, 1]."""
    features: Tensor
    """(C, g, g) its features."""
    mask: Tensor
    """(S, S) bool, its defect."""

    def defect_places(self) -> Tensor:
        """(g, g) bool: locations that the defect covers by a quarter or more; of a small one, those it covers most."""
        covered = adaptive_avg_pool2d(self.mask[None, None].float(), self.features.shape[-2:])[0, 0]
        return covered >= min(0.25, covered.max().item())


@dataclass(frozen=True)
class Memory:
    """A trained quantiser and what it makes of an example; errors are in units of the normal features' variance."""

    quantiser: VectorQuantiser
    normal_error: float
    """Mean squared distance of normal features to their codes."""
    error_map: Tensor
    """(g, g), that of the defective image's features."""
    shares: Tensor
    """(K,) how often normal features use each code, falling."""
    used: int
    perplexity: float


def learnt_memory(example: MemoryExample, size: int, start: str = "data", rounds: int = 5, seed: int = 0) -> Memory:
    """``size`` codes that begin at normal features ('data') or uniform in +-1/size ('uniform'), moved ``rounds`` times.

    A round moves each code to the mean of the features that are nearest to it: where the gradient of the quantiser's
    loss would take it in the end. A code that nobody uses has no gradient and stays. ValueError for another start.
    """
    if start not in ("data", "uniform"):
        raise ValueError(f"start is 'data' or 'uniform', not '{start}'")
    vectors = rearrange(example.normals, "n c h w -> (n h w) c")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        quantiser = VectorQuantiser(size, vectors.shape[1]).requires_grad_(False)
    if start == "data":
        quantiser.start_from(vectors, generator(seed, "memory studio"))
    for _ in range(rounds):
        _to_the_means(quantiser, example.normals, vectors)
    return _measured(quantiser, example, vectors)


def _to_the_means(quantiser: VectorQuantiser, normals: Tensor, vectors: Tensor) -> None:
    table = quantiser.embedding.weight
    taken = one_hot(quantiser.nearest(normals).flatten(), len(table)).to(vectors)
    counts = taken.sum(dim=0)[:, None]
    table.copy_(torch.where(counts > 0, taken.T @ vectors / counts.clamp_min(1), table))


def _measured(quantiser: VectorQuantiser, example: MemoryExample, vectors: Tensor) -> Memory:
    variance = (vectors - vectors.mean(dim=0)).square().mean()
    codes = quantiser.nearest(example.normals)
    normal_error = (quantiser(example.normals).features - example.normals).square().mean() / variance
    error_map = (quantiser(example.features[None]).features[0] - example.features).square().mean(dim=0) / variance
    size = quantiser.embedding.num_embeddings
    shares = torch.bincount(codes.flatten(), minlength=size).sort(descending=True).values / codes.numel()
    state = {name: value.item() for name, value in health(codes, size).items()}
    return Memory(quantiser, normal_error.item(), error_map, shares, int(state["used_codes"]), state["perplexity"])


def memory_figure(example: MemoryExample, size: int, start: str = "data", rounds: int = 5) -> Figure:
    """The defective image, the error of its features, features and codes in a plane, and the codes' shares."""
    memory = learnt_memory(example, size, start, rounds)
    figure, axes = plt.subplots(1, 4, figsize=(9.6, 2.6), layout="none", gridspec_kw=MARGINS)
    axes[0].imshow(displayable(example.picture))
    outline(axes[0], example.mask.numpy())
    axes[0].set_title("input and its defect", fontsize=9)
    axes[1].imshow(memory.error_map.numpy(), cmap=MAP_COLOURS, vmin=0, vmax=ERROR_LIMIT)
    defect = memory.error_map[example.defect_places()].mean()
    axes[1].set_title(f"error: defect {defect:.2f}, normal {memory.normal_error:.2f}", fontsize=9)
    for axis in axes[:2]:
        axis.set_axis_off()
    _draw_plane(axes[2], example, memory)
    _draw_shares(axes[3], memory)
    return figure


def _draw_plane(axis: Axes, example: MemoryExample, memory: Memory) -> None:
    """The two directions in which normal features vary most."""
    vectors = rearrange(example.normals, "n c h w -> (n h w) c")
    mean = vectors.mean(dim=0)
    directions = torch.linalg.eigh((vectors - mean).T @ (vectors - mean)).eigenvectors[:, [-1, -2]]
    features, codes = (vectors - mean) @ directions, (memory.quantiser.embedding.weight - mean) @ directions
    axis.scatter(*features[::7].T.numpy(), s=2, color="0.7", rasterized=True)
    axis.scatter(*codes.T.numpy(), s=22, marker="x", color=ANOMALOUS_COLOUR, linewidths=1.2)
    reach = (1.1 * features.abs().amax(dim=0)).tolist()
    axis.set(xlim=(-reach[0], reach[0]), ylim=(-reach[1], reach[1]), xticks=[], yticks=[])
    axis.set_title("features (grey) and codes (×)", fontsize=9)


def _draw_shares(axis: Axes, memory: Memory) -> None:
    size = len(memory.shares)
    axis.bar(np.arange(size), 100 * memory.shares.numpy(), width=1.0, color=NORMAL_COLOUR)
    axis.set(xlim=(-0.5, size - 0.5), ylim=(0, None))
    axis.set_xlabel("code, by its share of the features (%)", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.set_title(f"{memory.used} of {size} used, perplexity {memory.perplexity:.1f}", fontsize=9)


def memory_curves(example: MemoryExample, rounds: int = 5) -> Figure:
    """Error of normal features and of the defect, and used codes, against the memory's size, for both beginnings."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.0))
    grid = example.defect_places()
    for start, style in (("data", "o-"), ("uniform", "s--")):
        memories = [learnt_memory(example, size, start, rounds) for size in SIZES]
        left.plot(SIZES, [m.normal_error for m in memories], style, color=NORMAL_COLOUR, label=f"normal, from {start}")
        defect = [m.error_map[grid].mean().item() for m in memories]
        left.plot(SIZES, defect, style, color=ANOMALOUS_COLOUR, label=f"defect, from {start}")
        right.plot(SIZES, [m.used for m in memories], style, color="black", label=f"from {start}")
    right.plot(SIZES, SIZES, ":", color="0.6", label="all")
    left.set(xscale="log", xlabel="codes", ylabel="error, 1 = one code at the mean", ylim=(0, None))
    right.set(xscale="log", yscale="log", xlabel="codes", ylabel="used codes")
    for axis in (left, right):
        axis.set_xscale("log", base=2)
        axis.legend(fontsize=7)
    return figure


def memory_studio(example: MemoryExample) -> Studio:
    """The memory's size, where its codes begin, and rounds of learning; the arrow keys move the sliders."""
    controls = {
        "size": ipywidgets.SelectionSlider(options=SIZES, value=32, description="codes"),
        "start": ipywidgets.ToggleButtons(options=["data", "uniform"], value="data", description="begin at"),
        "rounds": ipywidgets.IntSlider(5, min=0, max=10, description="rounds"),
    }

    def draw(size: int, start: str, rounds: int) -> Figure:
        return memory_figure(example, size, start, rounds)

    return picture_with_controls(draw, controls, ALT)
