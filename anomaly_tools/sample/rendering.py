"""One photograph and its mask, from category, defect, index and seed alone."""

import itertools
from types import ModuleType

import numpy as np
from scipy import ndimage

from . import capsule, fabric, nut, wood
from .camera import photograph
from .canvas import SIZE, downsample, generator_for

DEFAULT_SEED = 20240
CATEGORIES: dict[str, tuple[str, ...]] = {
    "fabric": ("color", "hole", "thread"),
    "nut": ("chip", "rust", "scratch"),
    "capsule": ("crack", "dent", "misprint"),
    "wood": ("knot", "scratch", "stain"),
}
"""Category -> its types of defect."""
GOOD = "good"
VISIBLE = 0.045
"""A pixel belongs to the mask where a channel of the noise-free scene changes by more (11 of 255 levels)."""
SMALLEST = 30
"""Pixels a defect needs to count as one; a smaller one is drawn again."""
BRIDGED = {("capsule", "dent"): 6, ("wood", "knot"): 4, ("nut", "chip"): 3, ("nut", "rust"): 3}
"""Gaps of up to twice this many pixels belong to the defect: parts of a dent look as bright as before."""
BRIDGED_DEFAULT = 2

Key = tuple[int, str, str, str, int]
"""Seed, category, split, type of defect or "good", number of the image."""

_PAINTERS: dict[str, ModuleType] = {"fabric": fabric, "nut": nut, "capsule": capsule, "wood": wood}


def _disc(radius: int) -> np.ndarray:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return x * x + y * y <= radius * radius


def changed_region(scene: np.ndarray, flawless: np.ndarray, bridged: int) -> np.ndarray:
    """Mask (256, 256): where two scenes (512, 512, 3) differ visibly; gaps closed, specks dropped."""
    changed = np.abs(downsample(scene) - downsample(flawless)).max(axis=-1) > VISIBLE
    padded = np.pad(changed, bridged)  # closing would otherwise eat into defects that touch the border
    closed = ndimage.binary_closing(padded, _disc(bridged))[bridged:-bridged, bridged:-bridged]
    filled = ndimage.binary_fill_holes(closed)
    regions, count = ndimage.label(filled, structure=np.ones((3, 3)))
    sizes = ndimage.sum_labels(filled, regions, np.arange(count + 1))
    return filled & (sizes >= SMALLEST / 3)[regions]


def _check(category: str, defect: str) -> None:
    if category not in CATEGORIES:
        raise ValueError(f"unknown category {category!r}; known: {', '.join(CATEGORIES)}")
    if defect not in (GOOD, *CATEGORIES[category]):
        raise ValueError(f"unknown defect {defect!r} of {category}; known: good, {', '.join(CATEGORIES[category])}")


def render(
    category: str, defect: str = GOOD, index: int = 0, seed: int = DEFAULT_SEED, split: str = "test"
) -> tuple[np.ndarray, np.ndarray]:
    """A photograph uint8 (256, 256, 3) and the mask of its defect, bool (256, 256).

    `defect` is "good" or one of `CATEGORIES[category]`; `split` ("train" or "test") tells the two series of
    good images apart. Raises ValueError for a name that does not exist.
    """
    _check(category, defect)
    key = (seed, category, split, defect, index)
    flawless = _scene(key, GOOD)
    if defect == GOOD:
        return _shoot(key, flawless), np.zeros((SIZE, SIZE), dtype=bool)
    for attempt in itertools.count():
        scene = _scene(key, defect, attempt)
        mask = changed_region(scene, flawless, BRIDGED.get((category, defect), BRIDGED_DEFAULT))
        if mask.sum() >= SMALLEST:
            break
    return _shoot(key, scene), mask


def render_flawless(category: str, defect: str, index: int = 0, seed: int = DEFAULT_SEED) -> np.ndarray:
    """The photograph uint8 (256, 256, 3) that `render` would give had the defect never happened.

    Object, light and noise are the same. Only teaching and tests have this image; no method may see it.
    """
    _check(category, defect)
    key = (seed, category, "test", defect, index)
    return _shoot(key, _scene(key, GOOD))


def _scene(key: Key, drawn: str, attempt: int = 0) -> np.ndarray:
    """Scene (512, 512, 3) of one object, with the defect `drawn` on it (or "good": none).

    Object, defect and camera have generators of their own: a defect never changes the draws of the rest, so
    that nothing but its own pixels can give it away.
    """
    painter = _PAINTERS[key[1]]
    return painter.draw(generator_for(*key, "object"), drawn, generator_for(*key, "defect", attempt))


def _shoot(key: Key, scene: np.ndarray) -> np.ndarray:
    return photograph(generator_for(*key, "camera"), scene)
