"""A box around each defect region that a map shows."""

from dataclasses import dataclass

import numpy as np

from anomaly_lib.evaluation.thresholds import is_anomalous


@dataclass(frozen=True)
class Box:
    """An 8-connected region of a map at or above the pixel threshold; its box in pixels of the photo."""

    left: int
    top: int
    width: int
    height: int
    area_share: float
    """Area of the region, not of its box, as a share of the photo."""
    peak: float
    """Largest value of the map in the region, in the model's units."""


def boxes_of(values: np.ndarray, threshold: float, photo: tuple[int, int]) -> tuple[Box, ...]:
    """Boxes in a map (H, W) or (S, S) of a photo (height, width), the highest peak first; outwards to whole pixels."""
    from scipy import ndimage

    labels, _ = ndimage.label(is_anomalous(values, threshold), np.ones((3, 3)))
    rows, columns = (length / side for length, side in zip(photo, values.shape, strict=True))
    found = []
    for number, (down, right) in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels[down, right] == number
        top, bottom = int(down.start * rows), int(np.ceil(down.stop * rows))
        left, end = int(right.start * columns), int(np.ceil(right.stop * columns))
        share, peak = np.count_nonzero(inside) / values.size, values[down, right][inside].max()
        found.append(Box(left, top, end - left, bottom - top, float(share), float(peak)))
    return tuple(sorted(found, key=lambda box: -box.peak))
