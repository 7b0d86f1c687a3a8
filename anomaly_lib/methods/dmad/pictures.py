"""Pictures of what a pass makes, as tensors.

Shapes: N images of S x S.
"""

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from kornia.color import hsv_to_rgb
from torch import Tensor

from anomaly_lib.methods.backbones import Backbone
from anomaly_lib.methods.dmad.network import Pass
from anomaly_lib.methods.dmad.offset import COARSE_LIMIT, FINE_LIMIT
from anomaly_lib.methods.dmad.scoring import Calibration, anomaly_map, level_errors
from anomaly_lib.methods.dmad.warp import combined, from_prototype, length, resized

LARGEST = COARSE_LIMIT + FINE_LIMIT


def explained(done: Pass, backbone: Backbone) -> dict[str, Tensor]:
    """Level maps (N, S, S), and where they exist the warped and restored images, both fields as colours, and codes."""
    size = done.warped.shape[-2:]
    pictures = {
        f"level{index}": rearrange(resized(error, *size), "n 1 h w -> n h w")
        for index, error in enumerate(level_errors(done), 1)
    }
    if done.fields:
        fields = done.fields
        pictures["warped"] = in_range(done.warped, backbone)
        pictures["restored"] = in_range(from_prototype(done.warped, fields), backbone)
        pictures["forward"] = field_colours(combined(fields.forward_coarse, fields.forward_fine))
        pictures["backward"] = field_colours(combined(fields.backward_fine, fields.backward_coarse))
    if done.embedded.codes is not None:
        codes = rearrange(done.embedded.codes.float(), "n h w -> n 1 h w")
        pictures["codes"] = rearrange(F.interpolate(codes, size, mode="nearest"), "n 1 h w -> n h w")
    return pictures


def in_range(normalised: Tensor, backbone: Backbone) -> Tensor:
    """What ``backbone.normalise`` made, as images in [0, 1] again."""
    return (normalised * backbone.std + backbone.mean).clamp(0, 1)


def field_colours(field: Tensor) -> Tensor:
    """(N, 2, S, S) -> (N, 3, S, S): hue is the direction, saturation the length, white no motion; one fixed scale."""
    angle = torch.atan2(field[:, 1], field[:, 0]) % (2 * torch.pi)
    strength = (length(field)[:, 0] / LARGEST).clamp(max=1)
    return hsv_to_rgb(torch.stack([angle, strength, torch.ones_like(angle)], dim=1))


def training_picture(images: Tensor, done: Pass, calibration: Calibration, backbone: Backbone) -> Tensor:
    """(3, S, 3 S): the first image, its warped form, and its map; white is a summed 1 - cosine of 1 or more."""
    grey = repeat(anomaly_map(done, calibration)[0], "h w -> 3 h w").clamp(0, 1)
    return torch.cat([images[0], in_range(done.warped[0], backbone)[0], grey], dim=-1)
