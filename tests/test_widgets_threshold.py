"""Threshold studio: its rates agree with scikit-learn, costs are those by hand, the controls work."""

import re

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

from anomaly_course.widgets.costs import LIMIT, cheapest_threshold, cost_curve, expected_cost, pixel_curve
from anomaly_course.widgets.threshold import (
    AS_HERE,
    SHARES,
    Scored,
    precision,
    rates,
    threshold_figure,
    threshold_studio,
)
from anomaly_course.widgets.threshold_view import CALIBRATED, ORACLE, UNSEEN, decision_figure
from anomaly_lib.evaluation import aupro
from tests.helpers import assert_controls_change_the_picture_and_reset_restores_it, widget_parts


@pytest.fixture(scope="module")
def scored():
    """Scores with ties, and labels."""
    rng = np.random.default_rng(0)
    labels = np.r_[np.zeros(30), np.ones(20)].astype(bool)
    return np.round(rng.normal(0, 1, 50) + labels, 1), labels


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.4, 1.5])
def test_rates_and_precision_equal_those_of_scikit_learn(scored, threshold):
    scores, labels = scored
    recall, false_positives = rates(scores, labels, threshold)
    assert recall == pytest.approx(recall_score(labels, scores >= threshold))
    assert false_positives == pytest.approx(1 - recall_score(~labels, scores < threshold))
    exact = precision(recall, false_positives, labels.mean())
    assert exact == pytest.approx(precision_score(labels, scores >= threshold))


def test_precision_by_hand():
    assert precision(1.0, 0.0, 0.01) == 1.0
    # of 1000 images 10 are anomalous and 5 of them found; 99 of 990 normal ones alarm
    assert precision(0.5, 0.1, 0.01) == pytest.approx(5 / 104)
    assert precision(0.0, 0.0, 0.5) is None


def test_the_figure_states_the_numbers_and_says_when_there_is_no_alarm(scored):
    scores, labels = scored
    low, none = (threshold_figure(scores, labels, value).axes[1].get_title() for value in (-9.0, 9.0))
    assert "precision 0.40 · recall 1.00" in low
    assert "false alarms on 100% of normal images" in low
    assert "precision undefined, no alarm · recall 0.00" in none


def test_scores_that_are_all_equal_have_a_figure_too():
    assert "recall 1.00" in threshold_figure(np.zeros(4), [0, 1, 1, 0], 0.0).axes[1].get_title()


def test_rarer_defects_lower_the_precision_only(scored):
    scores, labels = scored
    titles = [threshold_figure(scores, labels, 0.5, share).axes[1].get_title() for share in SHARES.values()]
    shown = [float(re.search(r"precision ([\d.]+)", title)[1]) for title in titles]
    assert shown == sorted(shown, reverse=True)
    assert len({re.search(r"recall ([\d.]+)", title)[1] for title in titles}) == 1


def test_cost_by_hand():
    # of 1000 images 10 are anomalous and 4 of them missed at 20 each; 99 of 990 normal ones are false alarms at 1 each
    assert expected_cost(0.6, 0.1, share=0.01, ratio=20) == pytest.approx((4 * 20 + 99) / 1000)


def test_the_cost_curve_is_the_cost_of_each_threshold(scored):
    thresholds, costs = cost_curve(*scored, share=0.3, ratio=5)
    assert costs == pytest.approx([expected_cost(*rates(*scored, value), 0.3, 5) for value in thresholds])
    assert rates(*scored, thresholds[-1]) == (0, 0)


def test_the_dearer_a_miss_the_lower_the_cheapest_threshold(scored):
    chosen = [cheapest_threshold(*scored, share=0.4, ratio=ratio) for ratio in (0.01, 1, 10, 1000)]
    assert chosen == sorted(chosen, reverse=True)
    assert rates(*scored, chosen[0])[1] == 0  # no false alarm
    assert rates(*scored, chosen[-1])[0] == 1  # no miss
    every = np.linspace(-5, 5, 501)
    least = min(expected_cost(*rates(*scored, value), 0.4, 10) for value in every)
    assert expected_cost(*rates(*scored, chosen[2]), 0.4, 10) == pytest.approx(least)


