"""From a batch of normal images to images with synthetic anomalies and their exact masks (DRAEM, section 3.3).

Shapes: N images, H x W pixels, M textures, P pixels of a mask. Values of images in [0, 1].
"""

from dataclasses import dataclass, replace

import torch
from einops import rearrange
from torch import Tensor

from anomaly_lib.base.errors import InputError
from anomaly_lib.params import SynthesisRecipe
from anomaly_lib.synthesis.draws import Draws, draw
from anomaly_lib.synthesis.mask import DEFAULT_RECIPE, check_size, make_mask
from anomaly_lib.synthesis.operations import NO_OPERATION, OPERATIONS, seen_texture, whole_texture
from anomaly_lib.synthesis.rotation import rotate
from anomaly_lib.synthesis.textures import source_levels


@dataclass(frozen=True)
class Synthesised:
    """A batch for training, and everything that was drawn for it, so that a figure can show each step."""

    image: Tensor
    """Images with anomalies, (N, 3, H, W): the input of a network."""
    mask: Tensor
    """Where the anomalies are, (N, 1, H, W) float32, 0 or 1; all zero for a sample that stays normal."""
    normal: Tensor
    """The images given, after their own rotation, (N, 3, H, W): what a reconstruction should be.

    It is the tensor that was given, not a copy, where no image was turned.
    """
    draws: Draws
    """All random numbers, on the CPU."""
    steps: Tensor | None
    """(N, 8, H, W): the four properties below, one after the other; None where they were not kept.

    Zeros for samples that stay clean on purpose.
    """

    @property
    def noise(self) -> Tensor:
        """Noise before rotation, (N, 1, H, W); for rectangles and cutouts 1 inside and 0 outside."""
        return self._kept[:, :1]

    @property
    def rotated_noise(self) -> Tensor:
        """Noise after rotation, (N, 1, H, W), 0 in the corners; rectangles and cutouts are not turned."""
        return self._kept[:, 1:2]

    @property
    def texture_source(self) -> Tensor:
        """Textures before their operations, (N, 3, H, W)."""
        return self._kept[:, 2:5]

    @property
    def texture(self) -> Tensor:
        """Textures after their operations, (N, 3, H, W)."""
        return self._kept[:, 5:]

    @property
    def blend(self) -> Tensor:
        """Normal image and texture mixed everywhere, as if the mask were all 1, (N, 3, H, W)."""
        weight = rearrange(self.opacity * self.draws.anomalous, "n -> n 1 1 1").to(self.normal.device)
        return torch.lerp(self.normal, self.texture, weight)

    @property
    def operations(self) -> list[tuple[str, ...]]:
        """Names of the texture operations of each sample, in order; none for clean samples, cutouts and colours."""
        chosen = self.draws.operations.where(self.draws.anomalous[:, None], NO_OPERATION).tolist()
        return [tuple(OPERATIONS[index] for index in indices if index != NO_OPERATION) for indices in chosen]

    @property
    def opacity(self) -> Tensor:
        """Opacity of the texture inside the mask, the paper's beta, (N,) on the CPU; meaningless for clean samples."""
        return self.draws.opacity

    def to(self, device: torch.device | str) -> "Synthesised":
        """The same with its pictures on a device; the draws stay on the CPU."""
        steps = None if self.steps is None else self.steps.to(device)
        image, mask, normal = (picture.to(device) for picture in (self.image, self.mask, self.normal))
        return replace(self, image=image, mask=mask, normal=normal, steps=steps)

    @property
    def _kept(self) -> Tensor:
        if self.steps is None:
            raise InputError("the steps of this batch were not kept; make it with keep_steps=True")
        return self.steps


def synthesize(
    images: Tensor,
    textures: Tensor | None,
    generator: torch.Generator,
    recipe: SynthesisRecipe = DEFAULT_RECIPE,
    keep_steps: bool = True,
) -> Synthesised:
    """Blend a random texture into a random part of each image, as ``recipe`` says (default: the authors' code).

    Inside the mask the result is (1 - beta) * normal + beta * texture, outside it is the normal image; beta is the
    texture's opacity. ``images`` are (N, 3, H, W) float32 in [0, 1]; ``textures`` (M, 3, h, w) are levels in uint8, or
    values in [0, 1], which are rounded to levels; those of another size are resized. ``textures`` may be None where the
    recipe takes a colour, and where it takes normal images: then they are ``images`` themselves.
    Everything is drawn from ``generator``, on the CPU, and computed where ``images`` are; samples that stay clean on
    purpose cost nothing but their rotation. Raises InputError for wrong shapes, missing textures, and images smaller
    than the largest number of Perlin cells. Source: DRAEM, eq. (4) and section 3.3.
    """
    if textures is None and recipe.texture_source == "normals":
        textures = images
    check(images, textures, recipe)
    draws = draw(len(images), recipe, generator)
    height, width = images.shape[2:]
    normal = _turned(images.contiguous(), draws.angle)
    image, mask = normal.clone(), normal.new_zeros(len(normal), 1, height, width)
    steps = normal.new_zeros(len(normal), 8, height, width) if keep_steps else None
    for index, drawn in enumerate(draws.samples()):
        if not drawn.anomalous:
            continue
        noise, rotated, mask[index, 0] = make_mask(drawn, recipe, (height, width), normal.device)
        where = torch.nonzero(mask[index].flatten()).flatten()  # (P,)
        levels = source_levels(drawn, recipe, textures, (height, width), normal.device)
        texture = seen_texture(levels, drawn.chain, where)  # (3, P)
        pixels = image[index].view(3, -1)  # (3, H, W) -> (3, H * W)
        # Eq. (4): M (1 - beta) I + M beta A; the other pixels of the clone are (1 - M) I already
        pixels[:, where] = torch.lerp(pixels.index_select(1, where), texture, drawn.opacity)
        if steps is not None:
            whole = whole_texture(levels, drawn.chain)
            whole.view(3, -1)[:, where] = texture  # to the bit what was blended
            steps[index] = torch.cat([noise[None], rotated[None], levels / 255, whole])
    return Synthesised(image, mask, normal, draws, steps)


def check(images: Tensor, textures: Tensor | None, recipe: SynthesisRecipe) -> None:
    """Raise InputError for what cannot be blended."""
    if images.ndim != 4 or images.shape[1] != 3:
        raise InputError(f"images of shape {tuple(images.shape)}: (N, 3, height, width) is needed")
    if images.dtype != torch.float32:
        raise InputError(f"images of type {images.dtype}: torch.float32 from 0 to 1 is needed")
    check_size((images.shape[2], images.shape[3]), recipe)
    if recipe.texture_source == "colour":
        return
    if textures is None or len(textures) == 0:
        raise InputError("no textures; load a folder with load_textures, or set texture_source to colour or normals")
    if textures.ndim != 4 or textures.shape[1] != 3:
        raise InputError(f"textures of shape {tuple(textures.shape)}: (M, 3, height, width) is needed")


def _turned(images: Tensor, angle: Tensor) -> Tensor:
    """Each image turned by its angle in degrees, corners black; the very images where all angles are 0."""
    turned = images.clone() if angle.any() else images
    for index in torch.nonzero(angle).flatten().tolist():
        one = slice(index, index + 1)
        turned[one] = rotate(images[one], angle[one]).clamp_(0, 1)
    return turned
