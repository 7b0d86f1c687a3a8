"""Self-checks of the exercises of the lesson on video."""

from collections.abc import Callable

import torch

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
    return check("Exercise 1, warp", attempt, cases, "clamp the column numbers x + pixels to 0 ... W - 1, then index")


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
    return check(
        "Exercise 2, robust mean", attempt, cases, "sort; leave out int(0.2 n) values at each end; mean of the rest"
    )
