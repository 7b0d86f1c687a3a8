"""From a batch of normal images to images with synthetic anomalies and their exact masks (DRAEM, section 3.3).

Shapes: N images, H x W pixels, M textures. Values of images in [0, 1].
"""

import torch
from torch import Tensor

from anomaly_lib.base.errors import InputError
from anomaly_lib.params import SynthesisRecipe
from anomaly_lib.synthesis.draws import draw
from anomaly_lib.synthesis.operations import seen_texture, whole_texture
from anomaly_lib.synthesis.region import DEFAULT_RECIPE, check_size, region
from anomaly_lib.synthesis.result import Steps, Synthesised
from anomaly_lib.synthesis.rotation import rotate
from anomaly_lib.synthesis.textures import source_levels


def synthesize(
    images: Tensor,
    textures: Tensor | None,
    generator: torch.Generator,
    recipe: SynthesisRecipe = DEFAULT_RECIPE,
    keep_steps: bool = True,
) -> Synthesised:
    """Blend a random texture into a random region of each image, as ``recipe`` says (default: the authors' code).

    Inside the mask the result is (1 - opacity) * normal + opacity * texture, outside it is the normal image.
    ``images`` are (N, 3, H, W) float32 in [0, 1]; ``textures`` (M, 3, h, w) are levels in uint8, or values in [0, 1],
    which are rounded to levels; those of another size are resized. ``textures`` may be None where the recipe takes a
    colour, and where it takes normal images: then they are ``images`` themselves.
    Everything is drawn from ``generator``, on the CPU, and computed where ``images`` are; samples that stay clean on
    purpose cost nothing but their rotation. Raises InputError for wrong shapes, missing textures, and images smaller
    than the largest number of Perlin cells. Source: DRAEM, eq. (4) and section 3.3.
    """
    if textures is None and recipe.texture_source == "normals":
        textures = images
    check(images, textures, recipe)
    draws, size = draw(len(images), recipe, generator), tuple(images.shape[2:])
    normal = _turned(images.contiguous(), draws.angle)
    image, mask = normal.clone(), normal.new_zeros(len(normal), 1, *size)
    steps = Steps.blank(normal) if keep_steps else None
    for index, drawn in enumerate(draws.samples()):
        if not drawn.anomalous:
            continue
        noise, rotated, mask[index, 0] = region(drawn, recipe, size, normal.device)
        where = torch.nonzero(mask[index].flatten()).flatten()  # (P,)
        levels = source_levels(drawn, recipe, textures, size, normal.device)
        texture = seen_texture(levels, drawn.chain, where)  # (3, P)
        pixels = image[index].view(3, -1)
        pixels[:, where] = torch.lerp(pixels.index_select(1, where), texture, drawn.opacity)
        if steps:
            whole = whole_texture(levels, drawn.chain)
            whole.view(3, -1)[:, where] = texture  # to the bit what was blended
            steps.set(index, noise, rotated, levels / 255, whole)
    return Synthesised(image, mask, normal, draws, steps)


def _turned(images: Tensor, angle: Tensor) -> Tensor:
    """Each image turned by its angle in degrees, corners black; the very images where all angles are 0."""
    turned = images.clone() if angle.any() else images
    for index in torch.nonzero(angle).flatten().tolist():
        one = slice(index, index + 1)
        turned[one] = rotate(images[one], angle[one]).clamp_(0, 1)
    return turned


def check(images: Tensor, textures: Tensor | None, recipe: SynthesisRecipe) -> None:
    """Raise InputError for what cannot be blended."""
    if images.ndim != 4 or images.shape[1] != 3:
        raise InputError(f"images of shape {tuple(images.shape)}: (N, 3, height, width) is needed")
    if images.dtype != torch.float32:
        raise InputError(f"images of type {images.dtype}: torch.float32 from 0 to 1 is needed")
    check_size(tuple(images.shape[2:]), recipe)
    if recipe.texture_source == "colour":
        return
    if textures is None or len(textures) == 0:
        raise InputError("no textures; load a folder with load_textures, or set texture_source to colour or normals")
    if textures.ndim != 4 or textures.shape[1] != 3:
        raise InputError(f"textures of shape {tuple(textures.shape)}: (M, 3, height, width) is needed")
