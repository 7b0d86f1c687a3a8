"""Self-checks of the exercises in ``notebooks/lessons/30_dmad.ipynb``; every expected value can be found by hand."""

from collections.abc import Callable
from functools import wraps

import torch
import torch.nn.functional as F
from torch import Tensor

from anomaly_course.lessons.checks import check

ROOT_HALF = 0.5**0.5
NUMBERS = torch.arange(16.0).view(4, 4)


def exercise_1(attempt: Callable[[Tensor, Tensor], Tensor]) -> bool:
    """``attempt(image (H, W), field (2, H, W) in whole pixels, x first)`` -> the pulled image (H, W)."""
    zero = torch.zeros(2, 4, 4)
    right, down, one_place, beyond = zero.clone(), zero.clone(), zero.clone(), zero.clone()
    right[0] = 1
    down[1] = 1
    one_place[:, 0, 0] = torch.tensor([3.0, 2.0])
    beyond[0] = 9
    pulled_once = NUMBERS.clone()
    pulled_once[0, 0] = 11  # row 2, column 3
    cases = [
        ((NUMBERS, zero), NUMBERS),
        ((NUMBERS, right), NUMBERS[:, [1, 2, 3, 3]]),
        ((NUMBERS, down), NUMBERS[[1, 2, 3, 3]]),
        ((NUMBERS, one_place), pulled_once),
        ((NUMBERS, beyond), NUMBERS[:, [3, 3, 3, 3]]),
    ]
    mistakes = [
        (lambda image, field: _pull(image, -field), "the field says where to read, not where to go"),
        (lambda image, field: _pull(image, field.flip(0)), "x and y are exchanged: field[0] is along x, the columns"),
        (
            lambda image, field: _pull(image, field, wrap=True),
            "beyond one border it comes in at the other; clamp instead",
        ),
        (lambda image, field: image, "the field has no effect yet"),
    ]
    hint = "for each place: the row and the column where to read; beyond the border the border itself"
    return check("Exercise 1, pull", attempt, cases, hint, mistakes)


def exercise_2(attempt: Callable[[Tensor], Tensor]) -> bool:
    """``attempt(field (2, H, W))`` -> the mean length, with a finite gradient where the field is zero."""
    lengths_5 = torch.tensor([3.0, 4.0]).view(2, 1, 1).expand(2, 2, 2)
    half = torch.zeros(2, 1, 2)
    half[:, 0, 0] = torch.tensor([3.0, 4.0])
    values = [((lengths_5,), 5.0), ((half,), 2.5)]
    mistakes = [
        (lambda field: field.square().sum(0).mean(), "that is the squared length"),
        (lambda field: field.abs().sum(0).mean(), "the length of (3, 4) is not 7: x and y are at right angles"),
        (lambda field: field.square().sum(0).sqrt().sum(), "the lengths are summed; the mean over places is wanted"),
        (
            lambda field: field.square().sum().sqrt(),
            "that is one length of all numbers together; each place has its own",
        ),
    ]
    if not check(
        "Exercise 2, strength", attempt, values, "the length of the arrow at each place, then a mean", mistakes
    ):
        return False
    gradient = [((torch.zeros(2, 2, 2),), torch.zeros(2, 2, 2))]
    hint = "the slope of a root is infinite at 0, and infinity times 0 is not a number; keep what is under it above 0"
    return check("Exercise 2, its gradient at zero", _gradient(attempt), gradient, hint)


def exercise_3(attempt: Callable[[Tensor], Tensor]) -> bool:
    """``attempt(field (2, H, W))`` -> mean |Laplacian of x| + mean |Laplacian of y|."""
    spike, opposed, shift = torch.zeros(3, 2, 3, 3)
    spike[0, 1, 1] = 1
    opposed[0, 1, 1], opposed[1, 1, 1] = 1, -1
    shift[0] = 1
    cases = [
        ((spike,), 2 / 9),  # 1 at the centre, 1/8 at eight places
        ((opposed,), 4 / 9),
        ((shift,), (4 * 5 / 8 + 4 * 3 / 8) / 9),  # zeros around: corners miss 5 of 8 neighbours, sides 3
        ((torch.zeros(2, 3, 3),), 0.0),
    ]
    mistakes = [
        (
            lambda field: _laplacian(field).sum(0).abs().mean(),
            "x and y are added before the absolute value: the hole is there",
        ),
        (lambda field: _laplacian(field).abs().mean(), "the mean is over x and y as well: half of what it should be"),
        (lambda field: _laplacian(field).square().mean((1, 2)).sum(), "squares instead of absolute values"),
        (
            lambda field: _laplacian(field, own=False).abs().mean((1, 2)).sum(),
            "the place itself is missing in the kernel",
        ),
    ]
    hint = "a place minus the mean of its eight neighbours, for x and for y apart; zeros stand beyond the border"
    return check("Exercise 3, smoothness", attempt, cases, hint, mistakes)


