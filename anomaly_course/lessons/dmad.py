"""Self-checks of the exercises in ``notebooks/lessons/30_dmad.ipynb``; every expected value can be found by hand."""

from collections.abc import Callable

import torch
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
    hint = (
        "row and column of each place come from torch.meshgrid; add the field, clamp to 0 ... 3, then index the image"
    )
    return check("exercise 1, pull", attempt, cases, hint)


def exercise_2(attempt: Callable[[Tensor], Tensor]) -> bool:
    """``attempt(field (2, H, W))`` -> the mean length, with a finite gradient where the field is zero."""
    lengths_5 = torch.tensor([3.0, 4.0]).view(2, 1, 1).expand(2, 2, 2)
    half = torch.zeros(2, 1, 2)
    half[:, 0, 0] = torch.tensor([3.0, 4.0])
    values = [((lengths_5,), 5.0), ((half,), 2.5)]
    hint = "sqrt(x² + y²), then the mean over places"
    if not check("exercise 2, strength", attempt, values, hint):
        return False
    gradient = [((torch.zeros(2, 2, 2),), torch.zeros(2, 2, 2))]
    hint = "the slope of a root at 0 is infinite, and infinity times 0 is not a number; add 1e-12 under the root"
    return check("exercise 2, its gradient at zero", _gradient(attempt), gradient, hint)


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
    hint = "F.conv2d(field[:, None], kernel, padding=1) filters x and y apart; take the absolute value before you add"
    return check("exercise 3, smoothness", attempt, cases, hint)


def exercise_4(attempt: Callable[[Tensor, Tensor], Tensor]) -> bool:
    """``attempt(vectors (M, C), codes (K, C))`` -> the nearest codes (M, C), gradients passed straight through."""
    vectors = torch.tensor([[1.0, 1.0], [9.0, 1.0], [4.0, 6.0]])
    codes = torch.tensor([[0.0, 0.0], [10.0, 0.0], [5.0, 9.0]])
    cases = [((vectors, codes), codes), ((vectors[:1], codes[1:]), codes[2:])]
    hint = "torch.cdist(vectors, codes).argmin(dim=1) names the nearest code of each vector"
    if not check("exercise 4, nearest code", attempt, cases, hint):
        return False
    gradient = [((vectors, codes), torch.ones(3, 2))]
    hint = "vectors + (chosen - vectors).detach() has the value of the codes and the gradient of the vectors"
    return check("exercise 4, straight through", _gradient(attempt), gradient, hint)


def exercise_5(attempt: Callable[[Tensor, Tensor], Tensor]) -> bool:
    """``attempt(teacher (C, h, w), student (C, h, w))`` -> 1 - cosine at each place (h, w)."""
    teacher = torch.tensor([[1.0, 1.0, 1.0, 2.0], [0.0, 0.0, 0.0, 2.0]]).view(2, 2, 2)
    student = torch.tensor([[5.0, 1.0, -1.0, 0.0], [0.0, 1.0, 0.0, 3.0]]).view(2, 2, 2)
    expected = torch.tensor([[0.0, 1 - ROOT_HALF], [2.0, 1 - ROOT_HALF]])
    hint = "the sum of products over dim 0, divided by the product of both lengths; or F.cosine_similarity(…, dim=0)"
    return check("exercise 5, cosine distance", attempt, [((teacher, student), expected)], hint)


def exercise_6(attempt: Callable[[Tensor, Tensor], Tensor]) -> bool:
    """``attempt(values (N,), normals (M,))`` -> values in interquartile ranges above the median of normals."""
    normals = torch.tensor([5.0, 1.0, 3.0, 2.0, 4.0])  # median 3, quartiles 2 and 4
    cases = [
        ((torch.tensor([7.0, 3.0]), normals), torch.tensor([2.0, 0.0])),
        ((torch.tensor([7.0]), normals), torch.tensor([2.0])),
        ((torch.tensor([7.0, 3.0, 99.0]), normals), torch.tensor([2.0, 0.0, 48.0])),
    ]
    hint = "normals.quantile(torch.tensor([0.25, 0.5, 0.75])); no value may depend on another value"
    return check("exercise 6, calibrate", attempt, cases, hint)


def _gradient(attempt: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The gradient of the sum of what ``attempt`` returns, to its first argument."""

    def gradient(first: Tensor, *others: Tensor) -> Tensor:
        leaf = first.clone().requires_grad_()
        total = attempt(leaf, *others).sum()
        if total.requires_grad:
            total.backward()
        if leaf.grad is None:
            raise ValueError("no gradient reaches the first argument")
        return leaf.grad

    return gradient
