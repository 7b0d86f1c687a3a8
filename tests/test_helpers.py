"""The rule by which float32 numbers of two implementations are the same: one distance for all values, zeros too."""

import numpy as np
import pytest
import torch

from tests.helpers import close_to

EXPECTED = np.float32([[-4.0, 1e-7], [2.0, 0.0]])


def changed(place, value):
    other = EXPECTED.copy()
    other[place] = value
    return other


def test_a_value_near_zero_may_move_as_far_as_any_other():
    close_to(torch.from_numpy(changed((0, 1), 4e-6)), EXPECTED, 1e-6)
    close_to(changed((0, 0), -4.000003), EXPECTED, 1e-6)


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 1)])
def test_a_difference_beyond_the_bound_is_named(place):
    with pytest.raises(AssertionError, match=r"off by 1.5e-06 of the scale 4, more than 1e-06, at ") as caught:
        close_to(changed(place, EXPECTED[place] + np.float32(6e-6)), EXPECTED, 1e-6)
    assert f"at {place}: " in str(caught.value)


@pytest.mark.parametrize(
    "other",
    [EXPECTED[:1], EXPECTED[None], EXPECTED.astype(np.float64), changed((1, 1), np.nan), changed((0, 0), -np.inf)],
    ids=["fewer rows", "another axis", "another dtype", "NaN", "infinite"],
)
def test_other_shapes_and_dtypes_and_values_that_are_not_finite_are_never_close(other):
    for actual, expected in ((other, EXPECTED), (EXPECTED, other)):
        with pytest.raises(AssertionError):
            close_to(actual, expected, 1.0)


def test_zeros_are_close_to_zeros_alone():
    close_to(np.zeros(3), np.zeros(3), 1e-6)
    with pytest.raises(AssertionError, match="off by inf"):
        close_to(np.full(3, 1e-30), np.zeros(3), 1e-6)


def test_a_number_without_an_axis_is_compared_too():
    close_to(torch.tensor(1.0), np.float32(1.0), 0.0)
    with pytest.raises(AssertionError, match=r"at \(\): 1 instead of 2"):
        close_to(torch.tensor(1.0), np.float32(2.0), 0.1)
    with pytest.raises(AssertionError, match="nothing"):
        close_to(np.zeros(0), np.zeros(0), 1.0)
