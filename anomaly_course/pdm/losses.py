"""What the training minimises. Frames are in [-1, 1], so that tanh can reach them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from anomaly_course.pdm.network import Prediction
from anomaly_lib.methods.dmad.losses import smoothness_loss, strength_loss

DEFORMATION_WEIGHT, STRENGTH_WEIGHT = 0.25, 0.4
EPSILON = 1e-12
"""Keeps the gradient of a flow's length finite where the flow is zero."""


def prediction_losses(prediction: Prediction, target: Tensor, background: Tensor) -> dict[str, Tensor]:
    """All terms, and their weighted sum ``loss``, for (N, 1, S, S) targets and the (1, 1, S, S) template.

    L = MSE + gradient + memory + 0.25 (0.4 strength + smoothness) + background, the first two summed over the two
    levels of the pyramid. Source: the authors' video model. Our reading: both levels are the frame after the coarse
    flow and that after both; the background counts where the mask leaves it visible.
    """
    both = (prediction.coarse_frame, prediction.frame)
    terms = {
        "mse": sum(F.mse_loss(frame, target) for frame in both),
        "gradient": sum(gradient_loss(frame, target) for frame in both),
        "memory": prediction.memory_loss,
        "strength": strength_loss(prediction.flows, epsilon=EPSILON),
        "smoothness": smoothness_loss(prediction.flows),
        "background": ((1 - prediction.mask.detach()) * (background - target).square()).mean(),
    }
    deformation = DEFORMATION_WEIGHT * (STRENGTH_WEIGHT * terms["strength"] + terms["smoothness"])
    total = terms["mse"] + terms["gradient"] + terms["memory"] + deformation + terms["background"]
    return {"loss": total, **terms}


def gradient_loss(frames: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute difference of the sizes of neighbouring pixels' steps, along both axes added."""
    pairs = zip(steps(frames), steps(targets), strict=True)
    return sum(F.l1_loss(found, wanted) for found, wanted in pairs)


def gradient_error(frames: Tensor, targets: Tensor) -> Tensor:
    """The same per pixel, (N, 1, S, S); the last row and column have no step of their own there."""
    rows, columns = ((found - wanted).abs() for found, wanted in zip(steps(frames), steps(targets), strict=True))
    return F.pad(rows, (0, 0, 0, 1)) + F.pad(columns, (0, 1, 0, 0))


def steps(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Sizes of the steps down (N, 1, S - 1, S) and to the right (N, 1, S, S - 1)."""
    return torch.diff(frames, dim=-2).abs(), torch.diff(frames, dim=-1).abs()