def exercise_4(attempt: Callable[[Tensor, Tensor], Tensor]) -> bool:
    """``attempt(vectors (M, C), codes (K, C))`` -> the nearest codes (M, C), gradients passed straight through."""
    vectors = torch.tensor([[1.0, 1.0], [9.0, 1.0], [4.0, 6.0]])
    codes = torch.tensor([[0.0, 0.0], [10.0, 0.0], [5.0, 9.0]])
    cases = [((vectors, codes), codes), ((vectors[:1], codes[1:]), codes[2:])]
    mistakes = [
        (
            lambda v, c: torch.cdist(v, c).argmin(1),
            "these are the numbers of the codes; the codes themselves are wanted",
        ),
        (lambda v, c: c[torch.cdist(v, c).argmax(1)], "these are the codes farthest away"),
        (lambda v, c: v, "the vectors come back as they are"),
    ]
    hint = "the distances of each vector to each code are a table (M, K); torch.cdist makes it"
    if not check("Exercise 4, nearest code", attempt, cases, hint, mistakes):
        return False
    gradient = [((vectors, codes), torch.ones(3, 2))]
    hint = "a sum has the value of both its terms, and a term behind detach() has no gradient; which one needs none?"
    return check("Exercise 4, straight through", _gradient(attempt), gradient, hint)


def exercise_5(attempt: Callable[[Tensor, Tensor], Tensor]) -> bool:
    """``attempt(teacher (C, h, w), student (C, h, w))`` -> 1 - cosine at each place (h, w)."""
    teacher = torch.tensor([[1.0, 1.0, 1.0, 2.0], [0.0, 0.0, 0.0, 2.0]]).view(2, 2, 2)
    student = torch.tensor([[5.0, 1.0, -1.0, 0.0], [0.0, 1.0, 0.0, 3.0]]).view(2, 2, 2)
    expected = torch.tensor([[0.0, 1 - ROOT_HALF], [2.0, 1 - ROOT_HALF]])
    mistakes = [
        (lambda t, s: 1 - (t * s).sum(0), "the product is not divided by the two lengths"),
        (
            lambda t, s: 1 - (t * s).sum(0) / (t.norm() * s.norm()),
            "the lengths are those of the whole map; each place has its own",
        ),
        (
            lambda t, s: 1 - F.cosine_similarity(t, s, dim=1),
            "the cosine is taken along the rows; the channels are dim 0",
        ),
    ]
    hint = "the cosine of two vectors is their product, divided by both lengths; the vectors run along dim 0"
    return check("Exercise 5, cosine distance", attempt, [((teacher, student), expected)], hint, mistakes)


def exercise_6(attempt: Callable[[Tensor, Tensor], Tensor]) -> bool:
    """``attempt(values (N,), normals (M,))`` -> values in interquartile ranges above the median of normals."""
    normals = torch.tensor([5.0, 1.0, 3.0, 2.0, 4.0])  # median 3, quartiles 2 and 4
    cases = [
        ((torch.tensor([7.0, 3.0]), normals), torch.tensor([2.0, 0.0])),
        ((torch.tensor([7.0]), normals), torch.tensor([2.0])),
        ((torch.tensor([7.0, 3.0, 99.0]), normals), torch.tensor([2.0, 0.0, 48.0])),
    ]
    mistakes = [
        (
            lambda v, n: (v - v.median()) / _range(n),
            "the median is that of the values; no value may depend on another one",
        ),
        (lambda v, n: v - n.median(), "the interquartile range is missing"),
        (lambda v, n: (v - n.median()) / n.std(), "the standard deviation is not the interquartile range"),
        (lambda v, n: (v - n.min()) / (n.max() - n.min()), "that is min and max, which one outlier moves"),
    ]
    hint = "three quantiles of the normals are needed, and nothing of the other values"
    return check("Exercise 6, calibrate", attempt, cases, hint, mistakes)


def _pull(image: Tensor, field: Tensor, wrap: bool = False) -> Tensor:
    height, width = image.shape
    rows = torch.arange(height)[:, None] + field[1].long()
    columns = torch.arange(width) + field[0].long()
    if wrap:
        return image[rows % height, columns % width]
    return image[rows.clamp(0, height - 1), columns.clamp(0, width - 1)]


def _laplacian(field: Tensor, own: bool = True) -> Tensor:
    kernel = torch.full((1, 1, 3, 3), -1 / 8)
    kernel[0, 0, 1, 1] = float(own)
    return F.conv2d(field[:, None], kernel, padding=1)[:, 0]


def _range(normals: Tensor) -> Tensor:
    low, high = normals.quantile(torch.tensor([0.25, 0.75]))
    return high - low


def _gradient(attempt: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The gradient of the sum of what ``attempt`` returns, to its first argument."""

    @wraps(attempt)
    def gradient(first: Tensor, *others: Tensor) -> Tensor:
        leaf = first.clone().requires_grad_()
        total = attempt(leaf, *others).sum()
        if total.requires_grad:
            total.backward()
        if leaf.grad is None:
            raise ValueError("no gradient reaches the first argument")
        return leaf.grad

    return gradient
