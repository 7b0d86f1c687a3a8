"""Every metric of one run in one dict: what a result row, a table and the README are made of."""

from __future__ import annotations

import numpy as np

from anomaly_lib.evaluation.inputs import as_maps, as_pair, as_region, as_scores, undefined_reason, with_reasons
from anomaly_lib.evaluation.metrics import auroc_of, f1_at, precision_recall_of, rank
from anomaly_lib.evaluation.overlap import label_regions, pro_areas
from anomaly_lib.evaluation.thresholds import false_positive_rate

NO_MASKS = "the data set has no masks"
AUPRO_LIMITS = {"aupro_030": 0.30, "aupro_005": 0.05}  # MVTec AD (IJCV 2021) and the stricter MVTec AD 2
_PIXEL_CURVES = ("pixel_auroc", "pixel_ap", "pixel_f1_max_oracle")


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
    Thresholds, if any, come from held-out normals (`calibrate`); >= is anomalous.

    Keys: image_auroc, image_ap, image_f1_max_oracle; pixel_auroc, pixel_ap, pixel_f1_max_oracle,
    pixel_iou_max_oracle (intersection over union of all pixels), aupro_030, aupro_005; image_f1,
    image_false_positive_rate, pixel_f1, pixel_false_positive_rate (these four need a threshold; the rates are
    over normal test images and their pixels, so they need no masks); n_normal, n_anomalous (images), n_regions
    (defect regions); undefined: {key: reason}.

    region (H, W) or (N, H, W) bool, the region of interest: pixels outside of it count in no pixel metric, rate or
    number of defect regions. Defect regions are numbered on the whole mask and then cut, so that what the cut parts
    stays one. Scores are the caller's (`score(images, region=...)`), and so are thresholds: take `pixel_threshold`
    from normal pixels inside, too. An image keeps the label of its folder, even if all its defect lies outside;
    further keys say how often: n_anomalous_outside_region (images), n_regions_outside_region, and region_share, of
    the pixels inside.

    About 2 s of one CPU core and 90 bytes per pixel (0.6 GB) for 117 maps of 256 x 256.
    ValueError as in `metrics`, if the counts of images differ, if a normal image has a defect in its mask, or
    for a region of another shape or without a pixel.
    """
    scores, labels = as_pair(scores, labels)
    maps, masks = checked_pixels(labels, maps, masks)
    region = as_region(region, maps.shape)
    reason = undefined_reason(labels)
    keys = ("image_auroc", "image_ap", "image_f1_max_oracle")
    entries = dict.fromkeys(keys, reason) if reason else _curves(keys, scores, labels)
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
    overlaps = pro_areas(maps[~masks], maps[masks], 1.0 / areas[number], list(AUPRO_LIMITS.values()))
    curves = _curves(_PIXEL_CURVES, maps, masks)
    f1 = curves["pixel_f1_max_oracle"]
    curves[best_iou] = f1 / (2 - f1)  # both are largest at the same threshold
    return curves | dict(zip(AUPRO_LIMITS, overlaps, strict=True)) | {"n_regions": areas.size}


def _curves(keys: tuple[str, str, str], scores: np.ndarray, labels: np.ndarray) -> dict:
    """AUROC, AP and F1-max from one sort."""
    ranking = rank(scores, labels)
    return dict(zip(keys, (auroc_of(ranking), *precision_recall_of(ranking)), strict=True))


def _at_threshold(level: str, scores, labels, normals, threshold: float | None) -> dict:
    """F1 and the achieved false-positive rate at a threshold; labels None = no masks."""
    keys = (f"{level}_f1", f"{level}_false_positive_rate")
    if threshold is None:
        return dict.fromkeys(keys, f"no {level} threshold was given")
    reason = NO_MASKS if labels is None else undefined_reason(labels, level)
    f1 = reason or f1_at(scores, labels, threshold)
    rate = false_positive_rate(normals, threshold) if normals.size else "no normal images in the test split"
    return dict(zip(keys, (f1, rate), strict=True))
