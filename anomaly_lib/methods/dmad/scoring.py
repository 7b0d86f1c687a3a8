"""From a pass to anomaly map, deformation map and image scores.

Shapes: N images of S x S; level l is (N, C_l, h_l, w_l), finest first.
"""

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from anomaly_lib.methods.dmad.losses import cosine_map
from anomaly_lib.methods.dmad.network import Pass
from anomaly_lib.methods.dmad.warp import Fields, from_prototype, length, resized, sample
from anomaly_lib.methods.location import location_scale

SMALLEST_SPREAD = (1e-6, 1e-4)
"""Floors of the spread over normals, of map and deformation map: a deformation of 0.01 pixels means nothing."""
PARTS = ("map", "map_and_deformation")


class Calibration(nn.Module):
    """What is normal: the error of each level and place, and centre and spread of both maps' maxima.

    Until it is set, levels and places count alike and scores stay as they are.
    """

    def __init__(self, grid: tuple[int, int]):
        super().__init__()
        self.register_buffer("levels", torch.ones(3))  # factors
        self.register_buffer("places", torch.ones(grid))
        self.register_buffer("centre", torch.zeros(2))
        self.register_buffer("spread", torch.ones(2))

    def combine(self, errors: Sequence[Tensor], height: int, width: int) -> Tensor:
        """Level maps (N, 1, h_l, w_l) -> their sum (N, 1, H, W), in units of what is normal there."""
        total = sum(resized(error, height, width) * level for error, level in zip(errors, self.levels, strict=True))
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
    """1 - cosine at each location of each level, in the prototype's places: (N, 1, h_l, w_l)."""
    return [cosine_map(target, prediction) for target, prediction in zip(done.targets, done.predictions, strict=True)]


def anomaly_map(done: Pass, calibration: Calibration) -> Tensor:
    """Sum of the level maps, in the image's own places, unsmoothed: (N, S, S)."""
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


def smoothed(maps: Tensor, sigma: float) -> Tensor:
    """(N, S, S) maps on the CPU after a gaussian of ``sigma`` pixels as scipy has it: edge repeated, cut at 4 sigma."""
    maps = maps.cpu()
    return torch.from_numpy(gaussian_filter(maps.numpy(), (0, sigma, sigma))) if sigma else maps


def smoothed_by_product(maps: Tensor, sigma: float) -> Tensor:
    """``smoothed`` as products with the matrix that scipy makes of unit vectors: exportable, equal up to rounding."""
    if not sigma:
        return maps
    unit = np.eye(int(maps.shape[-1]), dtype=np.float32)
    matrix = torch.from_numpy(gaussian_filter(unit, (0, sigma)))  # row i: what becomes of a 1 at place i
    return matrix.T @ maps @ matrix


def over_range(maxima: Tensor) -> Tensor:
    """Maxima (N, 2) between the least and the largest of the scored images (authors): they depend on each other."""
    low, high = maxima.amin(dim=0), maxima.amax(dim=0)
    return (maxima - low) / (high - low).clamp(min=torch.finfo(maxima.dtype).tiny)
