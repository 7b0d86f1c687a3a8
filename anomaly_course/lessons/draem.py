"""Self-checks of the exercises of DRAEM's lesson, and the lattice that the learner can compute by hand.

The expected values are numbers that follow from the definition by hand, or come from the library's own functions.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from anomaly_course.lessons.checks import check
from anomaly_course.lessons.ladder import smoothed_max
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.methods.draem.losses import focal_loss
from anomaly_lib.synthesis import perlin_noise
from anomaly_lib.synthesis.perlin import fade

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
    mistakes = [
        (lambda t: t, "that is a straight line; the fade is flat at both ends"),
        (lambda t: 3 * t**2 - 2 * t**3, "that is the cubic fade of older Perlin noise; here the powers are 5, 4 and 3"),
        (lambda t: 6 * t**5 + 15 * t**4 + 10 * t**3, "look at the sign of the middle term"),
    ]
    return check("Exercise 1, fade", attempt, cases, "at t = 1 the three terms are 6, -15 and 10", mistakes)


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
    mistakes = [
        (partial(_noise, weight=lambda t: t), "the distances weigh as they are; each of the two goes through the fade"),
        (partial(_noise, turned=True), "down and right are exchanged in the products: corners hold (down, right)"),
        (partial(_noise, sign=-1), "the offset is the pixel minus the corner, not the other way round"),
    ]
    hint = "compute one corner by hand: its offset, the product with its gradient, its weight; then sum the four"
    return check("Exercise 2, noise in a cell", attempt, cases, hint, mistakes)


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
    mistakes = [
        (lambda i, a, m, beta: (1 - m) * i + beta * m * i + (1 - beta) * m * a, "beta and 1 - beta are exchanged"),
        (lambda i, a, m, beta: (1 - beta) * i + beta * a, "the mask has no effect; outside of it nothing changes"),
        (lambda i, a, m, beta: i + beta * m * a, "inside the mask the image has to fade as the texture comes"),
        (lambda i, a, m, beta: (1 - m) * i + m * a, "beta has no effect yet"),
        (
            lambda i, a, m, beta: (1 - beta) * m * i + beta * m * a,
            "the image outside the mask is lost: one term is missing",
        ),
    ]
    hint = "outside the mask nothing changes; beta 1 shows the texture alone"
    return check("Exercise 3, blend", attempt, cases, hint, mistakes)


def check_focal(attempt: Callable) -> bool:
    """``focal(p, gamma)``: the loss of one pixel to whose true class the model gives probability p."""
    cases = [
        ((0.5, 0.0), math.log(2)),
        ((0.5, 2.0), 0.25 * math.log(2)),
        ((0.9, 2.0), -0.01 * math.log(0.9)),
        ((0.1, 2.0), _library_focal(0.1, 2.0)),
        ((0.3, 0.5), _library_focal(0.3, 0.5)),
    ]
    mistakes = [
        (
            lambda p, gamma: -(p**gamma) * math.log(p),
            "your factor is large for easy pixels; which of p and 1 - p is not?",
        ),
        (lambda p, gamma: -((1 - p) ** 2) * math.log(p), "gamma is 2 whatever is asked for; take the argument"),
        (lambda p, gamma: -math.log(p), "that is the cross entropy; gamma has no effect yet"),
        (lambda p, gamma: -((1 - p) * gamma) * math.log(p), "gamma is an exponent"),
    ]
    return check("Exercise 4, focal loss", attempt, cases, "gamma 0 must give the cross entropy, -log p", mistakes)


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
    mistakes = [
        (lambda m, side: m.max(), "side has no effect: no mean was taken before the maximum"),
        (lambda m, side: m.mean(), "the mean of the whole map forgets a small defect; the mean is that of a square"),
        (lambda m, side: side**2 * smoothed_max(side)(m[None])[0], "a sum was taken where a mean is asked for"),
        (_score_of_pixels_inside, "at the border fewer pixels were counted; the zeros beyond it count, too"),
    ]
    hint = "the mean of a square around every pixel is a pooling that moves by one pixel; one number remains at the end"
    return check("Exercise 5, image score", attempt, cases, hint, mistakes)


def check_precision_recall(attempt: Callable) -> bool:
    """``precision_recall(scores, labels, threshold)`` -> tensor of two, anomalous where score >= threshold."""
    scores, labels = torch.tensor([0.1, 0.4, 0.4, 0.8, 0.9]), torch.tensor([0, 1, 0, 0, 1])
    cases = [
        ((scores, labels, 0.0), torch.tensor([0.4, 1.0])),
        ((scores, labels, 0.4), torch.tensor([0.5, 1.0])),
        ((scores, labels, 0.85), torch.tensor([1.0, 0.5])),
    ]
    mistakes = [
        (lambda s, y, t: _precision_recall(s > t, y), "what about a score that equals the threshold?"),
        (lambda s, y, t: _precision_recall(s >= t, y).flip(0), "the two numbers are exchanged: precision comes first"),
        (lambda s, y, t: _precision_recall(s < t, y), "those below the threshold are taken for those found"),
    ]
    hint = "precision: of those found, how many are anomalous; recall: of the anomalous, how many are found"
    return check("Exercise 6, precision and recall", attempt, cases, hint, mistakes)


def _noise(
    corners: Tensor, down: float, right: float, weight: Callable = fade, turned: bool = False, sign: int = 1
) -> Tensor:
    """Exercise 2 with one of its likely mistakes."""
    total = torch.zeros(())
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        near = torch.tensor([1 - abs(down - i), 1 - abs(right - j)])
        offset = sign * torch.tensor([down - i, right - j])
        total = total + weight(near).prod() * (corners[i, j] * (offset.flip(0) if turned else offset)).sum()
    return 2**0.5 * total


def _precision_recall(found: Tensor, labels: Tensor) -> Tensor:
    hits = (found & labels.bool()).sum()
    return torch.stack([hits / found.sum(), hits / labels.sum()])


def _score_of_pixels_inside(anomaly_map: Tensor, side: int) -> Tensor:
    means = F.avg_pool2d(anomaly_map[None, None], side, stride=1, padding=side // 2, count_include_pad=False)
    return means.max()


def _library_focal(p: float, gamma: float) -> Tensor:
    """The library's focal loss, without its smoothing, on one anomalous pixel with probability p."""
    logits = torch.tensor([1 - p, p]).log()[None, :, None, None]
    return focal_loss(logits, torch.ones(1, 1, 1, 1), gamma, smoothing=0.0)


def _draw(seed: int) -> torch.Generator:
    return generator(seed, "draem lesson", "lattice")
