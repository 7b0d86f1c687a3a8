"""Metrics inside a region: all of it changes nothing, a part equals the metrics of the cut-out pixels."""

import numpy as np
import pytest

from anomaly_lib.evaluation import aupro, by_defect_size, by_defect_type, evaluate, pixel_intervals, pro_points

MORE = {"region_share", "n_anomalous_outside_region", "n_regions_outside_region"}


def split(n=6, size=24):
    """Three normal and three anomalous images; the last has two defects."""
    rng = np.random.default_rng(3)
    masks = np.zeros((n, size, size), dtype=bool)
    masks[3, 2:7, 3:9] = masks[4, 10:20, 10:12] = masks[5, :4, :4] = masks[5, 18:, 18:] = True
    maps = rng.normal(size=masks.shape).astype(np.float32) + 2 * masks
    return maps.max(axis=(1, 2)), np.arange(n) >= 3, maps, masks


THRESHOLDS = {"image_threshold": 3.0, "pixel_threshold": 1.5}


@pytest.mark.parametrize("shape", [(24, 24), (6, 24, 24)])
def test_a_region_of_everything_changes_no_bit(shape):
    plain = evaluate(*split(), **THRESHOLDS)
    inside = evaluate(*split(), **THRESHOLDS, region=np.ones(shape, bool))
    assert inside == plain | {"region_share": 1.0, "n_anomalous_outside_region": 0, "n_regions_outside_region": 0}


def test_a_rectangle_equals_the_cut_out_images():
    scores, labels, maps, masks = split()
    region = np.zeros((24, 24), bool)
    region[1:22, 2:] = True
    inside = evaluate(scores, labels, maps, masks, **THRESHOLDS, region=region)
    cut = evaluate(scores, labels, maps[:, 1:22, 2:], masks[:, 1:22, 2:], **THRESHOLDS)
    assert {key: value for key, value in inside.items() if key not in MORE} == cut


def test_a_defect_that_the_region_cuts_in_two_stays_one():
    scores, labels, maps, masks = split()
    region = np.ones((24, 24), bool)
    region[14:16] = False  # through the middle of the defect of image 4
    inside = evaluate(scores, labels, maps, masks, region=region)
    assert (inside["n_regions"], inside["n_regions_outside_region"]) == (4, 0)


def test_a_defect_outside_is_counted_and_its_image_stays_anomalous():
    scores, labels, maps, masks = split()
    region = np.ones((6, 24, 24), bool)
    region[3, :10] = False
    region[5, 16:] = False
    inside = evaluate(scores, labels, maps, masks, region=region)
    plain = evaluate(scores, labels, maps, masks)
    assert inside["n_anomalous_outside_region"] == 1
    assert inside["n_regions_outside_region"] == 2
    assert inside["n_regions"] == 2
    assert inside["region_share"] == region.mean()
    assert (inside["n_anomalous"], inside["image_auroc"]) == (3, plain["image_auroc"])


def test_pixels_outside_count_neither_as_false_alarms_nor_as_misses():
    scores, labels, maps, masks = split()
    region = np.zeros((24, 24), bool)
    region[:, 2:20] = True
    wild = np.where(region, maps, 99.0)
    assert evaluate(scores, labels, wild, masks, **THRESHOLDS, region=region) == evaluate(
        scores, labels, maps, masks, **THRESHOLDS, region=region
    )


def test_without_masks_the_rate_is_of_pixels_inside_and_reasons_are_given():
    scores, labels, maps, _ = split()
    region = np.zeros((24, 24), bool)
    region[5:, :] = True
    inside = evaluate(scores, labels, maps, pixel_threshold=1.5, region=region)
    assert inside["pixel_false_positive_rate"] == np.mean(maps[:3, 5:] >= 1.5)
    assert inside["undefined"]["n_anomalous_outside_region"] == "the data set has no masks"


def test_all_defects_outside_leave_image_metrics_only():
    scores, labels, maps, masks = split()
    inside = evaluate(scores, labels, maps, masks, region=~masks)
    assert inside["pixel_auroc"] is None
    assert inside["undefined"]["aupro_030"] == "no defect regions in the test split"
    assert (inside["n_anomalous_outside_region"], inside["n_regions"]) == (3, 0)
    assert inside["image_auroc"] is not None


def test_regions_that_mean_nothing_are_refused():
    scores, labels, maps, masks = split()
    with pytest.raises(ValueError, match=r"region must be \(24, 24\)"):
        evaluate(scores, labels, maps, masks, region=np.ones((3, 24, 24), bool))
    with pytest.raises(ValueError, match="region has no pixel"):
        evaluate(scores, labels, maps, masks, region=np.zeros((24, 24), bool))
    with pytest.raises(ValueError, match="region must hold only 0"):
        evaluate(scores, labels, maps, masks, region=np.full((24, 24), 255))


def everything(maps, masks, labels, region):
    """What else is measured of the pixels of a split."""
    scores = np.where(labels, 1.0, 0.0)
    types = np.where(labels, "scratch", "good")
    return {
        "aupro": aupro(maps, masks, region=region),
        "curve": pro_points(maps, masks, region=region),
        "intervals": pixel_intervals(maps, masks, labels, seed=1, resamples=20, region=region),
        "types": by_defect_type(scores, labels, maps, masks, types, region=region),
        "found": [
            {key: row[key] for key in ("n_regions", "any_found", "mean_overlap", "aupro_030")}
            for row in by_defect_size(maps, masks, pixel_threshold=1.5, edges=(), region=region)
        ],
    }


@pytest.mark.parametrize("shape", [(24, 24), (6, 24, 24)])
def test_a_region_of_everything_changes_no_curve_interval_or_group(shape):
    _, labels, maps, masks = split()
    assert everything(maps, masks, labels, np.ones(shape, bool)) == everything(maps, masks, labels, None)


def test_curves_intervals_and_groups_of_a_rectangle_are_those_of_the_cut_out_images():
    _, labels, maps, masks = split()
    region = np.zeros((24, 24), bool)
    region[1:22, 2:] = True
    wild = np.where(region, maps, 99.0)
    cut = everything(maps[:, 1:22, 2:], masks[:, 1:22, 2:], labels, None)
    assert everything(wild, masks, labels, region) == cut
    assert everything(wild, masks, labels, None) != cut


def test_a_region_without_a_defect_has_no_curve_and_no_interval():
    _, labels, maps, masks = split()
    region = np.zeros((24, 24), bool)
    region[8:9, 20:] = True
    assert aupro(maps, masks, region=region) is None
    assert pro_points(maps, masks, region=region) is None
    assert pixel_intervals(maps, masks, labels, 1, region=region)["undefined"]["pixel_ap"].startswith("no defect")
