"""Where a synthetic anomaly lies: Perlin noise cut at a threshold, or rectangles (DRAEM, section 3.3).

Rectangles are what the paper's ablation puts in the place of noise, and the cutout. A box is four numbers in [0, 1):
height and width between the smallest and largest side, then top and left among the places where the box fits.

Shapes: H x W pixels.
"""

import torch
from torch import Tensor

from anomaly_lib.base.errors import InputError
from anomaly_lib.params import SynthesisRecipe
from anomaly_lib.synthesis.draws import Drawn, draw
from anomaly_lib.synthesis.perlin import MOST_CELLS, perlin_noise
from anomaly_lib.synthesis.rotation import rotate

DEFAULT_RECIPE = SynthesisRecipe()
DRAWN_AT_ONCE = 64
CUTOUT_SIDES = (10, 0.5)
"""Smallest side of a cutout in pixels, and largest as a share of the image."""
RECTANGLE_SIDES = (0.04, 0.24)
"""Sides of the ablation's rectangles as shares of the image: one to four then cover about what Perlin noise does."""


def make_mask(
    drawn: Drawn, recipe: SynthesisRecipe, size: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Noise before and after its rotation, and the mask, float32 0 or 1, of one sample; (H, W) each.

    For rectangles and cutouts the noise is 1 inside and 0 outside, and is not turned. The paper gives neither number
    nor size of its rectangles; one to four of ``RECTANGLE_SIDES`` are our choice.
    """
    if recipe.shape == "perlin" and not drawn.cutout:
        own = torch.Generator().manual_seed(drawn.noise_seed)
        noise = perlin_noise(torch.tensor([drawn.cells]), size, own, device)
        rotated = rotate(noise[None], torch.tensor([drawn.noise_angle]))[0]
        mask = torch.empty_like(rotated)
        torch.gt(rotated, drawn.threshold, out=mask)
        return noise[0], rotated[0], mask[0]
    if drawn.cutout:
        boxes = [drawn.cutout_box]
        sides = [(min(CUTOUT_SIDES[0], CUTOUT_SIDES[1] * pixels), CUTOUT_SIDES[1] * pixels) for pixels in size]
    else:
        boxes = [box for box, there in zip(drawn.boxes, drawn.rectangles, strict=True) if there]
        sides = [(RECTANGLE_SIDES[0] * pixels, RECTANGLE_SIDES[1] * pixels) for pixels in size]
    inside = torch.zeros(size, device=device)
    for box in boxes:
        inside[_slices(box, size, sides)] = 1.0
    return inside, inside, inside


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
        coverage += [make_mask(sample, recipe, size, torch.device("cpu"))[2].mean() for sample in drawn.samples()]
    return torch.stack(coverage)


def check_size(size: tuple[int, int], recipe: SynthesisRecipe) -> None:
    """Raise InputError where a Perlin cell would be smaller than a pixel."""
    if recipe.shape == "perlin" and min(size) < MOST_CELLS:
        raise InputError(
            f"images of {size[0]}x{size[1]} pixels are too small for {MOST_CELLS} Perlin cells per axis; "
            f"raise image_size to at least {MOST_CELLS}"
        )
    if min(size) < 2:
        raise InputError(f"images of {size[0]}x{size[1]} pixels: each side needs at least 2; use larger images")


def _slices(box: list[float], size: tuple[int, int], sides: list[tuple[float, float]]) -> tuple[slice, slice]:
    """Rows and columns that a box covers; ``sides`` are its smallest and largest height, then width, in pixels."""
    lengths = [max(1, round(low + share * (high - low))) for share, (low, high) in zip(box[:2], sides, strict=True)]
    starts = [int(share * (pixels - n + 1)) for share, pixels, n in zip(box[2:], size, lengths, strict=True)]
    return slice(starts[0], starts[0] + lengths[0]), slice(starts[1], starts[1] + lengths[1])
