"""Metrics by type and by size of defect: against the definitions, written out on the images and regions of a group."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from anomaly_lib.evaluation import against_normals, aupro, by_defect_size, by_defect_type

TYPES = np.array(["good"] * 4 + ["hole", "scratch", "hole", "scratch"])


def split(seed=0, size=20, step=None):
    """Four normal images, two with holes (one with two), two with scratches; image size 20: 1 pixel is 0.25 %."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((8, size, size), dtype=bool)
    masks[4, 2:5, 2:5] = masks[4, 12, 12] = masks[6, 1:8, 10:18] = True
    masks[5, np.arange(6), np.arange(6)] = masks[7, 15, 3:18] = True  # a diagonal is one region
    maps = (rng.normal(size=masks.shape) + 1.5 * masks).astype(np.float32)
    maps = np.round(maps / step) * step if step else maps
    return maps.max(axis=(1, 2)), np.arange(8) >= 4, maps, masks


def region_values(maps, masks):
    """The maps of `split` within its five regions, taken by hand."""
    hole, dot, large = masks[4].copy(), np.zeros_like(masks[4]), masks[6]
    hole[12, 12], dot[12, 12] = False, True
    return [maps[4][hole], maps[4][dot], maps[5][masks[5]], maps[6][large], maps[7][masks[7]]]


def brute_aupro(normal, regions, limit=0.3):
    """The definition: every threshold, every region, the trapezoid, cut at the limit."""
    thresholds = np.unique(np.concatenate([normal, *regions]))[::-1]
    x = np.append(0, [np.mean(normal >= t) for t in thresholds])
    y = np.append(0, [np.mean([np.mean(region >= t) for region in regions]) for t in thresholds])
    area = 0.0
    for x0, x1, y0, y1 in zip(x[:-1], x[1:], y[:-1], y[1:], strict=True):
        if x0 < limit and x1 > x0:
            end = min(x1, limit)
            area += (end - x0) * (y0 + (y0 + (end - x0) / (x1 - x0) * (y1 - y0))) / 2
    return area / limit


@pytest.mark.parametrize("step", [None, 0.5])
def test_a_type_is_measured_on_its_images_and_all_normal_ones(step):
    scores, labels, maps, masks = split(step=step)
    rows = by_defect_type(scores, labels, maps, masks, TYPES, image_threshold=3.0)
    assert [row["defect_type"] for row in rows] == ["hole", "scratch"]
    assert [(row["n_images"], row["n_regions"]) for row in rows] == [(2, 3), (2, 2)]
    for row in rows:
        chosen = (row["defect_type"] == TYPES) | ~labels
        maps_here, masks_here = maps[chosen], masks[chosen]
        assert row["image_auroc"] == pytest.approx(roc_auc_score(labels[chosen], scores[chosen]))
        expected = average_precision_score(masks_here.ravel(), maps_here.ravel())
        assert row["pixel_ap"] == pytest.approx(expected, abs=1e-9)
        assert row["aupro_030"] == aupro(maps_here, masks_here)
        assert row["recall"] == np.mean(scores[row["defect_type"] == TYPES] >= 3.0)
        assert row["undefined"] == {}


def test_other_types_do_not_matter():
    scores, labels, maps, masks = split()
    without = TYPES != "scratch"
    alone = by_defect_type(scores[without], labels[without], maps[without], masks[without], TYPES[without])
    assert alone == by_defect_type(scores, labels, maps, masks, TYPES)[:1]


def test_the_image_label_decides_not_the_name():
    scores, labels, maps, masks = split()
    types = TYPES.copy()
    types[0] = "hole"  # a normal image with a wrong name
    assert by_defect_type(scores, labels, maps, masks, types) == by_defect_type(scores, labels, maps, masks, TYPES)


@pytest.mark.parametrize("step", [None, 0.5])
def test_sizes_against_regions_taken_by_hand(step):
    """Areas 9, 1, 6, 56 and 15 of 400 pixels."""
    _, _, maps, masks = split(seed=1, step=step)
    regions, normal = region_values(maps, masks), maps[~masks]
    members = {"below 0.5 %": [1], "0.5 to 3 %": [0, 2], "above 3 %": [3, 4]}
    rows = by_defect_size(maps, masks, pixel_threshold=1.5, edges=(0.005, 0.03))
    assert [row["size"] for row in rows] == list(members)
    for row, indices in zip(rows, members.values(), strict=True):
        found = [np.mean(regions[index] >= 1.5) for index in indices]
        assert row["n_regions"] == len(indices)
        assert row["any_found"] == np.mean(np.array(found) > 0)
        assert row["half_found"] == np.mean(np.array(found) >= 0.5)
        assert row["mean_overlap"] == pytest.approx(np.mean(found))
        assert row["aupro_030"] == pytest.approx(brute_aupro(normal, [regions[index] for index in indices]), abs=1e-9)
        assert row["undefined"] == {}


