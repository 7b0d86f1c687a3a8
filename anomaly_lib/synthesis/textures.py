"""The texture source: a folder of images, normal images, or a plain colour.

Textures are 8-bit images, as they are for the authors: the operations rely on it, and the 5,640 images of DTD at 256
pixels are 1.1 GB in memory instead of 4.4.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.data.images import is_image_name
from anomaly_lib.data.tensors import load_images
from anomaly_lib.params import SynthesisRecipe
from anomaly_lib.synthesis.draws import Drawn
from anomaly_lib.synthesis.operations import to_levels

GREY, WHITE = 128, 255
"""Levels of a cutout."""


def load_textures(folder: Path, image_size: int, progress: bool = False) -> Tensor:
    """All images under ``folder`` as (M, 3, S, S) uint8, sorted by path.

    Raises InputError when the folder is missing or holds no image.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such texture folder; run 'dvc pull data', or set 'textures' to a folder")
    files = sorted(path for path in folder.rglob("*") if is_image_name(path))
    if not files:
        raise InputError(f"{folder}: no texture images here; run 'dvc pull data', or set 'textures' to a folder")
    textures = torch.empty(len(files), 3, image_size, image_size, dtype=torch.uint8)
    for index, file in enumerate(progress_bar(files, description="textures", show=progress)):
        textures[index] = to_levels(load_images([file], image_size))[0]
    return textures


def source_levels(
    drawn: Drawn, recipe: SynthesisRecipe, textures: Tensor | None, size: tuple[int, int], device: torch.device
) -> Tensor:
    """The texture of one sample before its operations, (3, H, W) uint8; for a cutout plain white or grey."""
    if drawn.cutout:
        return _plain([GREY if drawn.grey else WHITE] * 3, size).to(device)
    if recipe.texture_source == "colour":
        return _plain([round(255 * value) for value in drawn.colour], size).to(device)
    assert textures is not None  # checked before
    picked = textures[min(int(drawn.texture * len(textures)), len(textures) - 1)].to(device)
    if picked.shape[1:] != size:
        as_float = picked / 255 if picked.dtype == torch.uint8 else picked
        picked = interpolate(as_float[None], size, mode="bilinear", antialias=True)[0]
    return to_levels(picked)


def _plain(colour: list[int], size: tuple[int, int]) -> Tensor:
    """An image of one colour."""
    return torch.tensor(colour, dtype=torch.uint8).view(3, 1, 1).expand(3, *size).contiguous()
