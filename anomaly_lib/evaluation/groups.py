"""Metrics by kind and by size of defect: where a method fails, which the mean over a split does not say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from anomaly_lib.evaluation.inputs import as_pair, as_region, as_scores, sides, undefined_reason
from anomaly_lib.evaluation.metrics import image_auroc
from anomaly_lib.evaluation.overlap import label_regions, pro_areas
from anomaly_lib.evaluation.summary import NO_MASKS, checked_pixels
from anomaly_lib.evaluation.thresholds import is_anomalous

SIZE_EDGES = (0.001, 0.005, 0.02)  # area of a region as share of the image: 0.1 %, 0.5 %, 2 %
LIMIT = 0.3


def by_defect_type(
    scores, labels, maps, masks, types: Sequence[str], *, image_threshold: float | None = None, region=None
) -> list[dict]:
    """One row for each defect type: its anomalous images against all normal images of the split.

    scores (N,), labels (N,) 0 = normal and 1 = anomalous, maps (N, H, W), masks (N, H, W) or None, types (N,) names,
    for example the folders; those of normal images are not read. Sorted by name. region as in `evaluate`: pixels
    outside of it do not count.

    Keys: defect_type, n_images, n_regions; image_auroc, pixel_ap and aupro_030, computed on a split of this type's
    images and all normal ones (average precision depends on how much is defect: compare it between
    methods, not between types); recall, the share of the type's images with score >= image_threshold;
    undefined {key: reason}, the keys that are None. An empty list without anomalous images.
    ValueError as `evaluate`, or if there are not N types.
    """
    scores, labels = as_pair(scores, labels)
    maps, masks = checked_pixels(labels, maps, masks)
    region = as_region(region, maps.shape)
    types = np.asarray(types, dtype=str)
    if types.shape != labels.shape:
        raise ValueError(f"need one defect type for each image, got {types.shape} for {labels.shape}")
    rows = []
    for name in np.unique(types[labels]).tolist():
        own = labels & (types == name)
        split = own | ~labels
        entries = {"defect_type": name, "n_images": int(np.count_nonzero(own))}
        values = {"image_auroc": undefined_reason(labels[split]) or image_auroc(scores[split], labels[split])}
        values |= _of_pixels(*(None if array is None else array[split] for array in (maps, masks, region)))
        values["recall"] = _recall(scores[own], image_threshold)
        rows.append(_row(entries, values))
    return rows


def against_normals(
    normal_scores, scores, groups: Sequence[str], *, image_threshold: float | None = None
) -> list[dict]:
    """One row for each group of images whose label nobody is sure of: how far they stand out from the normal ones.

    normal_scores (M,) of normal test images, scores (N,) and groups (N,) names. Sorted by name.
    Keys: defect_type (the group), n_images, image_auroc against the normal images, recall (the share with score >=
    image_threshold); undefined {key: reason}. ValueError as `image_auroc`, or if there are not N groups.
    """
    normal_scores, scores, groups = as_scores(normal_scores), as_scores(scores), np.asarray(groups, dtype=str)
    if groups.shape != scores.shape:
        raise ValueError(f"need one group for each image, got {groups.shape} for {scores.shape}")
    rows = []
    for name in np.unique(groups).tolist():
        own = scores[groups == name]
        labels = np.arange(normal_scores.size + own.size) >= normal_scores.size
        auroc = undefined_reason(labels) or image_auroc(np.concatenate([normal_scores, own]), labels)
        values = {"image_auroc": auroc, "recall": _recall(own, image_threshold)}
        rows.append(_row({"defect_type": name, "n_images": own.size}, values))
    return rows


def by_defect_size(
    maps, masks, *, pixel_threshold: float | None = None, edges: Sequence[float] = SIZE_EDGES, region=None
) -> list[dict]:
    """One row for each class of area of the defect regions, from the smallest.

    maps (N, H, W), masks (N, H, W) or None. A region is 8-connected (`label_regions`); its size is its area
    as share of the image, at the maps' resolution: a mask that was made smaller before may have lost regions.
    `edges` ascend within (0, 1); a region of exactly an edge's size belongs above it. Of a region of interest,
    `region` as in `evaluate`, only what lies inside counts, also for the size.

    Keys: size (such as "0.1 to 0.5 %"), from_share, to_share; n_regions; any_found and half_found, the shares of
    regions of which any pixel, or at least half, has a value >= pixel_threshold; mean_overlap, the mean share of a
    region's pixels at or above it (PRO at that threshold); aupro_030 of these regions alone: false
    positives are counted on all normal pixels of the split, and the defect pixels of other sizes are left out, being
    neither this bucket's to find nor false; undefined {key: reason}, the keys that are None.
    ValueError as `aupro`, or for other edges.
    """
    names = _buckets(edges)
    if masks is None:
        return [_row(name, dict.fromkeys(("n_regions", *_SIZE_KEYS), NO_MASKS)) for name in names]
    maps, masks = as_pair(maps, masks, ("maps", "masks"))
    region = as_region(region, maps.shape)
    number, areas = label_regions(masks, region)
    bucket = np.digitize(areas / np.prod(masks.shape[1:]), edges)
    normal, defect = (maps[side] for side in sides(masks, region))
    overlap = None
    if pixel_threshold is not None:
        overlap = np.bincount(number, is_anomalous(defect, pixel_threshold), minlength=areas.size) / areas
    rows = []
    for index, name in enumerate(names):
        chosen = bucket == index
        values = {"n_regions": int(np.count_nonzero(chosen))}
        values |= _found(None if overlap is None else overlap[chosen], values["n_regions"])
        pixels = chosen[number]
        values["aupro_030"] = _aupro_of_regions(normal, defect[pixels], 1.0 / areas[number[pixels]])
        rows.append(_row(name, values))
    return rows


_SIZE_KEYS = ("any_found", "half_found", "mean_overlap", "aupro_030")

# In the helpers below a value is a number, or a string: the reason why there is none.


def _row(entries: dict, values: dict) -> dict:
    undefined = {key: value for key, value in values.items() if isinstance(value, str)}
    return entries | values | dict.fromkeys(undefined) | {"undefined": undefined}


def _of_pixels(maps: np.ndarray, masks: np.ndarray | None, region: np.ndarray | None) -> dict:
    """n_regions, pixel_ap and aupro_030 of a split, or why there are none."""
    if masks is None:
        return dict.fromkeys(("n_regions", "pixel_ap", "aupro_030"), NO_MASKS)
    number, areas = label_regions(masks, region)
    reason = undefined_reason(masks if region is None else masks[region], "pixel")
    if reason:
        return {"n_regions": areas.size, "pixel_ap": reason, "aupro_030": reason}
    normal, defect = (maps[side] for side in sides(masks, region))
    ap = _average_precision(normal, defect)
    return {
        "n_regions": areas.size,
        "pixel_ap": ap,
        "aupro_030": pro_areas(normal, defect, 1.0 / areas[number], [LIMIT])[0],
    }


def _average_precision(normal: np.ndarray, defect: np.ndarray) -> float:
    """`average_precision` of pixels by class: only the few defect values are looked up, each a possible step.

    With ties the precision at the end of the tie counts.
    """
    normal, defect = np.sort(normal[normal >= defect.min()]), np.sort(defect)
    hits = defect.size - np.searchsorted(defect, defect, side="left")
    false_alarms = normal.size - np.searchsorted(normal, defect, side="left")
    return float(np.mean(hits / (hits + false_alarms)))


def _recall(scores: np.ndarray, threshold: float | None) -> float | str:
    if threshold is None:
        return "no image threshold was given"
    return float(np.mean(is_anomalous(scores, threshold)))


def _found(overlap: np.ndarray | None, count: int) -> dict:
    """Shares of regions found; overlap (R,) is the share of each region's pixels above the threshold."""
    keys = ("any_found", "half_found", "mean_overlap")
    if not count:
        return dict.fromkeys(keys, "no regions of this size")
    if overlap is None:
        return dict.fromkeys(keys, "no pixel threshold was given")
    values = np.mean(overlap > 0), np.mean(overlap >= 0.5), np.mean(overlap)
    return dict(zip(keys, map(float, values), strict=True))


def _aupro_of_regions(normal: np.ndarray, defect: np.ndarray, weight: np.ndarray) -> float | str:
    """AUPRO of some regions; `normal` is reordered in place."""
    if not defect.size:
        return "no regions of this size"
    return pro_areas(normal, defect, weight, [LIMIT])[0] if normal.size else "no normal pixels in the test split"


def _buckets(edges: Sequence[float]) -> list[dict]:
    """Name and bounds of each bucket; the last holds a defect as large as the image too."""
    bounds = [0.0, *map(float, edges), 1.0]
    if not all(low < high for low, high in pairwise(bounds)):
        raise ValueError(f"the edges must ascend within (0, 1), got {tuple(edges)}")
    between = [f"{low * 100:g} to {high * 100:g} %" for low, high in pairwise(bounds[1:-1])]
    names = [f"below {bounds[1] * 100:g} %", *between, f"above {bounds[-2] * 100:g} %"] if len(edges) else ["all"]
    return [{"size": n, "from_share": a, "to_share": b} for n, (a, b) in zip(names, pairwise(bounds), strict=True)]