@pytest.fixture(scope="module")
def split():
    """Maps with ties and masks: two images with defects, one of them with two regions, one normal image."""
    rng = np.random.default_rng(1)
    masks = np.zeros((3, 16, 16), bool)
    masks[0, 2:6, 2:6] = masks[0, 10:12, 10:15] = masks[1, 5:14, 7:9] = True
    return np.round(rng.normal(0, 1, masks.shape) + 2 * masks, 1).astype(np.float32), masks


@pytest.mark.parametrize("threshold", [-9.0, 0.3, 1.0, 2.5, 9.0])
def test_the_point_on_the_pro_curve_is_the_mean_overlap_of_the_regions(split, threshold):
    maps, masks = split
    found = maps >= np.float64(threshold)
    regions = [(0, slice(2, 6), slice(2, 6)), (0, slice(10, 12), slice(10, 15)), (1, slice(5, 14), slice(7, 9))]
    false_positives, overlap = pixel_curve(maps, masks).at(threshold)
    assert overlap == pytest.approx(np.mean([found[region].mean() for region in regions]))
    assert false_positives == pytest.approx(found[~masks].mean())


def test_the_pro_curve_has_the_area_of_the_metric(split):
    x, y = np.array(pixel_curve(*split).points).T
    assert np.trapezoid(y, x) / LIMIT == pytest.approx(aupro(*split), abs=1e-3)
    assert pixel_curve(split[0], np.zeros_like(split[1])) is None


def test_choices_say_who_looked_at_test_labels(scored):
    scores, labels = scored
    unseen = scores[:40] - 0.5, labels[:40]
    chosen = Scored(scores, labels, 0.5, unseen=unseen).choices(0.4, 10)
    assert chosen[CALIBRATED] == 0.5
    assert chosen[UNSEEN] == cheapest_threshold(*unseen, 0.4, 10)
    assert chosen[ORACLE] == cheapest_threshold(scores, labels, 0.4, 10)
    assert "oracle" in ORACLE
    assert UNSEEN not in Scored(scores, labels, 0.5).choices(0.4, 10)


def test_all_five_views_move_with_the_threshold(scored, split):
    whole = Scored(*scored, 0.5, pixel_curve(*split), 1.5, (scored[0], scored[1]))
    low, high = (decision_figure(whole, value) for value in (0.5, 1.0))
    low, high = ([axis.get_title() for axis in figure.axes] for figure in (low, high))
    assert len(low) == 5
    assert all(one != other for one, other in zip(low, high, strict=True))
    assert "pixels from 1.5" in low[4]
    assert "pixels from 3" in high[4]  # twice the image threshold, twice the pixel threshold
    missed, false_alarms = map(int, re.search(r"(\d+) missed, (\d+) false", high[2]).groups())
    assert (missed, false_alarms) == (np.sum(scored[0][scored[1]] < 1), np.sum(scored[0][~scored[1]] >= 1))


def test_the_pixel_threshold_stands_where_the_image_threshold_stands(scored):
    whole = Scored(*scored, -1.0, pixel_threshold=5.0, zeros=(-3.0, 1.0))  # scores may be negative
    assert [whole.pixel_at(value) for value in (-3.0, -1.0, 1.0)] == [1.0, 5.0, 9.0]


def test_without_maps_the_figure_says_so(scored):
    assert decision_figure(Scored(*scored, 0.5), 0.5).axes[4].texts[0].get_text() == "no maps, or no masks"


def test_controls_move_the_picture_and_reset_restores_it(scored):
    studio = threshold_studio(*scored, threshold=0.5)
    (slider, share, ratio), _, picture = widget_parts(studio)
    assert slider.value == pytest.approx(0.5)
    assert (share.value, ratio.value) == (AS_HERE, 10)
    assert "recall" in re.search(r'<img alt="([^"]+)"', picture.value)[1]
    assert_controls_change_the_picture_and_reset_restores_it(studio)
    assert share.value == AS_HERE


@pytest.mark.parametrize("threshold", [-20.0, 20.0])
def test_a_threshold_outside_the_scores_is_within_the_slider(scored, threshold):
    slider = widget_parts(threshold_studio(*scored, threshold))[0][0]
    assert slider.value == pytest.approx(threshold)
