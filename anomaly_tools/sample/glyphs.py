"""The mark "RX50" on the capsule, drawn in strokes, and the ways in which its print can fail."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from .canvas import GRID, SUPERSAMPLE, smooth_noise, smoothstep
from .shapes import stroke_distance

GLYPHS = {
    "R": [
        [(0, 1.6), (0, 0), (0.7, 0), (1, 0.25), (1, 0.6), (0.7, 0.85), (0, 0.85)],
        [(0.55, 0.85), (1, 1.6)],
    ],
    "X": [[(0, 0), (1, 1.6)], [(1, 0), (0, 1.6)]],
    "5": [[(1, 0), (0, 0), (0, 0.7), (0.7, 0.7), (1, 0.95), (1, 1.35), (0.7, 1.6), (0, 1.6)]],
    "0": [[(0.25, 0), (0.75, 0), (1, 0.3), (1, 1.3), (0.75, 1.6), (0.25, 1.6), (0, 1.3), (0, 0.3), (0.25, 0)]],
}
"""Strokes in a box 1 wide and 1.6 high, x to the right and y down."""
MARK = "RX50"
SIZE, GAP = 8.0, 3.2
"""Width of a letter and of the space between two, pixels."""
FAULTS = ("missing", "flipped", "double", "smeared")

Placer = Callable[[np.ndarray], np.ndarray]
"""Maps points (N, 2) of the capsule's frame into the photograph."""


def _letter(place: Placer, strokes: list[np.ndarray], origin: np.ndarray, width: float) -> np.ndarray:
    """Coverage in 0..1 of one letter; `width` is half of the line, pixels."""
    ink = np.zeros((GRID, GRID))
    for stroke in strokes:
        distance, _ = stroke_distance(place(origin + SIZE * stroke), margin=3.0)
        ink = np.maximum(ink, smoothstep(width + 0.5, width - 0.5, distance))
    return ink


def _flipped(stroke: np.ndarray) -> np.ndarray:
    """Upside down and a little shorter, so that X and 0 change as well."""
    return np.stack([1 - stroke[:, 0], 1.6 - 0.8 * stroke[:, 1]], axis=1)


def _smear(ink: np.ndarray, place: Placer, start: np.ndarray) -> np.ndarray:
    """Wet ink dragged along the capsule from `start` on."""
    dragged = np.clip(1.6 * ndimage.gaussian_filter(ink, (0.6 * SUPERSAMPLE, 5 * SUPERSAMPLE)), 0, 1)
    track, _ = stroke_distance(place(start + np.array([[0.0, 0.0], [14.0, 0.0]])), margin=12.0)
    return np.maximum(ink, dragged * smoothstep(10.0, 6.0, track))


def print_mark(rng: np.random.Generator, place: Placer, fault_rng: np.random.Generator | None) -> np.ndarray:
    """Ink coverage (512, 512) in 0..1; with `fault_rng` one of `FAULTS` befalls one letter."""
    corner = np.array([14.0, -4.0]) + 1.2 * rng.standard_normal(2)
    width = 1.05 + rng.normal() * 0.06
    worn = 1 - 0.12 * np.clip(smooth_noise(rng, 1.0), 0, 2)
    fault = "none" if fault_rng is None else FAULTS[fault_rng.integers(len(FAULTS))]
    hit = -1 if fault_rng is None else int(fault_rng.integers(len(MARK)))
    ink = np.zeros((GRID, GRID))
    for number, character in enumerate(MARK):
        origin = corner + np.array([number * (SIZE + GAP), 0.0])
        strokes = [np.array(stroke, dtype=np.float64) for stroke in GLYPHS[character]]
        if fault == "missing" and number == hit:
            continue
        if fault == "flipped" and number == hit:
            strokes = [_flipped(stroke) for stroke in strokes]
        ink = np.maximum(ink, _letter(place, strokes, origin, width))
        if fault == "double" and number >= hit:
            ink = np.maximum(ink, 0.75 * _letter(place, strokes, origin + np.array([2.6, 1.6]), width))
    if fault == "smeared":
        ink = _smear(ink, place, corner + np.array([hit * (SIZE + GAP), 0.8 * SIZE]))
    return np.clip(ink, 0, 1) * worn
