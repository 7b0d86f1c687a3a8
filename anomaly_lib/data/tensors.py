"""Turn image files and masks into torch tensors of one square size.

N samples, S image size in pixels. Both axes are scaled to S: the aspect ratio is not preserved.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.params import Resize
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.data.folder import Sample
from anomaly_lib.data.images import Problem, read_mask, read_rgb, squeezed


def load_images(
    samples_or_paths: Sequence[Sample | Path | str],
    image_size: int,
    progress: bool = False,
    resize: Resize = "antialiased",
) -> torch.Tensor:
    """Load images as (N, 3, S, S) float32 in [0, 1], each as ``images.squeezed`` has it.

    Raises InputError for a file that cannot be read.
    """
    images = torch.empty(len(samples_or_paths), 3, image_size, image_size)
    for index, item in enumerate(progress_bar(samples_or_paths, description="images", show=progress)):
        rgb = read_rgb(item.path if isinstance(item, Sample) else item)
        images[index] = torch.from_numpy(squeezed(rgb, image_size, resize))
    return images


def load_masks(samples: Sequence[Sample], image_size: int) -> torch.Tensor:
    """Load masks as (N, S, S) bool: True where defect covers at least half the area of the resized pixel.

    Good samples have empty masks. A defect thinner than half a resized pixel can vanish; the image's label
    comes from its folder, never from here. Raises InputError for an anomalous sample without a mask: ask
    ``Category.has_masks`` first.
    """
    masks = torch.zeros(len(samples), image_size, image_size, dtype=torch.bool)
    for index, sample in enumerate(samples):
        if sample.is_anomalous:
            masks[index] = torch.from_numpy(_half_covered(read_mask(_mask_path(sample)), image_size))
    return masks


def _mask_path(sample: Sample) -> Path:
    if sample.mask_path is None:
        remedy = f"put one at ground_truth/{sample.defect}/{sample.path.stem}_mask.png"
        raise InputError(Problem(sample.path, "has no mask", remedy))
    return sample.mask_path


def _half_covered(mask: np.ndarray, size: int) -> np.ndarray:
    height, width = mask.shape
    # (S, H) @ (H, W) @ (W, S): the covered area in units of 1/S x 1/S source pixels. The sums are whole
    # numbers below 2^53, so float64 is exact and a pixel that is covered by exactly half counts on every
    # machine.
    covered = _overlap(height, size) @ mask.astype(np.float64) @ _overlap(width, size).T
    return 2 * covered >= height * width


def _overlap(source: int, target: int) -> np.ndarray:
    """Overlap of each target with each source pixel, in 1/target source pixels: (target, source)."""
    start, stop = np.arange(target)[:, None] * source, np.arange(1, target + 1)[:, None] * source
    left, right = np.arange(source) * target, np.arange(1, source + 1) * target
    return np.clip(np.minimum(stop, right) - np.maximum(start, left), 0, None).astype(np.float64)
