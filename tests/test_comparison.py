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
        assert compare(named(first), named(second + 0.2))["p_value"] == pytest.approx(
            wilcoxon(first, second + 0.2, method="exact").pvalue, rel=1e-9
        )
        assert compare(named(first), named(second))["p_value"] == pytest.approx(expected, rel=1e-9)


def test_p_value_equals_enumeration_with_ties_and_zeros():
    for seed in range(5):
        first, second = np.random.default_rng(seed).integers(0, 4, size=(2, 12)) / 4
        unequal = first != second
        every = PermutationMethod(n_resamples=2**12)
        expected = wilcoxon(first[unequal], second[unequal], method=every).pvalue
        assert compare(named(first), named(second))["p_value"] == pytest.approx(expected, rel=1e-9)


def test_computed_by_hand():
    """Six wins of six: two of 64 choices of signs are as extreme."""
    result = compare(named([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]), named([0.8, 0.6, 0.4, 0.2, 0.0, -0.2, 0.3]))
    assert result["p_value"] == pytest.approx(2 / 64)
    assert (result["pairs"], result["wins"], result["losses"], result["ties"]) == (7, 6, 0, 1)
    assert result["mean_difference"] == pytest.approx(2.1 / 7)
    assert result["mean_first"] - result["mean_second"] == pytest.approx(2.1 / 7)
    assert result["undefined"] == {"seed_interval": "too few seeds: 1 of 3"}


def test_swapping_the_methods_swaps_the_signs():
    first, second = (named(values) for values in np.random.default_rng(0).random((2, 9)))
    there, back = compare(first, second), compare(second, first)
    assert there["p_value"] == pytest.approx(back["p_value"])
    assert there["interval"] == pytest.approx([-end for end in back["interval"]][::-1])
    assert (there["wins"], there["losses"]) == (back["losses"], back["wins"])


@pytest.mark.parametrize("count", [4, 5])
@pytest.mark.parametrize("shape", ["normal", "uniform", "skewed"])
def test_the_interval_holds_the_true_difference_as_often_as_promised(count, shape):
    """Categories and seeds both scatter; within 3 points of 95 %."""
    rng, held = np.random.default_rng(1), []
    draw = {
        "normal": rng.standard_normal,
        "uniform": lambda size: rng.random(size) - 0.5,
        "skewed": lambda size: rng.exponential(size=size) - rng.exponential(0.5, size=size) - 0.5,
    }[shape]
    for difference in draw((2500, count)) + rng.normal(0, 0.3, size=(2500, count)):
        low, high = compare(named(difference), dict.fromkeys(named(difference), 0.0))["interval"]
        held.append(low <= 0 <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_the_seed_interval_holds_what_other_seeds_give_on_these_categories():
    rng, held = np.random.default_rng(2), []
    fixed = np.array([0.05, -0.02])  # of two categories, which say nothing about others
    for noise in rng.normal(0, 0.01, size=(2500, 2, 3)):
        result = compare(named(fixed[:, None] + noise), named(np.zeros((2, 3))))
        held.append(result["seed_interval"][0] <= fixed.mean() <= result["seed_interval"][1])
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)
    assert (result["interval"], result["undefined"]["interval"]) == (None, "too few categories: 2 of 4")
    assert result["mean_first"] == pytest.approx(fixed.mean(), abs=0.05)


def test_intervals_computed_by_hand():
    """Differences 1, 2, 3, 4: mean 2.5, deviation 1.291, t of three degrees 3.182."""
    result = compare(named([2.0, 4.0, 6.0, 8.0]), named([1.0, 2.0, 3.0, 4.0]))
    assert result["interval"] == pytest.approx((2.5 - 3.182 * 1.291 / 2, 2.5 + 3.182 * 1.291 / 2), abs=1e-3)
    assert result["undefined"]["seed_interval"] == "too few seeds: 1 of 3"
    seeds = compare({"a": [0.4, 0.5, 0.6]}, {"a": [0.3, 0.3, 0.3]})
    assert seeds["seed_interval"] == pytest.approx((0.2 - 4.303 * 0.1 / 3**0.5, 0.2 + 4.303 * 0.1 / 3**0.5), abs=1e-3)


def test_what_one_side_lacks_is_left_out_and_named():
    result = compare({"a": 1.0, "b": None, "c": 0.5, "e": 0.2}, {"a": 0.5, "b": 0.3, "d": 0.1, "e": 0.2})
    assert result["left_out"] == ["b", "c", "d"]
    assert (result["pairs"], result["wins"], result["ties"]) == (2, 1, 1)
    assert result["p_value"] is None
    assert result["undefined"]["p_value"] == "1 unequal pairs: the signed-rank test needs at least 6"
    one_seed = compare({"a": [1.0, None], "b": [0.5, 0.6]}, {"a": [0.5, 0.5], "b": [0.5, 0.5]})
    assert (one_seed["pairs"], one_seed["left_out"]) == (1, ["a"])


def test_too_little_is_none_with_a_reason():
    one = compare({"a": 1.0}, {"a": 0.5})
    assert (one["mean_difference"], one["interval"]) == (0.5, None)
    assert one["undefined"]["interval"] == "too few categories: 1 of 4"
    nothing = compare({"a": 1.0}, {"b": 0.5})
    assert nothing["pairs"] == 0
    assert nothing["mean_difference"] is None
    assert nothing["undefined"]["mean_difference"] == "no category has both values"
    equal = compare(named([0.5] * 8), named([0.5] * 8))
    assert (equal["p_value"], equal["interval"]) == (None, None)
    assert equal["undefined"]["interval"] == "no spread over categories"


def test_bad_values_are_errors():
    with pytest.raises(ValueError, match="must be finite"):
        compare({"a": np.nan}, {"a": 1.0})
    with pytest.raises(ValueError, match="inhomogeneous"):
        compare({"a": [1.0, 0.9]}, {"a": [1.0]})
    with pytest.raises(ValueError, match="confidence"):
        compare({"a": 1.0}, {"a": 1.0}, confidence=95)
