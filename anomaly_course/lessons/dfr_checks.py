"""Self-checks of the exercises of the DFR lesson.

The expected values follow from the definitions by hand, or come from the library's own functions.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from anomaly_course.lessons.checks import check
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.methods.dfr.features import pooling_matrix
from anomaly_lib.methods.dfr.network import reconstruction_error
from anomaly_lib.methods.maps import location_scale

VGG19_STEPS = [(3, 1)] * 2 + [(2, 2)] + [(3, 1)] * 2 + [(2, 2)] + ([(3, 1)] * 4 + [(2, 2)]) * 2 + [(3, 1)] * 4
"""(kernel, stride) from the image to the last ReLU of VGG19; table I of the paper gives 252 pixels for it."""


def check_field(attempt: Callable) -> bool:
    """``field(steps)``: side of the receptive field after a list of (kernel, stride)."""
    cases = [
        (([(3, 1)],), 3),
        (([(3, 1), (3, 1)],), 5),
        (([(3, 2), (3, 1)],), 7),  # the second window reaches 2 places further, 2 pixels each
        (([(3, 1), (3, 1), (2, 2), (3, 1)],), 10),
        ((VGG19_STEPS,), 252),
    ]
    mistakes = [
        (
            lambda steps: 1 + sum(kernel - 1 for kernel, _ in steps),
            "strides have no effect yet: after a stride of 2 "
            "neighbouring places are 2 pixels apart, for all windows that follow",
        ),
        (partial(_field, too_early=True), "a stride moves the places of the windows that follow, not those of its own"),
        (lambda steps: sum(kernel for kernel, _ in steps), "neighbouring windows overlap: count only what each adds"),
    ]
    hint = "keep two numbers: the field so far, and how many pixels lie between two neighbouring places"
    return check("Exercise 1, receptive field", attempt, cases, hint, mistakes)


def check_aligned(attempt: Callable) -> bool:
    """``aligned(maps, size, grid)``: (C, h, h) stretched to ``size``, corners on corners, then averaged to ``grid``."""
    ramp = torch.tensor([0.0, 12.0]).expand(1, 2, 2)
    draw = generator(0, "dfr lesson", "maps")
    coarse, fine = torch.rand(3, 4, 4, generator=draw), torch.rand(2, 16, 16, generator=draw)
    cases = [
        ((ramp, 4, 2), torch.tensor([2.0, 10.0]).expand(1, 2, 2)),  # 0, 4, 8, 12, then means of two
        ((coarse, 32, 8), _library_aligned(coarse, 32, 8)),
        ((fine, 16, 4), F.avg_pool2d(fine, 4)),
    ]
    mistakes = [
        (
            partial(_pooled, corners=False),
            "the stretched corners do not lie on corners: F.interpolate has an option for it",
        ),
        (partial(_pooled, corners=True, stretch=False), "the maps go to the grid at once; stretch them to size first"),
    ]
    hint = "two steps: stretch to size, bilinear; then the mean of each square of size // grid pixels"
    return check("Exercise 2, one grid", attempt, cases, hint, mistakes)


def check_needed(attempt: Callable) -> bool:
    """``needed(vectors, share)``: how many principal components explain at least this share of the variance."""
    cross = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])  # variances 4.5 and 0.5
    line = torch.tensor([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0], [5.0, 10.0]])
    tilted = (cross + 7) @ torch.tensor([[0.6, 0.8], [-0.8, 0.6]])
    cases = [((cross, 0.8), 1), ((cross, 0.95), 2), ((line, 0.99), 1), ((tilted, 0.8), 1), ((tilted, 0.95), 2)]
    mistakes = [
        (partial(_needed, centred=False), "the mean is still in the vectors; variance is measured around it"),
        (partial(_needed, power=1), "these are shares of singular values; the variance is their square"),
        (partial(_needed, extra=0), "one too few: the component that reaches the share counts, too"),
        (partial(_needed, extra=2), "one too many"),
    ]
    hint = "the variances along the principal axes, the largest first; how many does it take to reach the share?"
    return check("Exercise 3, latent size", attempt, cases, hint, mistakes)


def check_pointwise(attempt: Callable) -> bool:
    """``pointwise(features, weight, bias)``: a 1x1 convolution, (C, h, w), (D, C), (D,) -> (D, h, w)."""
    places = torch.tensor([[[3.0, 4.0]], [[3.0, 2.0]]])  # (3, 3) and (4, 2)
    mean, copies = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0], [1.0]])
    draw = generator(0, "dfr lesson", "pointwise")
    random = [torch.randn(shape, generator=draw) for shape in ((5, 3, 4), (2, 5), (2,))]
    cases = [
        ((places, mean, torch.zeros(1)), torch.tensor([[[3.0, 3.0]]])),
        ((torch.full((1, 1, 2), 3.0), copies, torch.tensor([0.0, 1.0])), torch.tensor([[[3.0, 3.0]], [[4.0, 4.0]]])),
        (tuple(random), F.conv2d(random[0], random[1][:, :, None, None], random[2])),
    ]
    mistakes = [
        (lambda f, w, b: torch.tensordot(w, f, 1), "the bias is missing"),
        (lambda f, w, b: torch.tensordot(w, f, 1) - b[:, None, None], "the bias is added, not taken away"),
    ]
    hint = "each place has a vector of C numbers; the same matrix (D, C) and bias (D,) serve them all"
    return check("Exercise 4, 1x1 convolution", attempt, cases, hint, mistakes)


def check_distance(attempt: Callable) -> bool:
    """``distance(features, reconstruction)``: the L2 norm over channels of each place, (C, h, w) twice -> (h, w)."""
    features, zeros = torch.tensor([[[3.0, 1.0]], [[4.0, 0.0]]]), torch.zeros(2, 1, 2)
    draw = generator(0, "dfr lesson", "distance")
    pair = [torch.randn(6, 4, 4, generator=draw) for _ in range(2)]
    as_here = (6 * reconstruction_error(pair[0][None], pair[1][None])[0]).sqrt()
    cases = [((features, zeros), torch.tensor([[5.0, 1.0]])), ((features, features), torch.zeros(1, 2))]
    mistakes = [
        (lambda f, r: (f - r).square().sum(0), "that is the squared length"),
        (lambda f, r: (f - r).square().mean(0).sqrt(), "a length is a sum over the channels, not a mean"),
        (lambda f, r: (f - r).abs().sum(0), "that is the L1 norm, the sum of absolute values"),
    ]
    hint = "Pythagoras in C dimensions, at each place; the channels are dim 0"
    return check("Exercise 5, eq. (5)", attempt, [*cases, (tuple(pair), as_here)], hint, mistakes)


def check_scale(attempt: Callable) -> bool:
    """``scale(errors, prior)``: normal error of each place (N, h, w) -> (h, w), drawn to the mean by ``prior``."""
    two = torch.tensor([[[1.0, 3.0]], [[1.0, 5.0]]])  # means 1 and 4, over all 2.5
    draw = generator(0, "dfr lesson", "scale")
    # the library also smooths over neighbours, which leaves errors alone that are equal over the image
    flat = torch.rand(5, 1, 1, generator=draw).expand(5, 12, 12)
    cases = [
        ((two, 0.0), torch.tensor([[1.0, 4.0]])),
        ((two, 2.0), torch.tensor([[1.75, 3.25]])),
        ((two, 1e9), torch.tensor([[2.5, 2.5]])),
        ((flat, 20.0), location_scale(flat, 20.0)),
    ]
    mistakes = [
        (lambda e, p: e.mean(0), "the prior has no effect yet"),
        (
            lambda e, p: (e.mean(0) + p * e.mean()) / (1 + p),
            "the N images count as one; each counts as much as 1 of the prior",
        ),
        (
            lambda e, p: (e.sum(0) + p) / (len(e) + p),
            "the prior draws towards 1; it should draw to the mean over all places",
        ),
    ]
    hint = "a mean with weights: N for the place's own mean, prior for the mean over all places"
    return check("Exercise 6, normal error of a place", attempt, cases, hint, mistakes)


def _field(steps: list, too_early: bool = False) -> int:
    field = jump = 1
    for kernel, stride in steps:
        field += (kernel - 1) * jump * (stride if too_early else 1)
        jump *= stride
    return field


def _pooled(maps: Tensor, size: int, grid: int, corners: bool, stretch: bool = True) -> Tensor:
    if stretch:
        maps = F.interpolate(maps[None], size, mode="bilinear", align_corners=corners)[0]
        return F.avg_pool2d(maps, size // grid)
    return F.interpolate(maps[None], grid, mode="bilinear", align_corners=corners)[0]


def _needed(vectors: Tensor, share: float, centred: bool = True, power: int = 2, extra: int = 1) -> int:
    values = torch.linalg.svdvals(vectors - vectors.mean(0) * centred) ** power
    return int((values.cumsum(0) / values.sum() < share).sum()) + extra


def _library_aligned(maps: Tensor, size: int, grid: int) -> Tensor:
    matrix = pooling_matrix(maps.shape[-1], size, grid, "bilinear")
    return matrix @ maps @ matrix.T
