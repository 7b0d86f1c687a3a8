"""Every metric of one run in one dict: what a result row, a table and the README are made of.

Also by kind and by size of defect: where a method fails, which the mean over a split does not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from anomaly_lib.evaluation.curves import Pixels, label_regions, pixels_of, pro_areas
from anomaly_lib.evaluation.inputs import as_maps, as_pair, as_region, as_scores, undefined_reason, with_reasons
from anomaly_lib.evaluation.metrics import f1_at, image_auroc, ranked
from anomaly_lib.evaluation.thresholds import false_positive_rate, is_anomalous

SIZE_EDGES = (0.001, 0.005, 0.02)  # area of a defect region as share of the image: 0.1 %, 0.5 %, 2 %
LIMIT = 0.3
_FOUND = ("any_found", "half_found", "mean_overlap")
NO_MASKS = "the data set has no masks"
AUPRO_LIMITS = {"aupro_030": 0.30, "aupro_005": 0.05}  # MVTec AD (IJCV 2021) and the stricter MVTec AD 2
_PIXEL_CURVES = ("pixel_auroc", "pixel_ap", "pixel_f1_max_oracle")


def evaluate(
    scores,
    labels,
    maps,
    masks=None,
    *,
    image_threshold: float | str | None = None,
    pixel_threshold: float | None = None,
    region=None,
) -> dict:
    """All metrics of one test split; undefined ones are None, with the reason under "undefined".

    scores (N,), labels (N,) 0 = normal and 1 = anomalous, maps (N, H, W), masks (N, H, W) or None.
    Thresholds come from held-out normals (`calibrate`), >= is anomalous; a text says why there is none.

    Keys: image_auroc, image_ap, image_f1_max_oracle; pixel_auroc, pixel_ap, pixel_f1_max_oracle,
    pixel_iou_max_oracle (intersection over union of all pixels), aupro_030, aupro_005; image_f1,
    image_false_positive_rate, pixel_f1, pixel_false_positive_rate (these four need a threshold; the rates are
    over normal test images and their pixels, so they need no masks); n_normal, n_anomalous (images), n_regions
    (defect regions); undefined: {key: reason}.

    region (H, W) or (N, H, W) bool, the region of interest: pixels outside of it count in no pixel metric, rate or
    number of defect regions. Defect regions are numbered on the whole mask and then cut, so that what the cut parts
    stays one. Scores are the caller's (`score(images, region=...)`), and so are thresholds: take `pixel_threshold`
    from normal pixels inside, too. An image keeps the label of its folder, even if all its defect lies outside; how
    often, say n_anomalous_outside_region (images) and n_regions_outside_region; region_share is of pixels inside.

    About 0.2 s of one CPU core and 15 bytes per pixel (0.1 GB) for 117 maps of 256 x 256.
    ValueError as in `metrics`, if the counts of images differ, if a normal image has a defect in its mask, or
    for a region of another shape or without a pixel.
    """
    scores, labels = as_pair(scores, labels)
    maps, masks = checked_pixels(labels, maps, masks)
    region = as_region(region, maps.shape)
    reason = undefined_reason(labels)
    keys = ("image_auroc", "image_ap", "image_f1_max_oracle")
    entries: dict = dict.fromkeys(keys, reason)
    if not reason:
        entries |= zip(keys, (image_auroc(scores, labels), *ranked(scores[~labels], scores[labels])[1:]), strict=True)
    number, areas = (None, None) if masks is None else label_regions(masks, region)
    normals, outside = maps[~labels], {}
    if region is not None:
        normals, outside = normals[region[~labels]], _outside(masks, areas, region)
        maps, masks = maps[region], None if masks is None else masks[region]
    entries |= _pixel_ranked(maps, masks, number, areas)
    entries |= _at_threshold("image", scores, labels, scores[~labels], image_threshold)
    entries |= _at_threshold("pixel", maps, masks, normals, pixel_threshold)
    counts = {"n_normal": int(np.count_nonzero(~labels)), "n_anomalous": int(np.count_nonzero(labels))}
    return with_reasons(entries | counts | outside)


def checked_pixels(labels: np.ndarray, maps, masks) -> tuple[np.ndarray, np.ndarray | None]:
    """Maps and masks as arrays that fit the image labels and each other."""
    maps = as_scores(maps, "maps")
    if maps.ndim != 3 or labels.ndim != 1 or len(maps) != len(labels):
        raise ValueError(f"need labels (N,) and maps (N, H, W), got {labels.shape} and {maps.shape}")
    if masks is None:
        return maps, None
    maps, masks = as_maps(maps, masks)
    contradictions = int(np.count_nonzero(masks.any(axis=(1, 2)) & ~labels))
    if contradictions:
        raise ValueError(f"{contradictions} images are labelled normal but their masks show a defect")
    return maps, masks


# In the helpers below an entry is a number, or a string: the reason why there is none.


def _outside(masks: np.ndarray | None, areas: np.ndarray | None, region: np.ndarray) -> dict:
    """What a region of interest (N, H, W) leaves out; ``areas`` are of the defect regions inside."""
    entries: dict = {"region_share": float(np.mean(region))}
    if masks is None or areas is None:
        return entries | dict.fromkeys(("n_anomalous_outside_region", "n_regions_outside_region"), NO_MASKS)
    lost = masks.any(axis=(1, 2)) & ~(masks & region).any(axis=(1, 2))
    entries["n_anomalous_outside_region"] = int(np.count_nonzero(lost))
    return entries | {"n_regions_outside_region": label_regions(masks)[1].size - areas.size}


def _pixel_ranked(
    maps: np.ndarray, masks: np.ndarray | None, number: np.ndarray | None, areas: np.ndarray | None
) -> dict:
    """The metrics of pixels and defect regions, or why there are none; maps and masks of any equal shape."""
    best_iou = "pixel_iou_max_oracle"
    keys = (*_PIXEL_CURVES, best_iou, *AUPRO_LIMITS)
    if masks is None or areas is None:
        return dict.fromkeys((*keys, "n_regions"), NO_MASKS)
    if reason := undefined_reason(masks, "pixel"):
        return dict.fromkeys(keys, reason) | {"n_regions": areas.size}
    normal, defect = maps[~masks], maps[masks]
    curves = dict(zip(_PIXEL_CURVES, ranked(normal, defect), strict=True))
    overlaps = pro_areas(normal, defect, 1.0 / areas[number], list(AUPRO_LIMITS.values()))
    f1 = curves["pixel_f1_max_oracle"]
    curves[best_iou] = f1 / (2 - f1)  # both are largest at the same threshold
    return curves | dict(zip(AUPRO_LIMITS, overlaps, strict=True)) | {"n_regions": areas.size}


def _at_threshold(level: str, scores, labels, normals, threshold: float | str | None) -> dict:
    """F1 and the achieved false-positive rate at a threshold; labels None = no masks."""
    keys = (f"{level}_f1", f"{level}_false_positive_rate")
    if threshold is None or isinstance(threshold, str):
        return dict.fromkeys(keys, threshold or f"no {level} threshold was given")
    reason = NO_MASKS if labels is None else undefined_reason(labels, level)
    f1 = reason or f1_at(scores, labels, threshold)
    rate = false_positive_rate(normals, threshold) if normals.size else "no normal images in the test split"
    return dict(zip(keys, (f1, rate), strict=True))


# By kind and by size of defect.


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
        row["pixel_ap"] = ranked(pixels.normal, pixels.defect).average_precision
        row["aupro_030"] = pro_areas(pixels.normal, pixels.defect, pixels.weight, [LIMIT])[0]
    return row


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
