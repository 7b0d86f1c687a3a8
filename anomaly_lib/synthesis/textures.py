"""The texture source: a folder of images in sub-folders, as DTD has it, held once in memory."""

from pathlib import Path

from torch import Tensor

from anomaly_lib.data.images import is_image_name
from anomaly_lib.data.tensors import load_images
from anomaly_lib.errors import InputError


def load_textures(folder: Path, image_size: int, progress: bool = False) -> Tensor:
    """All images under ``folder`` as (M, 3, S, S) float32 in [0, 1], sorted by path.

    Raises InputError when the folder is missing or holds no image.
    """
    files = sorted(path for path in folder.rglob("*") if is_image_name(path))
    if not files:
        raise InputError(f"{folder}: no texture images here; run 'dvc pull data', or set 'textures' to a folder")
    return load_images(files, image_size, progress=progress)
