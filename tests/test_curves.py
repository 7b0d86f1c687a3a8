"""Curves: the areas below the kept points are the metrics, the ends are exact, few points are kept."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from anomaly_lib.evaluation import aupro, precision_recall_points, pro_points, roc_points


def case(count, seed=0, step=None, shift=1.5, share=0.1):
    rng = np.random.default_rng(seed)
    labels = rng.random(count) < share
    labels[:2] = False, True
    scores = rng.normal(size=count) + shift * labels
    return (np.round(scores / step) * step if step else scores), labels


def columns(rows):
    return np.array([list(row.values()) for row in rows]).T


def area(rows):
    x, y = columns(rows)
    assert (np.diff(x) >= 0).all()
    return np.trapezoid(y, x)


@pytest.mark.parametrize("step", [None, 0.3, 3.0])
@pytest.mark.parametrize(("count", "share"), [(40, 0.7), (900, 0.5), (3000, 0.02), (200_000, 0.02)])
def test_areas_are_the_metrics(count, share, step):
    for seed, shift in enumerate((0.0, 1.5, 4.0)):
        scores, labels = case(count, seed, step, shift, share)
        roc, pr = roc_points(scores, labels), precision_recall_points(scores, labels)
        assert max(len(roc), len(pr)) <= 400
        assert area(roc) == pytest.approx(roc_auc_score(labels, scores), abs=0.001)
        assert area(pr) == pytest.approx(average_precision_score(labels, scores), abs=0.001)


@pytest.mark.parametrize("step", [None, 0.5])
def test_a_short_curve_is_complete(step):
    scores, labels = case(100, step=step, share=0.4)
    false_alarms, hits, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert columns(roc_points(scores, labels)) == pytest.approx(np.stack([false_alarms, hits]))
    x, y = columns(precision_recall_points(scores, labels))
    precision, recall, _ = precision_recall_curve(labels, scores)
    gains = recall[:-1] > recall[1:]
    assert x[1::2] == pytest.approx(recall[:-1][gains][::-1])
    assert y[1::2] == pytest.approx(precision[:-1][gains][::-1])


@pytest.mark.parametrize("count", [50, 100_000])
def test_ends_are_exact(count):
    scores, labels = case(count)
    roc, pr = roc_points(scores, labels), precision_recall_points(scores, labels)
    assert roc[0] == {"false_positive_rate": 0.0, "true_positive_rate": 0.0}
    assert roc[-1] == {"false_positive_rate": 1.0, "true_positive_rate": 1.0}
    assert pr[0]["recall"] == 0.0
    assert pr[-1] == {"recall": 1.0, "precision": labels.sum() / np.count_nonzero(scores >= scores[labels].min())}
    assert all(type(value) is float for row in roc + pr for value in row.values())


def test_computed_by_hand():
    rows = precision_recall_points([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0])
    assert columns(rows).tolist() == [[0, 0.5, 0.5, 1], [1, 1, 2 / 3, 2 / 3]]
    roc = columns(roc_points([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0]))
    assert roc.tolist() == [
        [0, 0, 0.5, 0.5, 1],
        [0, 0.5, 0.5, 1, 1],
    ]
    assert columns(roc_points([5, 5, 5], [1, 0, 1])).tolist() == [[0, 1], [0, 1]]


def pixels(seed, step=None, size=96):
    rng = np.random.default_rng(seed)
    masks = np.zeros((6, size, size), dtype=bool)
    for mask in masks[2:]:
        row, column = rng.integers(0, size - 12, 2)
        mask[row : row + rng.integers(1, 12), column : column + 8] = True
    maps = rng.normal(size=masks.shape) + rng.uniform(0, 4) * masks
    return (np.round(maps / step) * step if step else maps), masks


@pytest.mark.parametrize("step", [None, 0.5, 3.0])
@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_pro_area_over_the_limit_is_aupro(limit, step):
    for seed in range(4):
        maps, masks = pixels(seed, step)
        rows = pro_points(maps, masks, limit)
        assert len(rows) <= 400
        assert rows[0]["false_positive_rate"] == 0.0
        assert rows[-1]["false_positive_rate"] == limit
        assert area(rows) / limit == pytest.approx(aupro(maps, masks, limit), abs=0.001)
    assert rows[-1]["overlap"] == 1.0 or limit < 1


def test_pixels_and_images_are_one_code():
    maps, masks = pixels(0)
    for curve in (roc_points, precision_recall_points):
        assert curve(maps, masks) == curve(maps.ravel(), masks.ravel())
    assert area(precision_recall_points(maps, masks)) == pytest.approx(
        average_precision_score(masks.ravel(), maps.ravel()), abs=0.001
    )


def test_only_the_order_matters():
    maps, masks = pixels(1, step=0.01)
    for curve in (roc_points, precision_recall_points, pro_points):
        assert curve(np.exp(maps) - 9, masks) == curve(maps, masks)


def test_undefined_is_none_and_bad_input_an_error():
    for labels in ([0, 0], [1, 1], []):
        values = np.arange(len(labels)) * 1.0
        assert roc_points(values, labels) is None
        assert precision_recall_points(values, labels) is None
    assert pro_points(np.zeros((2, 3, 3)), np.zeros((2, 3, 3))) is None
    for curve in (roc_points, precision_recall_points, pro_points):
        with pytest.raises(ValueError, match="NaN or infinite"):
            curve(np.full((1, 2, 2), np.nan), np.eye(2)[None])
    with pytest.raises(ValueError, match="limit"):
        pro_points(*pixels(0), limit=0.0)
