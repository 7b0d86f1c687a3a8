"""Self-checks of the exercises of DRAEM's lesson, and the lattice that the learner can compute by hand.

The expected values are numbers that follow from the definition by hand, or come from the library's own functions.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from anomaly_course.lessons.checks import check
from anomaly_course.lessons.ladder import smoothed_max
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.methods.draem.losses import focal_loss
from anomaly_lib.synthesis import perlin_noise

LATTICE_CELLS, LATTICE_PIXELS = 2, 8
"""The hand-checkable lattice: 2 x 2 cells on 8 x 8 pixels, so a cell is 4 pixels wide."""


def lattice_noise(seed: int = 0) -> Tensor:
    """Perlin noise (8, 8) of the small lattice, as the library makes it."""
    size = (LATTICE_PIXELS, LATTICE_PIXELS)
    return perlin_noise(torch.tensor([[LATTICE_CELLS, LATTICE_CELLS]]), size, _draw(seed))[0]


def lattice_gradients(seed: int = 0) -> Tensor:
    """The unit gradients behind ``lattice_noise``, (3, 3, 2): row and column of the point, then (down, right).

    Drawn as ``perlin_noise`` draws them: one angle a lattice point, counted from "right" towards "down".
    """
    points = LATTICE_CELLS + 1
    angles = torch.rand((1, points, points), generator=_draw(seed))[0] * (2 * math.pi)
    return torch.stack([angles.sin(), angles.cos()], dim=-1)


def cell_of(gradients: Tensor, row: int, column: int) -> Tensor:
    """The gradients at the four corners of one cell, (2, 2, 2), of those of the whole lattice."""
    return gradients[row : row + 2, column : column + 2]


def check_fade(attempt: Callable) -> bool:
    """``fade(t)`` = 6t^5 - 15t^4 + 10t^3."""
    cases = [((0.0,), 0.0), ((1.0,), 1.0), ((0.5,), 0.5), ((0.25,), 0.103515625)]
    return check("Exercise 1, fade", attempt, cases, "at t = 1 the three terms are 6, -15 and 10")


def check_noise_at(attempt: Callable) -> bool:
    """``noise_at(corners, down, right)``: Perlin noise inside one cell from its (2, 2, 2) corner gradients."""
    all_right = torch.tensor([0.0, 1.0]).expand(2, 2, 2)
    inward = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[-1.0, 0.0], [-1.0, 0.0]]])
    cases = [
        ((all_right, 0.0, 0.0), 0.0),
        # the four offsets to the right are .5, -.5, .5, -.5 and cancel
        ((all_right, 0.5, 0.5), 0.0),
        # each of the four products is .5, the weights sum to 1
        ((inward, 0.5, 0.5), math.sqrt(2) / 2),
    ]
    noise, gradients = lattice_noise(), lattice_gradients()
    places = ((0, 0, 2, 1), (1, 0, 3, 2), (1, 1, 1, 3))
    width = LATTICE_PIXELS // LATTICE_CELLS
    for row, column, down, right in places:
        value = noise[row * width + down, column * width + right]
        cases.append(((cell_of(gradients, row, column), down / width, right / width), value))
    hint = (
        "corner (i, j) is off by (down - i, right - j) and weighs fade(1 - |down - i|) fade(1 - |right - j|); "
        "the sum is multiplied by the square root of 2"
    )
    return check("Exercise 2, noise in a cell", attempt, cases, hint)


def check_blend(attempt: Callable) -> bool:
    """``blend(normal, texture, mask, beta)``, eq. (4) with the paper's beta, the opacity of the texture."""
    normal, texture = torch.full((3, 2, 2), 0.2), torch.full((3, 2, 2), 0.6)
    mask = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    cases = [
        ((normal, texture, mask, 1.0), torch.where(mask > 0, texture, normal)),
        ((normal, texture, mask, 0.0), normal),
        # inside the mask 0.75 * 0.2 + 0.25 * 0.6
        ((normal, texture, mask, 0.25), torch.where(mask > 0, 0.3, normal)),
    ]
    return check(
        "Exercise 3, blend", attempt, cases, "outside the mask nothing changes; beta 1 shows the texture alone"
    )


def check_focal(attempt: Callable) -> bool:
    """``focal(p, gamma)``: the loss of one pixel to whose true class the model gives probability p."""
    cases = [
        ((0.5, 0.0), math.log(2)),
        ((0.5, 2.0), 0.25 * math.log(2)),
        ((0.9, 2.0), -0.01 * math.log(0.9)),
        ((0.1, 2.0), _library_focal(0.1, 2.0)),
        ((0.3, 0.5), _library_focal(0.3, 0.5)),
    ]
    return check("Exercise 4, focal loss", attempt, cases, "gamma 0 must give the cross entropy, -log p")


def check_image_score(attempt: Callable) -> bool:
    """``image_score(anomaly_map, side)``: the largest mean of a square, zeros beyond the border counted (eq. 5)."""
    dot, corner, blob = torch.zeros(9, 9), torch.zeros(9, 9), torch.zeros(9, 9)
    dot[4, 4] = corner[0, 0] = 1.0
    blob[2:5, 2:5] = 0.5
    random = torch.rand(9, 9, generator=_draw(1))
    cases = [
        ((dot, 1), 1.0),
        ((dot, 3), 1 / 9),
        ((corner, 3), 1 / 9),
        ((blob, 3), 0.5),
        ((random, 5), smoothed_max(5)(random[None])[0]),
    ]
    hint = "F.avg_pool2d(anomaly_map[None, None], side, stride=1, padding=side // 2), then the maximum"
    return check("Exercise 5, image score", attempt, cases, hint)


def check_precision_recall(attempt: Callable) -> bool:
    """``precision_recall(scores, labels, threshold)`` -> tensor of two, anomalous where score >= threshold."""
    scores, labels = torch.tensor([0.1, 0.4, 0.4, 0.8, 0.9]), torch.tensor([0, 1, 0, 0, 1])
    cases = [
        ((scores, labels, 0.0), torch.tensor([0.4, 1.0])),
        ((scores, labels, 0.4), torch.tensor([0.5, 1.0])),
        ((scores, labels, 0.85), torch.tensor([1.0, 0.5])),
    ]
    hint = "precision: of those found, how many are anomalous; recall: of the anomalous, how many are found"
    return check("Exercise 6, precision and recall", attempt, cases, hint)


def _library_focal(p: float, gamma: float) -> Tensor:
    """The library's focal loss, without its smoothing, on one anomalous pixel with probability p."""
    logits = torch.tensor([1 - p, p]).log()[None, :, None, None]
    return focal_loss(logits, torch.ones(1, 1, 1, 1), gamma, smoothing=0.0)


def _draw(seed: int) -> torch.Generator:
    return generator(seed, "draem lesson", "lattice")
