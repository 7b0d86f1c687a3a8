"""Move a photo, its mask and its area of real pixels by one rigid motion.

Pixels that the motion brings in from outside are the image mirrored at its border. That is invented, so ``valid_area``
says which pixels are real. A mask is mirrored alike: a mirrored defect can be seen, and only the valid area leaves it
out. The identity changes no bit.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Motion:
    """Turn by ``angle`` degrees counter-clockwise about the centre, then shift ``dx`` right and ``dy`` down, pixels."""

    angle: float = 0.0
    dx: float = 0.0
    dy: float = 0.0

    @property
    def is_identity(self) -> bool:
        """Whether nothing moves at all."""
        return self.angle == self.dx == self.dy == 0

    def inverse(self) -> "Motion":
        """The motion that brings everything back."""
        turn = math.radians(self.angle)
        cos, sin = math.cos(turn), math.sin(turn)
        return Motion(-self.angle, sin * self.dy - cos * self.dx, -cos * self.dy - sin * self.dx)


def warp_image(image: np.ndarray, motion: Motion) -> np.ndarray:
    """Photo (H, W, 3) uint8, moved, bilinear, mirrored at its border; same shape and type."""
    if motion.is_identity:
        return image.copy()
    planes = np.moveaxis(image, -1, 0).astype(np.float32)  # (H, W, 3) -> (3, H, W)
    moved = np.moveaxis(warp(planes, motion, "mirror"), 0, -1)
    return moved.round().clip(0, 255).astype(np.uint8)


def warp_mask(mask: np.ndarray, motion: Motion) -> np.ndarray:
    """Mask (H, W) bool, moved and mirrored as the photo is; True where at least half of what arrives is."""
    if motion.is_identity:
        return mask.copy()
    return warp(mask[None].astype(np.float32), motion, "mirror")[0] >= 0.5


def valid_area(shape: tuple[int, int], motion: Motion) -> np.ndarray:
    """(H, W) bool: True where the moved photo shows real pixels only, none of them mirrored."""
    if motion.is_identity:
        return np.ones(shape, dtype=bool)
    return warp(np.ones((1, *shape), np.float32), motion, "constant", 0.0)[0] > 0.5


def warp(planes: np.ndarray, motion: Motion, mode: str, outside: float = 0.0) -> np.ndarray:
    """Planes (K, H, W) float32, moved, bilinear; ``mode`` is SciPy's: mirror, or constant with ``outside``."""
    turn = math.radians(motion.angle)
    cos, sin = math.cos(turn), math.sin(turn)
    back = np.array([[cos, sin], [-sin, cos]])  # of (y, x), from where a pixel is to where it came from
    centre = (np.array(planes.shape[1:]) - 1) / 2
    offset = centre - back @ (centre + np.array([motion.dy, motion.dx]))
    moved = np.empty_like(planes)
    for plane, output in zip(planes, moved, strict=True):
        ndimage.affine_transform(plane, back, offset, output=output, order=1, mode=mode, cval=outside)
    return moved
