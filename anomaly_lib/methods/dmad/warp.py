"""Displacement fields and sampling along them.

A field is (N, 2, H, W), channel 0 along x and channel 1 along y, in units in which the image reaches from -1 to 1
(so one pixel is 2 / (W - 1)). Sampling at a place plus its displacement *pulls* the picture.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor


class Fields(NamedTuple):
    """The four fields of the pyramid, each (N, 2, H, W)."""

    forward_coarse: Tensor
    forward_fine: Tensor
    backward_coarse: Tensor
    backward_fine: Tensor


def identity_grid(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """(1, 2, H, W): each pixel's own place."""
    y = torch.linspace(-1, 1, height, device=device).view(1, 1, -1, 1).expand(1, 1, height, width)
    x = torch.linspace(-1, 1, width, device=device).view(1, 1, 1, -1).expand(1, 1, height, width)
    return torch.cat([x, y], dim=1)


def sample(pictures: Tensor, field: Tensor) -> Tensor:
    """(N, C, H, W) pictures pulled along a field: bilinear, corners aligned, places clamped to the picture."""
    places = (identity_grid(field.shape[-2], field.shape[-1], field.device) + field).clamp(-1, 1)
    return F.grid_sample(pictures, rearrange(places, "n xy h w -> n h w xy"), "bilinear", "zeros", align_corners=True)


def to_prototype(pictures: Tensor, fields: Fields) -> Tensor:
    """Warp by forward-coarse, then by forward-fine."""
    return sample(sample(pictures, fields.forward_coarse), fields.forward_fine)


def from_prototype(pictures: Tensor, fields: Fields) -> Tensor:
    """Warp by backward-fine, then by backward-coarse: back to the image's own places."""
    return sample(sample(pictures, fields.backward_fine), fields.backward_coarse)


def length(field: Tensor, epsilon: float = 0.0) -> Tensor:
    """Length of each displacement, sqrt(x² + y² + epsilon), (N, 1, H, W)."""
    constant = torch.full_like(field[:, :1], math.sqrt(epsilon))
    # a norm, since torch.sqrt is MKL's, which approximates by processor (docs/portability.md)
    return torch.linalg.vector_norm(torch.cat([field, constant], dim=1), dim=1, keepdim=True)


def forward(fields: Fields) -> Tensor:
    """Both forward fields as one: a picture sampled along it is the prototype (up to clamping at the border)."""
    return combined(fields.forward_coarse, fields.forward_fine)


def backward(fields: Fields) -> Tensor:
    """Both backward fields as one, which leads back."""
    return combined(fields.backward_fine, fields.backward_coarse)


def combined(first: Tensor, second: Tensor) -> Tensor:
    """One field for sampling along ``first`` and then along ``second`` (up to clamping at the border)."""
    return second + sample(first, second)


def resized(maps: Tensor, height: int, width: int) -> Tensor:
    """Bilinear, corners aligned: (N, C, h, w) -> (N, C, H, W)."""
    return F.interpolate(maps, (height, width), mode="bilinear", align_corners=True)
