"""Thresholds from normal data: exact shares, ties, small samples."""

import numpy as np
import pytest
import torch
from scipy.stats import t as student

from anomaly_lib.evaluation import (
    expected_rate,
    false_positive_rate,
    is_anomalous,
    max_threshold,
    quantile_threshold,
    sigma_threshold,
    threshold_by,
)
from anomaly_lib.evaluation.thresholds import decide


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [0.0, 0.005, 0.01, 0.29, 0.5, 0.999])
def test_flags_exactly_the_requested_share(rate, dtype):
    values = np.random.default_rng(0).permutation(1000).astype(dtype) * 0.37 - 100
    threshold = quantile_threshold(values, rate)
    assert np.count_nonzero(is_anomalous(values, threshold)) == round(rate * 1000)
    lower = np.nextafter(dtype(threshold), dtype(-np.inf))
    assert false_positive_rate(values, lower) > rate


def test_binary_fractions_do_not_lose_a_pixel():
    """0.29 x 100 is 28.999999999999996 in floating point; 29 of 100 is what was asked for."""
    assert false_positive_rate(np.arange(100), quantile_threshold(np.arange(100), 0.29)) == 0.29


def test_never_above_the_rate_whatever_the_ties():
    rng = np.random.default_rng(1)
    for _ in range(200):
        values = rng.integers(0, 5, size=rng.integers(1, 40)).astype(rng.choice([np.float32, np.float64]))
        rate = rng.uniform(0, 0.99)
        threshold = quantile_threshold(values, rate)
        assert false_positive_rate(values, threshold) <= rate
        below = np.max(values[values < threshold], initial=-np.inf)
        assert false_positive_rate(values, max(below, -1e9)) > rate


def test_a_saturated_map_is_not_flagged_whole():
    """A softmax map is 0 almost everywhere; the 99.5 % quantile is then 0 itself."""
    maps = np.zeros((4, 32, 32), dtype=np.float32)
    maps[0, 0, :3] = 0.9
    threshold = quantile_threshold(maps, 0.005)
    assert 0 < threshold < 1e-30
    assert np.count_nonzero(is_anomalous(maps, threshold)) == 3
    assert np.count_nonzero(maps >= threshold) == 3  # also where a plain comparison is written


def test_few_images_give_the_maximum_and_say_what_to_expect():
    scores = np.array([3.0, 1.0, 2.5])
    threshold = quantile_threshold(scores, 0.005)
    assert threshold == np.nextafter(3.0, np.inf)
    assert not is_anomalous(scores, threshold).any()
    assert expected_rate(3, 0.005) == pytest.approx(1 / 4)
    assert expected_rate(12, 0.005) == pytest.approx(1 / 13)
    assert expected_rate(399, 0.005) == pytest.approx(2 / 400)


def test_expected_rate_is_what_new_normals_show():
    rng = np.random.default_rng(2)
    draws = rng.normal(size=(20000, 13))
    flagged = [draw[12] >= quantile_threshold(draw[:12], 0.1) for draw in draws]
    assert np.mean(flagged) == pytest.approx(expected_rate(12, 0.1), abs=0.01)


def test_threshold_of_float32_survives_a_python_float():
    values = np.full(10, 0.1, dtype=np.float32)
    threshold = quantile_threshold(torch.from_numpy(values), 0.2)
    assert type(threshold) is float
    assert not (values >= threshold).any()
    assert not (torch.from_numpy(values) >= threshold).any()


def test_float64_threshold_against_float32_maps():
    """Rounded to float32 this threshold would equal the maps and flag them all."""
    maps = np.full(4, 0.5, dtype=np.float32)
    threshold = quantile_threshold(maps.astype(np.float64), 0.0)
    assert (maps >= threshold).all()
    assert not is_anomalous(maps, threshold).any()


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2, np.nan])
def test_rate_outside_its_range_is_an_error(rate):
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\)"):
        quantile_threshold([1.0, 2.0], rate)


def test_bad_values_are_an_error():
    with pytest.raises(ValueError, match="at least one normal value"):
        quantile_threshold([], 0.1)
    with pytest.raises(ValueError, match="NaN or infinite"):
        quantile_threshold([1.0, np.nan], 0.1)
    assert false_positive_rate([], 0.1) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_max_is_the_next_float_above_every_value(dtype):
    values = np.random.default_rng(3).normal(size=50).astype(dtype)
    threshold = max_threshold(values)
    assert threshold == np.nextafter(values.max(), dtype(np.inf))
    assert false_positive_rate(values, threshold) == 0


def test_a_new_normal_passes_the_maximum_once_in_n_plus_one():
    draws = np.random.default_rng(4).exponential(size=(20000, 10))
    flagged = [draw[9] >= max_threshold(draw[:9]) for draw in draws]
    assert np.mean(flagged) == pytest.approx(1 / 10, abs=0.01)


def test_sigma_computed_by_hand():
    """1, 2, 3, 4: mean 2.5, sample variance 5/3."""
    assert sigma_threshold([1, 2, 3, 4], 2.0) == pytest.approx(2.5 + 2 * np.sqrt(5 / 3))
    assert sigma_threshold([1, 2, 3, 4], 0.0) == 2.5
    assert sigma_threshold(np.float32([1e4, 1e4 + 1]), 1.0) == pytest.approx(1e4 + 0.5 + np.sqrt(0.5))


@pytest.mark.parametrize("sigmas", [1.0, 3.0])
def test_sigma_of_few_normal_scores_flags_more_than_the_bell_curve_says(sigmas):
    """The rate in the docstring; for 12 images and 3 sigmas 0.75 %, not 0.13 %."""
    draws = np.random.default_rng(5).normal(7, 2, size=(20000, 13))
    flagged = [draw[12] >= sigma_threshold(draw[:12], sigmas) for draw in draws]
    rate = student.sf(sigmas / np.sqrt(1 + 1 / 12), 11)
    assert np.mean(flagged) == pytest.approx(rate, abs=4 * np.sqrt(rate / 20000))
    assert sigmas < 3 or rate == pytest.approx(0.0075, abs=0.0001)


def test_sigma_of_equal_values_does_not_flag_them_all():
    values = np.full(10, 0.1)
    assert not is_anomalous(values, sigma_threshold(values)).any()


def test_the_rule_chooses_the_function():
    values = np.random.default_rng(6).normal(size=200)
    assert threshold_by("false_positive_rate", values, 0.1) == quantile_threshold(values, 0.1)
    assert threshold_by("max", values, 0.1) == max_threshold(values)
    assert threshold_by("sigma", values, 0.1, 2.0) == sigma_threshold(values, 2.0)
    with pytest.raises(ValueError, match="must be one of false_positive_rate, max, sigma, got 'f1'"):
        threshold_by("f1", values, 0.1)


@pytest.mark.parametrize("sigmas", [-1.0, np.inf, np.nan])
def test_bad_sigmas_are_an_error(sigmas):
    with pytest.raises(ValueError, match="number of sigmas"):
        sigma_threshold([1.0, 2.0], sigmas)
    with pytest.raises(ValueError, match="at least two"):
        sigma_threshold([1.0])
    with pytest.raises(ValueError, match="NaN or infinite"):
        sigma_threshold([1.0, np.inf])
    with pytest.raises(ValueError, match="at least one normal value"):
        max_threshold([])


def test_a_decision_is_the_rule_of_the_rates_also_between_two_float32_numbers():
    score = np.float32(0.3)
    threshold = float(score) + 1e-9  # as float32 it would be the score itself
    assert decide(score, threshold) == "normal"
    assert decide(score, float(score)) == "anomalous"
    assert not is_anomalous(score, threshold).any()
