"""Metrics by kind and by size of defect: where a method fails, which the mean over a split does not say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from anomaly_lib.evaluation.inputs import as_maps, as_pair, as_region, as_scores, undefined_reason, with_reasons
from anomaly_lib.evaluation.metrics import image_auroc
from anomaly_lib.evaluation.overlap import Pixels, pixels_of, pro_areas
from anomaly_lib.evaluation.summary import NO_MASKS, checked_pixels
from anomaly_lib.evaluation.thresholds import is_anomalous

SIZE_EDGES = (0.001, 0.005, 0.02)  # area of a defect region as share of the image: 0.1 %, 0.5 %, 2 %
LIMIT = 0.3
_FOUND = ("any_found", "half_found", "mean_overlap")


def by_defect_type(
    scores, labels, maps, masks, types: Sequence[str], *, image_threshold: float | None = None, region=None
) -> list[dict]:
    """One row for each defect type: its anomalous images against all normal images of the split.

    scores, labels, maps, masks, region as in `evaluate`; types (N,) names, for example the folders; those of normal
    images are not read. Sorted by name.

    Keys: defect_type, n_images, n_regions; image_auroc, pixel_ap and aupro_030, computed on a split of this type's
    images and all normal ones (average precision depends on how much is defect: compare it between methods, not
    between types); recall, the share of the type's images with score >= image_threshold;
    undefined {key: reason}, the keys that are None. An empty list without anomalous images.
    ValueError as `evaluate`, or if there are not N types.
    """
    scores, labels = as_pair(scores, labels)
    maps, masks = checked_pixels(labels, maps, masks)
    region = as_region(region, maps.shape)
    names = _names(types, labels, "defect type")
    rows = []
    for name in np.unique(names[labels]).tolist():
        own = labels & (names == name)
        split = own | ~labels
        row = {"image_auroc": undefined_reason(labels[split]) or image_auroc(scores[split], labels[split])}
        if masks is None:
            row |= dict.fromkeys(("n_regions", "pixel_ap", "aupro_030"), NO_MASKS)
        else:
            row |= _of_pixels(pixels_of(maps[split], masks[split], None if region is None else region[split]))
        row |= {"recall": _recall(scores[own], image_threshold)}
        rows.append(with_reasons(row, {"defect_type": name, "n_images": int(np.count_nonzero(own))}))
    return rows


def against_normals(
    normal_scores, scores, groups: Sequence[str], *, image_threshold: float | None = None
) -> list[dict]:
    """One row for each group of images whose label nobody is sure of: how far they stand out from the normal ones.

    normal_scores (M,) of normal test images, scores (N,) and groups (N,) names. Sorted by name.
    Keys: defect_type (the group), n_images, image_auroc against the normal images, recall (the share with score >=
    image_threshold); undefined {key: reason}. ValueError as `image_auroc`, or if there are not N groups.
    """
    normal_scores, scores = as_scores(normal_scores), as_scores(scores)
    names = _names(groups, scores, "group")
    rows = []
    for name in np.unique(names).tolist():
        own = scores[names == name]
        labels = np.arange(normal_scores.size + own.size) >= normal_scores.size
        auroc = undefined_reason(labels) or image_auroc(np.concatenate([normal_scores, own]), labels)
        row = {"image_auroc": auroc, "recall": _recall(own, image_threshold)}
        rows.append(with_reasons(row, {"defect_type": name, "n_images": own.size}))
    return rows


def by_defect_size(
    maps, masks, *, pixel_threshold: float | None = None, edges: Sequence[float] = SIZE_EDGES, region=None
) -> list[dict]:
    """One row for each class of area of the defect regions, from the smallest.

    maps, masks, region as in `evaluate`. The size of a defect region (8-connected) is its area as share of the
    image, at the maps' resolution: a mask that was made smaller before may have lost some. Of a region of interest
    only what lies inside counts, also for the size. `edges` ascend within (0, 1); exactly an edge's size is above it.

    Keys: size (such as "0.1 to 0.5 %"), from_share, to_share; n_regions; any_found and half_found, the shares of
    defect regions of which any pixel, or at least half, has a value >= pixel_threshold; mean_overlap, the mean share
    of their pixels at or above it (PRO at that threshold); aupro_030 of these alone: false positives are counted on
    all normal pixels of the split, and the defect pixels of other sizes are left out, being neither this bucket's to
    find nor false; undefined {key: reason}, the keys that are None. ValueError as `aupro`, or for other edges.
    """
    buckets = _buckets(edges)
    if masks is None:
        return [with_reasons(dict.fromkeys(("n_regions", *_FOUND, "aupro_030"), NO_MASKS), row) for row in buckets]
    maps, masks = as_maps(maps, masks)
    pixels = pixels_of(maps, masks, as_region(region, maps.shape))
    bucket = np.digitize(pixels.areas / np.prod(masks.shape[1:]), edges)
    overlap = None
    if pixel_threshold is not None:
        found = is_anomalous(pixels.defect, pixel_threshold)
        overlap = np.bincount(pixels.number, found, minlength=pixels.areas.size) / pixels.areas
    rows = []
    for index, row in enumerate(buckets):
        chosen = bucket == index
        count = int(np.count_nonzero(chosen))
        shares = _found(None if overlap is None else overlap[chosen], count)
        rows.append(with_reasons({"n_regions": count} | shares | {"aupro_030": _aupro_of(pixels, chosen)}, row))
    return rows


def _names(values: Sequence[str], like: np.ndarray, what: str) -> np.ndarray:
    names = np.asarray(values, dtype=str)
    if names.shape != like.shape:
        raise ValueError(f"need one {what} for each image, got {names.shape} for {like.shape}")
    return names


# In the helpers below a value is a number, or a string: the reason why there is none.


def _of_pixels(pixels: Pixels) -> dict:
    """n_regions, pixel_ap and aupro_030 of a split, or why there are none."""
    row: dict = {"n_regions": pixels.areas.size, "pixel_ap": pixels.reason, "aupro_030": pixels.reason}
    if not pixels.reason:
        row["pixel_ap"] = _average_precision(pixels.normal, pixels.defect)
        row["aupro_030"] = pro_areas(pixels.normal, pixels.defect, pixels.weight, [LIMIT])[0]
    return row


def _average_precision(normal: np.ndarray, defect: np.ndarray) -> float:
    """`average_precision` of pixels by class: only the few defect values are looked up, each a possible step.

    With ties the precision at the end of the tie counts.
    """
    normal, defect = np.sort(normal[normal >= defect.min()]), np.sort(defect)
    hits = defect.size - np.searchsorted(defect, defect, side="left")
    false_alarms = normal.size - np.searchsorted(normal, defect, side="left")
    return float(np.mean(hits / (hits + false_alarms)))


def _recall(scores: np.ndarray, threshold: float | None) -> float | str:
    return "no image threshold was given" if threshold is None else float(np.mean(is_anomalous(scores, threshold)))


def _found(overlap: np.ndarray | None, count: int) -> dict:
    """Shares of defect regions found; overlap (R,) is the share of each one's pixels above the threshold."""
    if overlap is None or not count:
        return dict.fromkeys(_FOUND, "no pixel threshold was given" if count else "no regions of this size")
    values = np.mean(overlap > 0), np.mean(overlap >= 0.5), np.mean(overlap)
    return dict(zip(_FOUND, map(float, values), strict=True))


def _aupro_of(pixels: Pixels, chosen: np.ndarray) -> float | str:
    """AUPRO of the chosen defect regions (R,); the normal pixels are reordered in place."""
    own = chosen[pixels.number]
    if not own.any():
        return "no regions of this size"
    if not pixels.normal.size:
        return "no normal pixels in the test split"
    return pro_areas(pixels.normal, pixels.defect[own], 1.0 / pixels.areas[pixels.number[own]], [LIMIT])[0]


def _buckets(edges: Sequence[float]) -> list[dict]:
    """Name and bounds of each bucket; the last holds a defect as large as the image too."""
    bounds = [0.0, *map(float, edges), 1.0]
    if not all(low < high for low, high in pairwise(bounds)):
        raise ValueError(f"the edges must ascend within (0, 1), got {tuple(edges)}")
    between = [f"{low * 100:g} to {high * 100:g} %" for low, high in pairwise(bounds[1:-1])]
    names = [f"below {bounds[1] * 100:g} %", *between, f"above {bounds[-2] * 100:g} %"] if len(edges) else ["all"]
    return [{"size": n, "from_share": a, "to_share": b} for n, (a, b) in zip(names, pairwise(bounds), strict=True)]
