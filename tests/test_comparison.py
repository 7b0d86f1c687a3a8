"""Paired comparison against scipy's exact test, against enumeration, and where there is too little to compare."""

import numpy as np
import pytest
from scipy.stats import PermutationMethod, wilcoxon

from anomaly_lib.evaluation import compare


def named(values):
    return {f"category {index:02}": value for index, value in enumerate(values)}


@pytest.mark.parametrize("count", [6, 15, 30])
def test_p_value_equals_scipy_without_ties(count):
    for seed in range(5):
        first, second = np.random.default_rng(seed).random((2, count))
        expected = wilcoxon(first, second, method="exact").pvalue
        assert compare(named(first), named(second + 0.2), resamples=1)["p_value"] == pytest.approx(
            wilcoxon(first, second + 0.2, method="exact").pvalue, rel=1e-9
        )
        assert compare(named(first), named(second), resamples=1)["p_value"] == pytest.approx(expected, rel=1e-9)


def test_p_value_equals_enumeration_with_ties_and_zeros():
    for seed in range(5):
        first, second = np.random.default_rng(seed).integers(0, 4, size=(2, 12)) / 4
        unequal = first != second
        every = PermutationMethod(n_resamples=2**12)
        expected = wilcoxon(first[unequal], second[unequal], method=every).pvalue
        assert compare(named(first), named(second), resamples=1)["p_value"] == pytest.approx(expected, rel=1e-9)


def test_computed_by_hand():
    """Six wins of six: two of 64 choices of signs are as extreme."""
    result = compare(named([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]), named([0.8, 0.6, 0.4, 0.2, 0.0, -0.2, 0.3]))
    assert result["p_value"] == pytest.approx(2 / 64)
    assert (result["pairs"], result["wins"], result["losses"], result["ties"]) == (7, 6, 0, 1)
    assert result["mean_difference"] == pytest.approx(2.1 / 7)
    assert result["mean_first"] - result["mean_second"] == pytest.approx(2.1 / 7)
    assert result["undefined"] == {}


def test_swapping_the_methods_swaps_the_signs():
    first, second = (named(values) for values in np.random.default_rng(0).random((2, 9)))
    there, back = compare(first, second), compare(second, first)
    assert there["p_value"] == pytest.approx(back["p_value"])
    assert there["interval"] == pytest.approx([-end for end in back["interval"]][::-1])
    assert (there["wins"], there["losses"]) == (back["losses"], back["wins"])


def test_interval_holds_the_true_difference_about_as_often_as_promised():
    rng = np.random.default_rng(1)
    held = []
    for seed in range(400):
        low, high = compare(named(rng.normal(0.3, 1, 30)), named(np.zeros(30)), seed, resamples=500)["interval"]
        held.append(low <= 0.3 <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_what_one_side_lacks_is_left_out_and_named():
    result = compare({"a": 1.0, "b": None, "c": 0.5, "e": 0.2}, {"a": 0.5, "b": 0.3, "d": 0.1, "e": 0.2})
    assert result["left_out"] == ["b", "c", "d"]
    assert (result["pairs"], result["wins"], result["ties"]) == (2, 1, 1)
    assert result["p_value"] is None
    assert result["undefined"] == {"p_value": "1 unequal pairs: the signed-rank test needs at least 6"}
    assert result["interval"] == (0.0, 0.5)


def test_too_little_is_none_with_a_reason():
    one = compare({"a": 1.0}, {"a": 0.5})
    assert (one["mean_difference"], one["interval"]) == (0.5, None)
    assert one["undefined"]["interval"] == "1 pairs: an interval needs two"
    nothing = compare({"a": 1.0}, {"b": 0.5})
    assert nothing["pairs"] == 0
    assert nothing["mean_difference"] is None
    assert nothing["undefined"]["mean_difference"] == "no category has both values"
    assert compare(named([0.5] * 8), named([0.5] * 8))["p_value"] is None


def test_the_seed_decides_and_bad_values_are_errors():
    first, second = (named(values) for values in np.random.default_rng(0).random((2, 9)))
    assert compare(first, second, 3) == compare(first, second, 3)
    assert compare(first, second, 3)["interval"] != compare(first, second, 4)["interval"]
    with pytest.raises(ValueError, match="must be finite"):
        compare({"a": np.nan}, {"a": 1.0})
    with pytest.raises(ValueError, match="at least one resample"):
        compare(first, second, resamples=0)
