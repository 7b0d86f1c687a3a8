"""Where a synthetic anomaly lies: Perlin noise or rectangles, cut at a threshold.

Shapes: H x W pixels.
"""

import torch
from torch import Tensor

from anomaly_lib.base.errors import InputError
from anomaly_lib.params import SynthesisRecipe
from anomaly_lib.synthesis.draws import Drawn, draw
from anomaly_lib.synthesis.perlin import MOST_CELLS, perlin_noise
from anomaly_lib.synthesis.rotation import rotate
from anomaly_lib.synthesis.shapes import cutout, rectangles

DEFAULT_RECIPE = SynthesisRecipe()
DRAWN_AT_ONCE = 64


def region(drawn: Drawn, recipe: SynthesisRecipe, size: tuple[int, int], device: torch.device) -> tuple[Tensor, ...]:
    """Noise before and after its rotation, and the mask, float32 0 or 1, of one sample; (H, W) each.

    For rectangles and cutouts the noise is 1 inside and 0 outside, and is not turned.
    """
    if recipe.shape == "perlin" and not drawn.cutout:
        own = torch.Generator().manual_seed(drawn.noise_seed)
        noise = perlin_noise(torch.tensor([drawn.cells]), size, own, device)
        rotated = rotate(noise[None], torch.tensor([drawn.noise_angle]))[0]
        mask = torch.empty_like(rotated)
        torch.gt(rotated, drawn.threshold, out=mask)
        return noise[0], rotated[0], mask[0]
    boxes = [box for box, there in zip(drawn.boxes, drawn.rectangles, strict=True) if there]
    inside = cutout(drawn.cutout_box, size) if drawn.cutout else rectangles(boxes, size)
    return (inside.float().to(device),) * 3


def mask_coverage(
    draws: int, size: tuple[int, int], generator: torch.Generator, recipe: SynthesisRecipe = DEFAULT_RECIPE
) -> Tensor:
    """Share (0 to 1) of the image that each of ``draws`` masks covers, (draws,), as ``recipe`` makes them.

    Clean samples are not among them. Raises InputError for a size smaller than the largest number of cells.
    """
    check_size(size, recipe)
    coverage = []
    for start in range(0, draws, DRAWN_AT_ONCE):
        drawn = draw(min(DRAWN_AT_ONCE, draws - start), recipe, generator)
        coverage += [region(sample, recipe, size, torch.device("cpu"))[2].mean() for sample in drawn.samples()]
    return torch.stack(coverage)


def check_size(size: tuple[int, int], recipe: SynthesisRecipe) -> None:
    """Raise InputError where a Perlin cell would be smaller than a pixel."""
    if recipe.shape == "perlin" and min(size) < MOST_CELLS:
        raise InputError(
            f"images of {size[0]}x{size[1]} pixels are too small for {MOST_CELLS} Perlin cells an axis; "
            f"raise image_size to at least {MOST_CELLS}"
        )
    if min(size) < 2:
        raise InputError(f"images of {size[0]}x{size[1]} pixels: a side has at least 2")
