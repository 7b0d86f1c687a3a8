"""Signed distances and outlines: negative inside, positive outside, in pixels of the photograph."""

import numpy as np

from .canvas import GRID, SIZE, SUPERSAMPLE, X, Y, rotated

FAR = 1e3
"""Distance given to the places that a stroke is too far from to matter."""


def blob_distance(
    rng: np.random.Generator, centre: tuple[float, float], radius: float, roughness: float, stretch: float
) -> np.ndarray:
    """Roughly the distance to an irregular patch: an ellipse whose radius carries six random harmonics."""
    x, y = rotated(rng.uniform(0, np.pi), X - centre[0], Y - centre[1])
    x, y = x / stretch, y * stretch
    angle = np.arctan2(y, x)
    outline = np.ones_like(angle)
    for k in range(2, 8):
        outline += roughness * rng.normal() / k * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    return np.hypot(x, y) - radius * np.clip(outline, 0.35, 2.0)


def wandering_line(
    rng: np.random.Generator,
    centre: tuple[float, float],
    length: float,
    bend: float,
    jag: float,
    steps: int = 12,
) -> np.ndarray:
    """A line (steps + 1, 2) that turns by `bend` radians in all and by random `jag` at each step."""
    angles = rng.uniform(0, 2 * np.pi) + np.cumsum(bend / steps + jag * rng.standard_normal(steps))
    moves = length / steps * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.concatenate([np.zeros((1, 2)), np.cumsum(moves, axis=0)])
    return points - points.mean(axis=0) + np.asarray(centre)


def _window(points: np.ndarray, margin: float) -> tuple[slice, slice]:
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    first, last = (np.clip((p + SIZE / 2) * SUPERSAMPLE, 0, GRID).astype(int) for p in (low, high))
    return slice(first[1], last[1] + 1), slice(first[0], last[0] + 1)


def stroke_distance(points: np.ndarray, margin: float = 8.0) -> tuple[np.ndarray, np.ndarray]:
    """Distance to a polyline (N, 2), and how far along it the nearest point lies (0 to 1).

    Only the window around the line is computed; beyond `margin` pixels the distance is `FAR`.
    """
    points = np.asarray(points, dtype=np.float64)
    distance, position = np.full((GRID, GRID), FAR), np.zeros((GRID, GRID))
    window = _window(points, margin)
    x, y, near, along = X[window], Y[window], distance[window], position[window]
    lengths = np.hypot(*np.diff(points, axis=0).T)
    starts = np.concatenate([[0.0], np.cumsum(lengths)])
    for (x0, y0), (x1, y1), length, start in zip(points[:-1], points[1:], lengths, starts[:-1], strict=True):
        t = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / (length**2 + 1e-9), 0.0, 1.0)
        d = np.hypot(x - x0 - t * (x1 - x0), y - y0 - t * (y1 - y0))
        closer = d < near
        near[closer], along[closer] = d[closer], ((start + t * length) / starts[-1])[closer]
    return distance, position
