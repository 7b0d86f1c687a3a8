"""What the training minimises; all outer weights are 1 in the authors' code.

Shapes: N images of H x W; level l is (N, C_l, h_l, w_l), finest first.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from anomaly_lib.methods.dmad.network import PPDM, Pass
from anomaly_lib.methods.dmad.params import DmadParams
from anomaly_lib.methods.dmad.quantise import health
from anomaly_lib.methods.dmad.warp import Fields, from_prototype, length


def dmad_losses(params: DmadParams, images: Tensor, done: Pass, networks: PPDM) -> dict[str, Tensor]:
    """Scalar losses of one pass over normalised images (N, 3, H, W) by name, and the quantiser's health.

    ``loss`` is the weighted sum, the one to minimise: L_rec + g1 L_com + g2 L_df + g3 L_cyc in the paper's words.
    """
    targets = [target.detach() for target in done.targets] if params.detach_targets else done.targets
    named = {"reconstruction": reconstruction_loss(targets, done.predictions, params.cosine)}
    total = named["reconstruction"]
    if done.fields:
        named["strength"] = strength_loss(done.fields, params.strength == "both", params.length_epsilon)
        named["smoothness"] = smoothness_loss(done.fields)
        named["cycle"] = cycle_loss(images, from_prototype(done.warped, done.fields))
        total = total + params.offset_weight * named["strength"]
        total = total + params.smoothness_weight * named["smoothness"]
        total = total + params.cycle_weight * named["cycle"]
    elif params.deformation:  # the same columns in all rows of the history
        named |= dict.fromkeys(("strength", "smoothness", "cycle"), torch.zeros(()))
    if networks.quantiser and done.embedded.codes is not None:
        named["quantisation"] = done.embedded.loss
        total = total + params.quantisation_weight * done.embedded.loss
        named |= health(done.embedded.codes, networks.quantiser.embedding.num_embeddings)
    return {"loss": total} | named


def reconstruction_loss(
    targets: Sequence[Tensor], predictions: Sequence[Tensor], cosine: Literal["image", "location"]
) -> Tensor:
    """L_rec: sum over levels of the mean of 1 - cosine between (N, C, h, w) targets and predictions, from 0 to 6.

    ``cosine`` is 'image', one for a whole flattened level (authors), or 'location', one for each location, as in the
    anomaly map.
    """
    pairs = zip(targets, predictions, strict=True)
    if cosine == "location":
        return added(cosine_map(target, prediction).mean() for target, prediction in pairs)
    return added((1 - F.cosine_similarity(t.flatten(1), p.flatten(1), dim=1)).mean() for t, p in pairs)


def cosine_map(target: Tensor, prediction: Tensor) -> Tensor:
    """1 - cosine over channels at each location, (N, 1, h, w), from 0 to 2."""
    return 1 - F.cosine_similarity(target, prediction, dim=1).unsqueeze(1)


def strength_loss(fields: Fields, both: bool = False, epsilon: float = 0.0) -> Tensor:
    """Part of L_df: mean length of the coarse plus that of the fine field, at least 0, in halves of an image.

    Of the forward fields (authors' code) or of those in both directions (paper).
    """
    return added(length(field, epsilon).mean() for field in (fields if both else fields[:2]))


def smoothness_loss(fields: Fields) -> Tensor:
    """Part of L_df: mean absolute Laplacian of each field, x and y added before the absolute value (authors' code)."""
    return added(laplacian(field).abs().mean() for field in fields)


def laplacian(field: Tensor) -> Tensor:
    """(N, 2, H, W) -> (N, 1, H, W): 1 at the centre and -1/8 around it, added over x and y."""
    kernel = torch.full((1, 2, 3, 3), -1 / 8, dtype=field.dtype, device=field.device)
    kernel[:, :, 1, 1] = 1.0
    return F.conv2d(field, kernel, padding=1)


def cycle_loss(images: Tensor, restored: Tensor) -> Tensor:
    """L_cyc: mean squared difference of images and themselves warped there and back."""
    return F.mse_loss(restored, images)


def added(tensors: Iterable[Tensor]) -> Tensor:
    """Their sum, one after another."""
    return reduce(torch.add, tensors)
