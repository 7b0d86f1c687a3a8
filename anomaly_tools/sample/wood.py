"""Wood: a planed softwood board with growth rings and pores. Defects: knot, scratch, stain."""

from dataclasses import dataclass

import numpy as np

from .canvas import X, Y, blend, rgb, rotated, shade, smooth_noise, smoothstep, turned_noise
from .shapes import blob_distance, stroke_distance, wandering_line

EARLY, LATE = rgb(0.78, 0.60, 0.40), rgb(0.50, 0.32, 0.18)
BRUISED, BARE = rgb(0.25, 0.15, 0.09), rgb(0.87, 0.76, 0.60)
KNOT_PALE, KNOT_DARK = rgb(0.40, 0.24, 0.13), rgb(0.24, 0.13, 0.07)
STAINS = [rgb(0.66, 0.62, 0.60), rgb(0.78, 0.66, 0.56), rgb(0.64, 0.68, 0.72)]
"""What each stain leaves of the light, at full strength."""


@dataclass(frozen=True)
class Knot:
    """A knot's place: centre and radius in pixels, and its distance field in board coordinates."""

    radius: float
    across: np.ndarray
    distance: np.ndarray


def _place_knot(rng: np.random.Generator, along: np.ndarray, across: np.ndarray) -> Knot:
    x, y = rng.uniform(-85, 85, 2)
    radius = rng.uniform(6, 12)
    distance = np.hypot((along - x) / rng.uniform(1.15, 1.5), across - y) + 0.8 * smooth_noise(rng, 3)
    return Knot(radius, across - y, distance)


def _bent_round(knot: Knot) -> np.ndarray:
    """How far the rings give way to the knot, pixels; nothing beyond 2.2 radii."""
    reach = np.clip(1 - (knot.distance / (2.2 * knot.radius)) ** 2, 0, 1)
    return -0.55 * knot.across * reach**2


def _rings(rng: np.random.Generator, across: np.ndarray, angle: float) -> np.ndarray:
    """Darkness of the growth rings in 0..1: slowly from early to late wood, then abruptly back."""
    # A strong wave makes the flames of a flat-sawn board, a weak one the stripes of a quarter-sawn board.
    wave = rng.uniform(6, 18) * turned_noise(rng, 25, 90, angle) + 2 * turned_noise(rng, 9, 60, angle)
    spacing = rng.uniform(11.5, 14.5)
    phase = (across + wave) / spacing + 0.5 * turned_noise(rng, 35, 150, angle) + rng.uniform(0, 1)
    year = phase - np.floor(phase)
    return np.where(year < 0.82, year / 0.82, (1 - year) / 0.18)


def _board(rng: np.random.Generator, across: np.ndarray, angle: float) -> np.ndarray:
    rings = _rings(rng, across, angle)
    fibres = turned_noise(rng, 0.6, 15, angle) + turned_noise(rng, 1.25, 40, angle)
    darkness = 0.55 * rings + 0.10 * fibres + 0.08 * smooth_noise(rng, 15) + rng.uniform(-0.04, 0.04)
    board = blend(EARLY, LATE, np.clip(darkness, 0, 1))
    pores = smoothstep(2.1, 2.7, turned_noise(rng, 0.5, 3.5, angle))
    return shade(board, 1 - 0.35 * pores)


def _paint_knot(rng: np.random.Generator, board: np.ndarray, knot: Knot) -> np.ndarray:
    rings = 0.5 + 0.5 * np.sin(2.1 * knot.distance + 0.8 * smooth_noise(rng, 2))
    heart = blend(KNOT_PALE, KNOT_DARK, 0.8 * rings)
    halo = 1 - 0.25 * np.exp(-(((knot.distance - knot.radius) / 2.5) ** 2))
    return blend(shade(board, halo), heart, 0.9 * smoothstep(knot.radius + 1.5, knot.radius - 1.5, knot.distance))


def _scratch(rng: np.random.Generator, board: np.ndarray) -> np.ndarray:
    """One or two lines in which the fibres are either bruised dark or torn to bare wood."""
    place = rng.uniform(-85, 85, 2)
    for _ in range(rng.integers(1, 3)):
        centre, length = place + 8 * rng.standard_normal(2), rng.uniform(30, 75)
        points = wandering_line(rng, centre, length, rng.normal() * 0.4, 0.05, steps=8)
        distance, position = stroke_distance(points)
        width = rng.uniform(0.6, 1.2) * np.sin(np.pi * np.clip(position, 0.05, 0.95)) ** 0.4
        colour = BARE if rng.random() < 0.5 else BRUISED
        groove = smoothstep(0.5, -0.4, distance - width)
        board = blend(board, colour, rng.uniform(0.45, 0.7) * (1 + 0.15 * smooth_noise(rng, 1.5)) * groove)
    return board


def _stain(rng: np.random.Generator, board: np.ndarray) -> np.ndarray:
    """A dried liquid: transparent, uneven, darkest at its border."""
    centre, radius = rng.uniform(-85, 85, 2), rng.uniform(9, 20)
    distance = blob_distance(rng, centre, radius, 0.25, rng.uniform(1, 1.3)) + 0.7 * smooth_noise(rng, 4)
    inside = smoothstep(2.5, -2.5, distance)
    tint = STAINS[rng.integers(len(STAINS))]
    strength = rng.uniform(0.65, 1.0) * inside * (1 + 0.12 * smooth_noise(rng, 6))
    rim = np.exp(-(((distance + 1.2) / 1.8) ** 2)) * rng.uniform(0.04, 0.12)
    return shade(blend(board, board * tint, strength), 1 - rim)


def draw(rng: np.random.Generator, defect: str, defect_rng: np.random.Generator) -> np.ndarray:
    """The scene (512, 512, 3). `rng` draws the same board whatever the defect is."""
    angle = np.deg2rad(rng.uniform(-4, 4))
    along, across = rotated(angle, X, Y)
    if defect != "knot":
        board = _board(rng, across, angle)
    else:
        knot = _place_knot(defect_rng, along, across)
        board = _paint_knot(defect_rng, _board(rng, across + _bent_round(knot), angle), knot)
    if defect == "scratch":
        board = _scratch(defect_rng, board)
    if defect == "stain":
        board = _stain(defect_rng, board)
    return board
