"""What the training minimises; all outer weights are 1 in the authors' code."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from anomaly_lib.methods.dmad.warp import Fields, length


def reconstruction_loss(targets: Sequence[Tensor], predictions: Sequence[Tensor], cosine: str) -> Tensor:
    """Sum over levels of the mean of 1 - cosine between (N, C, h, w) targets and predictions.

    ``cosine`` is 'image', one for a whole flattened level (authors), or 'location', one for each location, as in the
    anomaly map.
    """
    if cosine == "location":
        return sum(cosine_map(t, p).mean() for t, p in zip(targets, predictions, strict=True))
    pairs = [(t.flatten(1), p.flatten(1)) for t, p in zip(targets, predictions, strict=True)]
    return sum((1 - F.cosine_similarity(target, prediction, dim=1)).mean() for target, prediction in pairs)


def cosine_map(target: Tensor, prediction: Tensor) -> Tensor:
    """1 - cosine over channels at each location, (N, 1, h, w), from 0 to 2."""
    return 1 - F.cosine_similarity(target, prediction, dim=1).unsqueeze(1)


def strength_loss(fields: Fields, both: bool = False, epsilon: float = 0.0) -> Tensor:
    """Mean length of the coarse plus that of the fine field, forward (authors' code) or in both directions (paper)."""
    penalised = fields if both else fields[:2]
    return sum(length(field, epsilon).mean() for field in penalised)


def smoothness_loss(fields: Fields) -> Tensor:
    """Mean absolute Laplacian of each field, its x and y parts added before the absolute value (authors' code)."""
    return sum(laplacian(field).abs().mean() for field in fields)


def laplacian(field: Tensor) -> Tensor:
    """(N, 2, H, W) -> (N, 1, H, W): 1 at the centre and -1/8 around it, added over x and y."""
    kernel = torch.full((1, 2, 3, 3), -1 / 8, dtype=field.dtype, device=field.device)
    kernel[:, :, 1, 1] = 1.0
    return F.conv2d(field, kernel, padding=1)


def cycle_loss(images: Tensor, restored: Tensor) -> Tensor:
    """Mean squared difference of images and themselves warped there and back."""
    return F.mse_loss(restored, images)
