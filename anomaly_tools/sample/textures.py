"""Procedural textures in the shape of DTD: the foreign material that DRAEM blends into normal images.

Each class is a short function from a `Ground` to a field of about 0..1, which four random colours then paint.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from .canvas import SIZE, X, Y, downsample, generator_for, rotated, smooth_noise, smoothstep, turned_noise


@dataclass(frozen=True)
class Ground:
    """What every texture starts from: a generator, turned and wobbling coordinates, a scale of 0.6 to 1.8."""

    rng: np.random.Generator
    angle: float
    u: np.ndarray
    v: np.ndarray
    scale: float

    def noise(self, sigma: float) -> np.ndarray:
        """Smooth noise of variance 1, `sigma` in pixels."""
        return smooth_noise(self.rng, sigma)


def _ground(rng: np.random.Generator) -> Ground:
    angle = rng.uniform(0, 2 * np.pi)
    u, v = (w + 2.5 * smooth_noise(rng, 14) for w in rotated(angle))
    return Ground(rng, angle, u, v, rng.uniform(0.6, 1.8))


def _wave(phase: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.sin(phase)


def _cells(g: Ground) -> tuple[np.ndarray, np.ndarray]:
    """Voronoi cells of random points: one random number a cell, and the distance to its border in pixels."""
    points = g.rng.uniform(-SIZE / 2, SIZE / 2, (int(160 / g.scale**2), 2))
    wobble = 2.5 * g.noise(14)
    distance, nearest = cKDTree(points).query(np.stack([X + wobble, Y + wobble], axis=-1), k=2)
    return g.rng.uniform(0, 1, len(points))[nearest[..., 0]], distance[..., 1] - distance[..., 0]


def _staggered(g: Ground, width: float, height: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows shifted by half a width: row and column numbers, place within the tile in pixels."""
    row = np.floor(g.v / height).astype(int)
    u = g.u + (row % 2) * width / 2
    column = np.floor(u / width).astype(int)
    return row, column, u - column * width, g.v - row * height


def banded(g: Ground) -> np.ndarray:
    return _wave(g.u / (4 * g.scale))


def blotchy(g: Ground) -> np.ndarray:
    large, small = g.noise(4.5 * g.scale), g.noise(2 * g.scale)
    return 0.6 * smoothstep(0.3, 0.5, large) + 0.4 * smoothstep(0.9, 1.1, small) + 0.05 * g.noise(1)


def bricks(g: Ground) -> np.ndarray:
    row, column, x, y = _staggered(g, 34 * g.scale, 15 * g.scale)
    fired = g.rng.uniform(0.35, 0.75, (64, 64))[row % 64, column % 64]
    mortar = smoothstep(3.0, 2.0, np.minimum(x, y))
    return fired * (1 - mortar) + 0.05 * mortar + 0.06 * g.noise(1)


def cells(g: Ground) -> np.ndarray:
    return _cells(g)[0]


def chequered(g: Ground) -> np.ndarray:
    side = 12 * g.scale
    return 0.8 * ((np.floor(g.u / side) + np.floor(g.v / side)) % 2) + 0.1 * g.noise(1)


def cloudy(g: Ground) -> np.ndarray:
    return 0.5 + 0.22 * g.noise(15 * g.scale) + 0.10 * g.noise(4.5 * g.scale) + 0.05 * g.noise(1.5)


def cracked(g: Ground) -> np.ndarray:
    return 0.8 * smoothstep(0, 3, _cells(g)[1]) + 0.08 * g.noise(2)


def dotted(g: Ground) -> np.ndarray:
    pitch = 16 * g.scale
    distance = np.hypot(g.u % pitch - pitch / 2, g.v % pitch - pitch / 2)
    radius = pitch * g.rng.uniform(0.2, 0.38)
    return 0.9 * smoothstep(radius + 0.7, radius - 0.7, distance) + 0.05 * g.noise(0.6)


def fibrous(g: Ground) -> np.ndarray:
    return 0.5 + 0.28 * turned_noise(g.rng, 0.8, 20, g.angle) + 0.1 * g.noise(9)


def grainy(g: Ground) -> np.ndarray:
    return 0.5 + 0.25 * g.noise(g.rng.uniform(0.6, 1.4)) + 0.1 * g.noise(10)


