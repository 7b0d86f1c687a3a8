"""From a pass to anomaly map, deformation map, image scores, and pictures of all that lies between.

Shapes: N images of S x S; level l is (N, C_l, h_l, w_l), finest first.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from kornia.color import hsv_to_rgb
from torch import Tensor, nn

from anomaly_lib.methods.backbones import Backbone
from anomaly_lib.methods.dmad.losses import added, cosine_map
from anomaly_lib.methods.dmad.network import Pass
from anomaly_lib.methods.dmad.offset import COARSE_LIMIT, FINE_LIMIT
from anomaly_lib.methods.dmad.warp import Fields, backward, forward, from_prototype, length, resized, sample
from anomaly_lib.methods.maps import location_scale

SMALLEST_SPREAD = (1e-6, 1e-4)
"""Floors of the spread over normals, of map and deformation map: a deformation of 0.01 pixels means nothing."""
PARTS = ("map", "map_and_deformation")
LARGEST = COARSE_LIMIT + FINE_LIMIT


class Calibration(nn.Module):
    """What is normal: the error of each level and place, and centre and spread of both maps' maxima.

    Until it is set, levels and places count alike and scores stay as they are.
    """

    levels: Tensor
    places: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, grid: Sequence[int]):
        super().__init__()
        self.register_buffer("levels", torch.ones(3))  # factors
        self.register_buffer("places", torch.ones(*grid))
        self.register_buffer("centre", torch.zeros(2))
        self.register_buffer("spread", torch.ones(2))

    def combine(self, errors: Sequence[Tensor], height: int, width: int) -> Tensor:
        """Level maps (N, 1, h_l, w_l) -> their sum (N, 1, H, W), in units of what is normal there."""
        pairs = zip(errors, self.levels, strict=True)
        total = added(resized(error, height, width) * level for error, level in pairs)
        return total / resized(self.places[None, None], height, width)

    @torch.no_grad()
    def fit_maps(self, errors: Sequence[Tensor], weights: Sequence[float], balance: bool, prior: float | None) -> None:
        """From the level maps of normal images and the levels' weights.

        ``balance`` also divides by the levels' means, so that the weights are shares of a normal sum of 1; ``prior``
        divides the sum by the places' normal error.
        """
        self.places.fill_(1.0)
        self.levels.copy_(self.levels.new_tensor(weights))
        if balance:
            means = torch.stack([error.mean() for error in errors]).clamp(min=torch.finfo(self.levels.dtype).tiny)
            self.levels.copy_(self.levels / self.levels.sum() / means)
        if prior is not None:
            total = rearrange(self.combine(errors, *self.places.shape), "n 1 h w -> n h w")
            self.places.copy_(location_scale(total, prior) / total.mean())

    @torch.no_grad()
    def fit_scores(self, maxima: Tensor) -> None:
        """Median and interquartile range of the maxima (N, 2) of normal images."""
        low, middle, high = maxima.quantile(torch.tensor([0.25, 0.5, 0.75], device=maxima.device), dim=0)
        self.centre.copy_(middle)
        self.spread.copy_(torch.maximum(high - low, maxima.new_tensor(SMALLEST_SPREAD)))

    def normalised(self, maxima: Tensor) -> Tensor:
        """Maxima (N, 2) in spreads above the median normal image."""
        return (maxima - self.centre) / self.spread


def level_errors(done: Pass) -> list[Tensor]:
    """1 - cosine at each location of each level, in the prototype's places: (N, 1, h_l, w_l), from 0 to 2."""
    return [cosine_map(target, prediction) for target, prediction in zip(done.targets, done.predictions, strict=True)]


def anomaly_map(done: Pass, calibration: Calibration) -> Tensor:
    """Sum of the level maps, in the image's own places, unsmoothed: (N, S, S), at least 0."""
    summed = calibration.combine(level_errors(done), *done.warped.shape[-2:])
    back = from_prototype(summed, done.fields) if done.fields else summed
    return rearrange(back, "n 1 h w -> n h w")


def deformation_map(fields: Fields, both: bool = False) -> Tensor:
    """How far each place was moved, unsmoothed: (N, S, S), in units of half an image.

    The lengths of the backward fields (authors' code), in the image's own places; ``both`` adds the forward ones
    (paper).
    """
    total = sample(length(fields.backward_fine), fields.backward_coarse) + length(fields.backward_coarse)
    if both:
        total = total + length(fields.forward_coarse) + from_prototype(length(fields.forward_fine), fields)
    return rearrange(total, "n 1 h w -> n h w")


def over_range(maxima: Tensor) -> Tensor:
    """Maxima (N, 2) between the least and the largest of the scored images (authors): they depend on each other."""
    low, high = maxima.amin(dim=0), maxima.amax(dim=0)
    return (maxima - low) / (high - low).clamp(min=torch.finfo(maxima.dtype).tiny)


def pictures(done: Pass, backbone: Backbone) -> dict[str, Tensor]:
    """Level maps (N, S, S), and where they exist the warped and restored images, both fields as colours, and codes."""
    size = done.warped.shape[-2:]
    made = {
        f"level{index}": rearrange(resized(error, *size), "n 1 h w -> n h w")
        for index, error in enumerate(level_errors(done), 1)
    }
    if done.fields:
        made["warped"] = backbone.denormalised(done.warped)
        made["restored"] = backbone.denormalised(from_prototype(done.warped, done.fields))
        made["forward"] = field_colours(forward(done.fields))
        made["backward"] = field_colours(backward(done.fields))
    if done.embedded.codes is not None:
        codes = rearrange(done.embedded.codes.float(), "n h w -> n 1 h w")
        made["codes"] = rearrange(F.interpolate(codes, size, mode="nearest"), "n 1 h w -> n h w")
    return made


def field_colours(field: Tensor) -> Tensor:
    """(N, 2, S, S) -> (N, 3, S, S): hue is the direction, saturation the length, white no motion; one fixed scale."""
    angle = torch.atan2(field[:, 1], field[:, 0]) % (2 * torch.pi)
    strength = (length(field)[:, 0] / LARGEST).clamp(max=1)
    return hsv_to_rgb(torch.stack([angle, strength, torch.ones_like(angle)], dim=1))
