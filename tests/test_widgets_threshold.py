"""Threshold studio: its rates agree with scikit-learn, precision follows the share of defects, the controls work."""

import re

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

from anomaly_lib.widgets.threshold import AS_HERE, SHARES, precision, rates, threshold_figure, threshold_studio


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


def test_controls_move_the_picture_and_reset_restores_it(scored):
    studio = threshold_studio(*scored, threshold=0.5)
    (slider, share, reset), picture = studio.children[0].children, studio.children[1]
    first = picture.value
    assert "<img alt=" in first
    assert slider.value == pytest.approx(0.5)
    slider.value = 1.0
    second = picture.value
    share.value = "1 in 100"
    assert len({first, second, picture.value}) == 3
    reset.click()
    assert picture.value == first
    assert share.value == AS_HERE


@pytest.mark.parametrize("threshold", [-20.0, 20.0])
def test_a_threshold_outside_the_scores_is_within_the_slider(scored, threshold):
    slider = threshold_studio(*scored, threshold).children[0].children[0]
    assert slider.value == pytest.approx(threshold)
