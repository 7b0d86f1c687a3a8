"""AUPRO against its definition, written out in loops, and against a case computed by hand."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import torch

from anomaly_lib.evaluation import aupro
from anomaly_lib.evaluation.curves import label_regions


def flood_regions(mask):
    """The 8-connected regions of one mask as lists of pixels, by flood fill: no library involved."""
    left, regions = set(zip(*np.nonzero(mask), strict=True)), []
    while left:
        region, edge = [], [left.pop()]
        while edge:
            row, column = edge.pop()
            region.append((row, column))
            near = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            edge += near
        regions.append(region)
    return regions


def brute_force(maps, masks, limit):
    """The definition: every threshold, every region, the trapezoid, cut at the limit."""
    regions = [
        [image[pixel] for pixel in region]
        for image, mask in zip(maps, masks, strict=True)
        for region in flood_regions(mask)
    ]
    normal = maps[~masks]
    curve = [(0.0, 0.0)]
    for threshold in sorted(set(maps.ravel().tolist()), reverse=True):
        overlap = np.mean([np.mean(np.array(region) >= threshold) for region in regions])
        curve.append((np.mean(normal >= threshold), overlap))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x1 > limit:
            y1, x1 = y0 + (limit - x0) / (x1 - x0) * (y1 - y0), limit
        area += (x1 - x0) * (y0 + y1) / 2
        if x1 >= limit:
            break
    return area / limit


def random_case(seed, step=None, density=0.12):
    """Speckled masks, so that regions touch diagonally and borders matter; `step` makes ties."""
    rng = np.random.default_rng(seed)
    n, height, width = rng.integers(1, 5), *rng.integers(4, 12, size=2)
    masks = rng.random((n, height, width)) < density
    masks[0, 0, 0], masks[0, -1, -1] = True, False
    maps = rng.normal(size=masks.shape) + rng.uniform(0, 3) * masks
    return (np.round(maps / step) * step if step else maps), masks


@pytest.mark.parametrize("step", [None, 0.1, 0.5, 2.0])
@pytest.mark.parametrize("limit", [0.001, 0.05, 0.3, 1.0])
def test_equals_the_definition(limit, step):
    for seed in range(25):
        maps, masks = random_case(seed, step, density=(0.05, 0.12, 0.5)[seed % 3])
        expected = brute_force(maps, masks, limit)
        assert aupro(maps, masks, limit) == pytest.approx(expected, abs=1e-9)


def toy():
    """Region A of two pixels (scores 9 and 5), region B of one (7); normal pixels 8, 6, 6, 4, 2.

    Going down: 9 -> PRO 1/4. 8 -> FPR 1/5. 7 -> PRO 3/4. 6, 6 -> FPR 3/5. 5 -> PRO 1. 4, 2 -> FPR 1.
    """
    maps = np.array([[[9, 5, 8, 6]], [[7, 6, 4, 2]]], dtype=np.float32)
    masks = np.array([[[1, 1, 0, 0]], [[1, 0, 0, 0]]])
    return maps, masks


@pytest.mark.parametrize(
    ("limit", "area"),
    [(0.1, 0.1 / 4), (0.2, 0.2 / 4), (0.3, 0.2 / 4 + 0.1 * 3 / 4), (1.0, 0.2 / 4 + 0.4 * 3 / 4 + 0.4)],
)
def test_computed_by_hand(limit, area):
    assert aupro(*toy(), limit=limit) == pytest.approx(area / limit, abs=1e-12)


def test_a_tie_across_the_classes_is_crossed_by_a_straight_line():
    """One defect pixel tied with both normal pixels: PRO runs from 0 to 1 while FPR does."""
    maps, masks = np.ones((1, 1, 3)), np.array([[[1, 0, 0]]])
    assert aupro(maps, masks, limit=1.0) == pytest.approx(0.5)
    assert aupro(maps, masks, limit=0.3) == pytest.approx(0.15)


def test_a_large_region_counts_as_much_as_a_small_one():
    masks = np.zeros((1, 20, 20), dtype=bool)
    masks[0, :10, :10] = masks[0, 15, 15] = True
    found_large = np.where(masks, 1.0, 0.5)
    found_large[0, 15, 15] = 0.0
    assert aupro(found_large, masks) == pytest.approx(0.5)


def test_perfect_is_exactly_one_and_hopeless_exactly_zero():
    for seed in range(20):
        _, masks = random_case(seed)
        noise = np.random.default_rng(seed).random(masks.shape)
        assert aupro(masks + 0.5 * noise, masks) == 1.0
        assert aupro(masks.astype(np.float32), masks, limit=0.05) == 1.0
        assert aupro(noise - 2.0 * masks, masks) == 0.0


def test_only_the_order_matters_and_images_may_be_shuffled():
    for seed in range(10):
        maps, masks = random_case(seed, step=0.25)
        expected = aupro(maps, masks)
        assert 0 <= expected <= 1
        assert aupro(np.exp(maps) - 500, masks) == expected
        assert aupro(maps.astype(np.float32), masks) == expected
        assert aupro(maps[::-1], masks[::-1]) == pytest.approx(expected, abs=1e-12)
        assert aupro(maps[:, ::-1, ::-1], masks[:, ::-1, ::-1]) == pytest.approx(expected, abs=1e-12)


def test_normal_images_count_in_the_false_positive_rate():
    maps, masks = random_case(1)
    quiet, loud = np.full_like(maps, -99.0), np.full_like(maps, 99.0)
    clean = np.zeros_like(masks)
    together = np.concatenate([masks, clean])
    assert aupro(np.concatenate([maps, quiet]), together) > aupro(maps, masks)
    assert aupro(np.concatenate([maps, loud]), together) == 0.0


def test_diagonal_neighbours_are_one_region_and_images_are_separate():
    masks = np.zeros((3, 4, 4), dtype=bool)
    masks[0] = np.eye(4, dtype=bool)
    masks[2, 0, 0] = masks[2, 3, 3] = masks[2, 3, 2] = True
    region, areas = label_regions(masks)
    assert areas.tolist() == [4, 1, 2]
    assert region.tolist() == [0, 0, 0, 0, 1, 2, 2]  # in the order of maps[masks]


def test_memory_is_a_small_multiple_of_the_maps():
    """12 bytes a pixel for limit 1 and float32 maps; an argsort of the split alone would take 8 more."""
    rng = np.random.default_rng(0)
    maps = rng.random((16, 128, 128), dtype=np.float32)
    masks = np.zeros(maps.shape, dtype=bool)
    masks[:, 40:60, 40:60] = True
    aupro(maps[:1], masks[:1])  # imports are not what is measured
    tracemalloc.start()
    aupro(maps, masks, limit=1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / maps.size < 16


def test_tensors_and_lists_give_what_arrays_give():
    maps, masks = random_case(5)
    maps = maps.astype(np.float32)
    expected = aupro(maps, masks)
    assert type(expected) is float
    assert aupro(torch.from_numpy(maps).requires_grad_(), torch.from_numpy(masks)) == expected
    assert aupro(list(torch.from_numpy(maps)), masks.astype(np.uint8)) == expected
    assert aupro(maps.tolist(), masks.tolist()) == expected


def test_undefined_is_none():
    maps = np.zeros((2, 3, 3))
    assert aupro(maps, np.zeros((2, 3, 3))) is None
    assert aupro(maps, np.ones((2, 3, 3))) is None
    assert aupro(np.zeros((0, 3, 3)), np.zeros((0, 3, 3))) is None


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.01, np.nan])
def test_limit_outside_its_range_is_an_error(limit):
    with pytest.raises(ValueError, match=r"limit must lie in \(0, 1\]"):
        aupro(*toy(), limit=limit)


def test_bad_input_is_a_clear_error():
    maps, masks = toy()
    with pytest.raises(ValueError, match="one shape"):
        aupro(maps[:1], masks)
    with pytest.raises(ValueError, match=r"must be \(N, H, W\)"):
        aupro(maps[:, None], masks[:, None])
    with pytest.raises(ValueError, match="NaN or infinite"):
        aupro(maps * np.nan, masks)
    with pytest.raises(ValueError, match="only 0"):
        aupro(maps, masks * 255)
