"""Everything random about a batch of synthetic anomalies, drawn before anything is computed.

Each quantity is drawn for every sample whether the recipe needs it or not. So two recipes that differ in one switch
share all other draws, which makes them comparable side by side, and the device that computes does not matter.

Shapes: N samples. All tensors are on the CPU.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from anomaly_lib.params import SynthesisRecipe
from anomaly_lib.synthesis.operations import NO_OPERATION, NUMBERS, OPERATIONS, SEVEN, Chain
from anomaly_lib.synthesis.perlin import random_cells

NOISE_ROTATION = 90.0  # degrees, both ways
RANDOM_THRESHOLD = (0.25, 0.75)
"""The paper draws the threshold uniformly and states no range; this one has the authors' fixed 0.5 as its mean."""
OPERATIONS_PER_SAMPLE = 3
MOST_RECTANGLES = 4
"""Where rectangles replace the noise, one to this number are drawn."""


@dataclass(frozen=True)
class Draws:
    """What was drawn for each of N samples."""

    anomalous: Tensor
    """(N,) bool: False for a sample that stays normal on purpose."""
    angle: Tensor
    """(N,) degrees by which the normal image is turned; 0 where it is not."""
    cells: Tensor
    """(N, 2) Perlin cells along height and width."""
    noise_seed: Tensor
    """(N,) int64: seed of the noise's gradients, so that they depend on nothing else of the batch."""
    noise_angle: Tensor
    """(N,) degrees by which the noise is turned."""
    threshold: Tensor
    """(N,) value of the noise above which the mask lies."""
    opacity: Tensor
    """(N,) opacity of the texture inside the mask, the beta of eq. (4); 1 for a cutout."""
    texture: Tensor
    """(N,) in [0, 1): which texture, as a share of their number."""
    colour: Tensor
    """(N, 3) in [0, 1): the texture, where it is only a colour."""
    operations: Tensor
    """(N, 3) distinct indices into ``OPERATIONS``, in the order in which they are applied; -1 where there is none."""
    numbers: Tensor
    """(N, 3, 4) in [0, 1): the random numbers of these operations, in that order."""
    cutout: Tensor
    """(N,) bool: a plain rectangle instead of noise and texture."""
    cutout_box: Tensor
    """(N, 4) in [0, 1): height, width, top and left of that rectangle, as shares of what is possible."""
    grey: Tensor
    """(N,) bool: that rectangle is grey; otherwise white."""
    rectangles: Tensor
    """(N, 4) bool: which of the boxes are there, where rectangles replace the noise; the first always is."""
    boxes: Tensor
    """(N, 4, 4) in [0, 1): height, width, top and left of each box, as shares of what is possible."""

    def samples(self) -> list["Drawn"]:
        """The draws of each sample."""
        columns = (getattr(self, field.name).tolist() for field in fields(Draws))
        return [Drawn(*values) for values in zip(*columns, strict=True)]


class Drawn(NamedTuple):
    """The draws of one sample: the fields of ``Draws``, in their order, as numbers and lists."""

    anomalous: bool
    angle: float
    cells: list[int]
    noise_seed: int
    noise_angle: float
    threshold: float
    opacity: float
    texture: float
    colour: list[float]
    operations: list[int]
    numbers: list[list[float]]
    cutout: bool
    cutout_box: list[float]
    grey: bool
    rectangles: list[bool]
    boxes: list[list[float]]

    @property
    def chain(self) -> Chain:
        """Texture operations, each with its random numbers."""
        pairs = zip(self.operations, self.numbers, strict=True)
        return [(OPERATIONS[index], numbers) for index, numbers in pairs if index != NO_OPERATION]


def draw(count: int, recipe: SynthesisRecipe, generator: torch.Generator) -> Draws:
    """Draw for ``count`` samples from ``generator``, a CPU generator."""

    def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * (high - low) + low

    turned, angle = uniform() < recipe.rotation_probability, uniform(low=-1) * recipe.rotation_degrees
    threshold = uniform(low=RANDOM_THRESHOLD[0], high=RANDOM_THRESHOLD[1])
    cutout = uniform() < recipe.cutout_probability
    opacity = uniform(low=recipe.opacity[0], high=recipe.opacity[1])
    return Draws(
        anomalous=uniform() >= recipe.clean_probability,
        angle=torch.where(turned, angle, 0.0),
        cells=random_cells(count, generator),
        noise_seed=torch.randint(2**62, (count,), generator=generator),
        noise_angle=uniform(low=-NOISE_ROTATION, high=NOISE_ROTATION),
        threshold=threshold if recipe.threshold is None else torch.full((count,), recipe.threshold),
        opacity=opacity.masked_fill(cutout, 1.0),
        texture=uniform(),
        colour=uniform(3),
        operations=_chosen(uniform(len(OPERATIONS)), recipe).masked_fill(cutout[:, None], NO_OPERATION),
        numbers=uniform(OPERATIONS_PER_SAMPLE, NUMBERS),
        cutout=cutout,
        cutout_box=uniform(4),
        grey=uniform() < 0.5,
        rectangles=torch.arange(MOST_RECTANGLES) <= uniform(1) * MOST_RECTANGLES,
        boxes=uniform(MOST_RECTANGLES, 4),
    )


def _chosen(keys: Tensor, recipe: SynthesisRecipe) -> Tensor:
    """The operations with the largest random keys, of those that the recipe allows: (N, 10) -> (N, 3)."""
    if recipe.texture_operations == "seven":
        keys = keys.where(torch.tensor([name in SEVEN for name in OPERATIONS]), -1.0)
    chosen = keys.topk(OPERATIONS_PER_SAMPLE).indices
    unchanged = recipe.texture_operations == "none" or recipe.texture_source == "colour"
    return torch.full_like(chosen, NO_OPERATION) if unchanged else chosen