def gridded(g: Ground) -> np.ndarray:
    pitch = 15 * g.scale
    wire = smoothstep(2.5 * g.scale + 0.7, 2.5 * g.scale - 0.7, np.minimum(g.u % pitch, g.v % pitch))
    return 0.95 * wire + (1 - wire) * (0.25 + 0.1 * g.noise(6))


def honeycomb(g: Ground) -> np.ndarray:
    waves = [np.cos(2 * np.pi / (11 * g.scale) * rotated(turn, g.u, g.v)[0]) for turn in np.arange(3) * np.pi / 3 * 2]
    return smoothstep(-1.5, 3, sum(waves)) + 0.05 * g.noise(1)


def knitted(g: Ground) -> np.ndarray:
    pitch = 9 * g.scale
    across = 2 * np.abs((g.u % pitch) / pitch - 0.5)
    return 0.5 + 0.5 * np.sin(2 * np.pi * (g.v / pitch - 0.8 * across)) * (1 - across**4) + 0.05 * g.noise(0.8)


def marbled(g: Ground) -> np.ndarray:
    return _wave(g.u / (14 * g.scale) + 3 * g.noise(10) + 1.2 * g.noise(3.5))


def pebbles(g: Ground) -> np.ndarray:
    value, border = _cells(g)
    return 0.4 * value + 0.6 * smoothstep(0, 8, border)


def scaly(g: Ground) -> np.ndarray:
    pitch = 16 * g.scale
    _, _, x, y = _staggered(g, pitch, pitch / 2)
    return 1 - np.hypot(x - pitch / 2, 1.6 * y) / (0.9 * pitch) + 0.04 * g.noise(1)


def swirly(g: Ground) -> np.ndarray:
    x, y = g.rng.uniform(-SIZE / 2, SIZE / 2, 2)
    return _wave(np.hypot(X - x, Y - y) / (5 * g.scale) + 3 * np.arctan2(Y - y, X - x) + 1.5 * g.noise(11))


def zigzagged(g: Ground) -> np.ndarray:
    pitch = 20 * g.scale
    stripes = np.sin((g.v + np.abs(g.u % pitch - pitch / 2)) / (3.2 * g.scale))
    return 0.1 + 0.8 * smoothstep(-0.3, 0.3, stripes) + 0.05 * g.noise(1)


TEXTURES: dict[str, Callable[[Ground], np.ndarray]] = {
    "banded": banded,
    "blotchy": blotchy,
    "bricks": bricks,
    "cells": cells,
    "chequered": chequered,
    "cloudy": cloudy,
    "cracked": cracked,
    "dotted": dotted,
    "fibrous": fibrous,
    "grainy": grainy,
    "gridded": gridded,
    "honeycomb": honeycomb,
    "knitted": knitted,
    "marbled": marbled,
    "pebbles": pebbles,
    "scaly": scaly,
    "swirly": swirly,
    "zigzagged": zigzagged,
}
"""Class name -> its field."""


def _palette(rng: np.random.Generator) -> np.ndarray:
    """Four colours (4, 3): mostly muted, some saturated."""
    grey, saturation = rng.uniform(0.05, 0.95, (4, 1)), rng.choice([0.08, 0.2, 0.5])
    cast = 0.25 * rng.uniform(-0.5, 0.5, (1, 3))
    return np.clip(grey + saturation * rng.uniform(-0.5, 0.5, (4, 3)) + cast, 0, 1)


def render_texture(texture_class: str, index: int, seed: int) -> np.ndarray:
    """One texture as uint8 (256, 256, 3); raises ValueError if `texture_class` is no key of `TEXTURES`."""
    if texture_class not in TEXTURES:
        raise ValueError(f"unknown texture class {texture_class!r}; known: {', '.join(TEXTURES)}")
    rng = generator_for(seed, "textures", texture_class, index)
    ground, palette = _ground(rng), _palette(rng)
    field = np.clip(TEXTURES[texture_class](ground), 0, 1)
    image = np.stack([np.interp(field, [0, 0.35, 0.7, 1], channel) for channel in palette.T], axis=-1)
    image = downsample(image * (1 + 0.05 * ground.noise(1.5))[..., None])
    image = image + 0.02 * rng.standard_normal(image.shape)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
