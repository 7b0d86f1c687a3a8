"""Alignment: bring every photo of a category onto one reference before a method sees it.

``estimate`` finds the motion, ``motion`` carries it out, ``folder`` does so for a category, or makes a moved copy to
try it on. Everything here works without torch, but for ``folder.load_valid_areas``.
"""

from anomaly_tools.alignment.estimate import Alignment, estimate_alignment
from anomaly_tools.alignment.folder import align_category, load_valid_areas, move_category
from anomaly_tools.alignment.motion import Motion, valid_area, warp_image, warp_mask

__all__ = [
    "Alignment",
    "Motion",
    "align_category",
    "estimate_alignment",
    "load_valid_areas",
    "move_category",
    "valid_area",
    "warp_image",
    "warp_mask",
]
