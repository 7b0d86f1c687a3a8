"""Self-checks of the exercises of the lesson on video."""

from collections.abc import Callable

import torch
from torch import Tensor

from anomaly_course.lessons.checks import check
from anomaly_lib.methods.dmad.warp import sample


def check_shifted(attempt: Callable) -> bool:
    """``shifted(picture, pixels)``: out[y, x] = picture[y, x + pixels], the last column repeated beyond the border."""
    ramp = torch.arange(6.0).repeat(3, 1)
    field = torch.zeros(1, 2, 3, 6)
    field[:, 0] = 2 * 2 / (6 - 1)  # two pixels along x, in units in which the picture reaches from -1 to 1
    cases = [
        ((ramp, 0), ramp),
        ((ramp, 1), torch.tensor([1.0, 2, 3, 4, 5, 5]).repeat(3, 1)),
        ((ramp.square(), 2), sample(ramp.square()[None, None], field)[0, 0]),
    ]
    mistakes = [
        (lambda picture, pixels: picture.roll(-pixels, 1), "beyond the border it comes in at the other side"),
        (
            lambda picture, pixels: _read(picture, -pixels),
            "it reads from the other side: out[y, x] = picture[y, x + pixels]",
        ),
        (lambda picture, pixels: _read(picture.T, pixels).T, "that moves along the rows; the last index is the column"),
    ]
    hint = "which column does each place read? Where that is beyond the last one, it reads the last one"
    return check("Exercise 1, warp", attempt, cases, hint, mistakes)


def check_robust_mean(attempt: Callable) -> bool:
    """``robust_mean(values)``: the mean of a tensor without its lowest and its highest fifth."""
    outlier = torch.zeros(11)
    outlier[4] = 100.0
    cases = [
        ((torch.arange(11.0),), 5.0),
        ((outlier,), 0.0),
        # of ten values two are left out at each end
        ((torch.tensor([9.0, 8, 0, 0, 1, 2, 3, 4, 50, 60]),), (1 + 2 + 3 + 4 + 8 + 9) / 6),
    ]
    mistakes = [
        (lambda values: values.mean(), "nothing is left out yet"),
        (lambda values: values.sort().values[int(0.2 * len(values)) :].mean(), "only the lowest are left out"),
        (
            lambda values: values[int(0.2 * len(values)) : len(values) - int(0.2 * len(values))].mean(),
            "the first and last are left out, which are not the lowest and highest",
        ),
        (lambda values: values.median(), "that is the median: too much is left out"),
    ]
    hint = "order the values first; then leave out as many at each end as the text says"
    return check("Exercise 2, robust mean", attempt, cases, hint, mistakes)


def _read(picture: Tensor, pixels: int) -> Tensor:
    columns = torch.arange(picture.shape[1]) + pixels
    return picture[:, columns.clamp(0, picture.shape[1] - 1)]
