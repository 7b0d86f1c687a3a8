"""Every metric of one run in one dict: what a result row, a table and the README are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anomaly_lib.evaluation.inputs import as_pair, as_region, as_scores, undefined_reason
from anomaly_lib.evaluation.metrics import auroc_of, f1_at, precision_recall_of, rank
from anomaly_lib.evaluation.overlap import label_regions, pro_areas
from anomaly_lib.evaluation.thresholds import false_positive_rate

NO_MASKS = "the data set has no masks"
AUPRO_LIMITS = {"aupro_030": 0.30, "aupro_005": 0.05}  # MVTec AD (IJCV 2021) and the stricter MVTec AD 2


def evaluate(
    scores,
    labels,
    maps,
    masks=None,
    *,
    image_threshold: float | None = None,
    pixel_threshold: float | None = None,
    region=None,
) -> dict:
    """All metrics of one test split; undefined ones are None, with the reason under "undefined".

    scores (N,), labels (N,) 0 = normal and 1 = anomalous, maps (N, H, W), masks (N, H, W) or None.
    Thresholds, if any, come from held-out normals (`quantile_threshold`); >= is anomalous.

    Keys: image_auroc, image_ap, image_f1_max_oracle; pixel_auroc, pixel_ap, pixel_f1_max_oracle,
    pixel_iou_max_oracle (intersection over union of all pixels), aupro_030, aupro_005; image_f1,
    image_false_positive_rate, pixel_f1, pixel_false_positive_rate (these four need a threshold; the rates are
    over normal test images and their pixels, so they need no masks); n_normal, n_anomalous (images), n_regions;
    undefined: {key: reason}.

    region (H, W) or (N, H, W) bool: pixels outside of it count in no pixel metric, rate or number of
    defect regions. Defect regions are numbered on the whole mask and then cut, so that what the cut parts
    stays one; the share of a region is of what is left of it. Scores are the caller's (`score(images,
    region=...)`), and so are thresholds: take `pixel_threshold` from normal pixels inside, too. An image
    keeps the label of its folder, even if all its defect lies outside; further keys say how often:
    n_anomalous_outside_region (images), n_regions_outside_region, and region_share, of the pixels inside.

    About 2 s of one CPU core and 90 bytes a pixel (0.6 GB) for 117 maps of 256 x 256.
    ValueError as in `metrics`, if the counts of images differ, if a normal image has a defect in its mask, or
    for a region of another shape or without a pixel.
    """
    scores, labels = as_pair(scores, labels)
    maps, masks = checked_pixels(labels, maps, masks)
    pixels = _pixels_inside(maps, masks, labels, as_region(region, maps.shape))
    entries = _image_ranked(scores, labels) | _pixel_ranked(pixels)
    entries |= _at_threshold("image", scores, labels, scores[~labels], image_threshold)
    entries |= _at_threshold("pixel", pixels.maps, pixels.masks, pixels.normals, pixel_threshold)
    entries |= {"n_normal": int(np.count_nonzero(~labels)), "n_anomalous": int(np.count_nonzero(labels))}
    entries |= pixels.outside
    undefined = {key: value for key, value in entries.items() if isinstance(value, str)}
    return entries | dict.fromkeys(undefined) | {"undefined": undefined}


def checked_pixels(labels: np.ndarray, maps, masks) -> tuple[np.ndarray, np.ndarray | None]:
    """Maps and masks as arrays that fit the image labels and each other."""
    maps = as_scores(maps, "maps")
    if maps.ndim != 3 or labels.ndim != 1 or len(maps) != len(labels):
        raise ValueError(f"need labels (N,) and maps (N, H, W), got {labels.shape} and {maps.shape}")
    if masks is None:
        return maps, None
    maps, masks = as_pair(maps, masks, ("maps", "masks"))
    contradictions = int(np.count_nonzero(masks.any(axis=(1, 2)) & ~labels))
    if contradictions:
        raise ValueError(f"{contradictions} images are labelled normal but their masks show a defect")
    return maps, masks


@dataclass(frozen=True)
class _Pixels:
    """The pixels that count, P of them: all (then with their axes), or those inside the region in C order."""

    maps: np.ndarray  # (P,) or (N, H, W)
    masks: np.ndarray | None  # as maps
    normals: np.ndarray  # of the images that are labelled normal
    defect: np.ndarray | None  # (D,) number of the defect region of each pixel of maps[masks]
    areas: np.ndarray | None  # (R,) pixels of each defect region that has any
    outside: dict  # what a region leaves out, as entries; empty without one


def _pixels_inside(
    maps: np.ndarray, masks: np.ndarray | None, labels: np.ndarray, region: np.ndarray | None
) -> _Pixels:
    defect, areas = (None, None) if masks is None else label_regions(masks, region)
    if region is None:
        return _Pixels(maps, masks, maps[~labels], defect, areas, {})
    outside = {"region_share": float(np.mean(region))}
    normals = maps[~labels][region[~labels]]
    if masks is None:
        reasons = dict.fromkeys(("n_anomalous_outside_region", "n_regions_outside_region"), NO_MASKS)
        return _Pixels(maps[region], None, normals, None, None, outside | reasons)
    lost = masks.any(axis=(1, 2)) & ~(masks & region).any(axis=(1, 2))
    outside |= {"n_anomalous_outside_region": int(np.count_nonzero(lost))}
    outside |= {"n_regions_outside_region": label_regions(masks)[1].size - areas.size}
    return _Pixels(maps[region], masks[region], normals, defect, areas, outside)


# In the helpers below an entry is a number, or a string: the reason why there is none.


def _image_ranked(scores: np.ndarray, labels: np.ndarray) -> dict:
    keys = ("image_auroc", "image_ap", "image_f1_max_oracle")
    reason = undefined_reason(labels)
    if reason:
        return dict.fromkeys(keys, reason)
    return _curves(keys, scores, labels)


def _pixel_ranked(pixels: _Pixels) -> dict:
    """The pixel and region metrics, or why there are none."""
    keys = ("pixel_auroc", "pixel_ap", "pixel_f1_max_oracle")
    best_iou = "pixel_iou_max_oracle"
    reason = NO_MASKS if pixels.masks is None else undefined_reason(pixels.masks, "pixel")
    if reason:
        counts = NO_MASKS if pixels.masks is None else pixels.areas.size
        return dict.fromkeys((*keys, best_iou, *AUPRO_LIMITS), reason) | {"n_regions": counts}
    limits = list(AUPRO_LIMITS.values())
    normal, defect = pixels.maps[~pixels.masks], pixels.maps[pixels.masks]
    overlaps = pro_areas(normal, defect, 1.0 / pixels.areas[pixels.defect], limits)
    overlap_entries = dict(zip(AUPRO_LIMITS, overlaps, strict=True)) | {"n_regions": pixels.areas.size}
    curves = _curves(keys, pixels.maps, pixels.masks)
    f1 = curves["pixel_f1_max_oracle"]
    return curves | {best_iou: f1 / (2 - f1)} | overlap_entries  # both are largest at the same threshold


def _curves(keys: tuple[str, str, str], scores: np.ndarray, labels: np.ndarray) -> dict:
    """AUROC, AP and F1-max from one sort."""
    ranking = rank(scores, labels)
    curve = precision_recall_of(ranking)
    return dict(zip(keys, (auroc_of(ranking), curve["ap"], curve["f1_max"]), strict=True))


def _at_threshold(level: str, scores, labels, normals, threshold: float | None) -> dict:
    """F1 and the achieved false-positive rate at a calibrated threshold; labels None = no masks."""
    keys = (f"{level}_f1", f"{level}_false_positive_rate")
    if threshold is None:
        return dict.fromkeys(keys, f"no {level} threshold was given")
    reason = NO_MASKS if labels is None else undefined_reason(labels, level)
    f1 = reason or f1_at(scores, labels, threshold)
    rate = false_positive_rate(normals, threshold) if normals.size else "no normal images in the test split"
    return dict(zip(keys, (f1, rate), strict=True))
