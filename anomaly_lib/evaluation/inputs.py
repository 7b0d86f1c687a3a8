"""What the metrics accept, brought to numpy and checked once, before anything is computed.

Torch is never imported here: a tensor is recognised by its methods, so that AUPRO and thresholds work, and start
quickly, in a process that has no use for torch.
"""

from __future__ import annotations

import numpy as np


def to_numpy(values) -> np.ndarray:
    """An array on the CPU from a numpy array, a torch tensor (any device or dtype), or a list of these.

    Half-precision floats become float32: no bit is lost, and numpy has no bfloat16.
    """
    if isinstance(values, list | tuple) and values and hasattr(values[0], "detach"):
        return np.stack([to_numpy(value) for value in values])
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() and values.itemsize < 4 else values).numpy()
    array = np.asarray(values)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def as_scores(values, name: str = "scores") -> np.ndarray:
    """Finite anomaly scores as a float32 or float64 array of the given shape, contiguous, C order.

    float32 stays float32 (sorting it is faster and exact); integers and lists become float64.
    ValueError if a value is NaN or infinite: a metric would silently rank it somewhere.
    """
    array = to_numpy(values)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    broken = array.size - int(np.count_nonzero(np.isfinite(array)))
    if broken:
        raise ValueError(f"{name} hold {broken} values that are NaN or infinite; they cannot be ranked")
    return np.ascontiguousarray(array)


def as_labels(values, name: str = "labels") -> np.ndarray:
    """Labels or masks as a bool array of the given shape, True = anomalous, contiguous, C order.

    ValueError for any value besides 0 and 1: a mask of 0 and 255, or one resized with interpolation, must be
    binarised by whoever knows what its grey values mean.
    """
    array = to_numpy(values)
    if array.dtype != bool:
        ones = array == 1
        if not np.all(ones | (array == 0)):
            raise ValueError(f"{name} must hold only 0 (normal) and 1 (anomalous)")
        array = ones
    return np.ascontiguousarray(array)


def as_pair(scores, labels, names: tuple[str, str] = ("scores", "labels")) -> tuple[np.ndarray, np.ndarray]:
    """Checked scores and labels of one shape; ValueError if the shapes differ."""
    pair = as_scores(scores, names[0]), as_labels(labels, names[1])
    if pair[0].shape != pair[1].shape:
        shapes = f"{pair[0].shape} and {pair[1].shape}"
        raise ValueError(f"{names[0]} and {names[1]} must have one shape, got {shapes}")
    return pair


def as_maps(maps, masks) -> tuple[np.ndarray, np.ndarray]:
    """``as_pair`` of anomaly maps and masks, both (N, H, W)."""
    return as_pair(maps, masks, ("maps", "masks"))


def as_region(region, shape: tuple[int, ...]) -> np.ndarray | None:
    """A region of interest, (H, W) or (N, H, W), as bool (N, H, W) = `shape`; None for none.

    ValueError for another shape, values besides 0 and 1, or a region without a pixel.
    """
    if region is None:
        return None
    region = as_labels(region, "region")
    if region.shape not in (shape, shape[1:]):
        raise ValueError(f"region must be {shape[1:]} or {shape}, got {region.shape}")
    if not region.any():
        raise ValueError("region has no pixel; nothing would be evaluated")
    return np.broadcast_to(region, shape)


def undefined_reason(labels, level: str = "image") -> str | None:
    """Why a metric over these labels has no value, as a short sentence for the report; None if it has one.

    `labels` is a bool or 0/1 array of any shape, `level` "image" for labels or "pixel" for masks.
    Every metric of this package needs at least one normal and one anomalous element.
    """
    normal, anomalous, split = {
        "image": ("no normal images", "no anomalous images", "the test split holds no images"),
        "pixel": ("no normal pixels", "no defect regions", "the test split holds no pixels"),
    }[level]
    labels = as_labels(labels)
    count = int(np.count_nonzero(labels))
    if labels.size == 0:
        return split
    if count == 0:
        return f"{anomalous} in the test split"
    return f"{normal} in the test split" if count == labels.size else None


def with_reasons(values: dict, entries: dict | None = None) -> dict:
    """Entries and values in one dict; a value that is text, a reason, becomes None and goes to "undefined"."""
    undefined = {key: value for key, value in values.items() if isinstance(value, str)}
    return (entries or {}) | values | dict.fromkeys(undefined) | {"undefined": undefined}