def test_one_bucket_is_the_whole_and_the_default_edges_are_named():
    _, _, maps, masks = split()
    (row,) = by_defect_size(maps, masks, edges=())
    assert (row["size"], row["n_regions"], row["aupro_030"]) == ("all", 5, aupro(maps, masks))
    names = [(row["size"], row["from_share"], row["to_share"]) for row in by_defect_size(maps, masks)]
    assert names == [
        ("below 0.1 %", 0.0, 0.001),
        ("0.1 to 0.5 %", 0.001, 0.005),
        ("0.5 to 2 %", 0.005, 0.02),
        ("above 2 %", 0.02, 1.0),
    ]


def test_a_region_of_an_edge_s_size_belongs_above_and_one_as_large_as_the_image_to_the_last():
    masks = np.zeros((3, 10, 10), dtype=bool)
    masks[1, 0, :2], masks[2] = True, True
    rows = by_defect_size(np.random.default_rng(0).random(masks.shape), masks, edges=(0.01, 0.02))
    assert [row["n_regions"] for row in rows] == [0, 0, 2]


def test_defects_of_other_sizes_count_on_neither_side():
    """Whatever the map says on the large regions, the row of the small ones stays."""
    _, _, maps, masks = split()
    small = by_defect_size(maps, masks, pixel_threshold=1.5, edges=(0.03,))[0]
    for value in (-50.0, 50.0):
        changed = maps.copy()
        changed[6:][masks[6:]] = value
        assert by_defect_size(changed, masks, pixel_threshold=1.5, edges=(0.03,))[0] == small


def test_only_the_order_matters():
    scores, labels, maps, masks = split(step=0.25)
    assert by_defect_size(np.exp(maps) - 9, masks) == by_defect_size(maps, masks)
    rows = by_defect_type(scores * 3, labels, np.exp(maps) - 9, masks, TYPES)
    assert rows == by_defect_type(scores, labels, maps, masks, TYPES)


def test_undefined_is_none_with_a_reason():
    scores, labels, maps, masks = split()
    no_masks = by_defect_type(scores, labels, maps, None, TYPES, image_threshold=0.0)[0]
    assert (no_masks["n_regions"], no_masks["pixel_ap"], no_masks["aupro_030"]) == (None, None, None)
    assert no_masks["undefined"] == dict.fromkeys(("n_regions", "pixel_ap", "aupro_030"), "the data set has no masks")
    assert no_masks["recall"] == 1.0
    only_bad = by_defect_type(scores[4:], labels[4:], maps[4:], masks[4:], TYPES[4:])[0]
    assert only_bad["undefined"] == {
        "image_auroc": "no normal images in the test split",
        "recall": "no image threshold was given",
    }
    assert only_bad["aupro_030"] is not None
    assert by_defect_type(scores[:4], labels[:4], maps[:4], masks[:4], TYPES[:4]) == []
    (single,) = by_defect_type(scores[4:5], labels[4:5], maps[4:5], masks[4:5], TYPES[4:5], image_threshold=1e9)
    assert (single["n_images"], single["recall"], single["image_auroc"]) == (1, 0.0, None)
    unmarked = by_defect_type(scores, labels, maps, masks & False, TYPES)[0]
    assert (unmarked["n_regions"], unmarked["pixel_ap"]) == (0, None)
    assert unmarked["undefined"]["pixel_ap"] == "no defect regions in the test split"
    sizes = by_defect_size(maps, None)
    assert len(sizes) == 4
    assert set(sizes[0]["undefined"].values()) == {"the data set has no masks"}
    empty = by_defect_size(maps, masks & False, pixel_threshold=0.0)[0]
    assert (empty["n_regions"], empty["aupro_030"]) == (0, None)
    assert set(empty["undefined"].values()) == {"no regions of this size"}
    full = by_defect_size(maps, masks | True)[3]
    assert full["undefined"]["aupro_030"] == "no normal pixels in the test split"
    assert full["undefined"]["mean_overlap"] == "no pixel threshold was given"


def test_bad_input_is_a_clear_error():
    scores, labels, maps, masks = split()
    with pytest.raises(ValueError, match="one defect type for each image"):
        by_defect_type(scores, labels, maps, masks, TYPES[1:])
    with pytest.raises(ValueError, match="labelled normal but"):
        by_defect_type(scores, ~labels, maps, masks, TYPES)
    for edges in ((0.02, 0.01), (0.0, 0.1), (0.5, 1.0)):
        with pytest.raises(ValueError, match="must ascend"):
            by_defect_size(maps, masks, edges=edges)
    with pytest.raises(ValueError, match="NaN or infinite"):
        by_defect_size(maps * np.nan, masks)


def test_uncertain_images_are_measured_against_the_normal_ones_group_by_group():
    rows = against_normals([0.0, 1.0, 2.0], [3.0, 1.0, 4.0], ["likely", "maybe", "likely"], image_threshold=2.5)
    assert rows == [
        {"defect_type": "likely", "n_images": 2, "image_auroc": 1.0, "recall": 1.0, "undefined": {}},
        {"defect_type": "maybe", "n_images": 1, "image_auroc": 0.5, "recall": 0.0, "undefined": {}},
    ]
    no_normals = against_normals([], [3.0], ["likely"])[0]
    assert no_normals["undefined"]["image_auroc"] == "no normal images in the test split"
    with pytest.raises(ValueError, match="one group for each image"):
        against_normals([0.0], [1.0, 2.0], ["likely"])
