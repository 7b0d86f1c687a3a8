"""Fabric: a 2/2 twill of blue warp and beige weft. Defects: wrong colour, hole, loose thread."""

from dataclasses import dataclass

import numpy as np

from .canvas import X, Y, blend, rgb, rotated, shade, smooth_noise, smoothstep, value_at
from .shapes import blob_distance, stroke_distance, wandering_line

PITCH = 9.0
"""Distance between neighbouring threads, pixels."""
WARP, WEFT = rgb(0.33, 0.40, 0.52), rgb(0.62, 0.60, 0.54)
WRONG_DYES = [rgb(0.56, 0.34, 0.31), rgb(0.32, 0.46, 0.36), rgb(0.22, 0.24, 0.31), rgb(0.66, 0.54, 0.28)]
LOOSE_DYES = [rgb(0.74, 0.72, 0.66), rgb(0.42, 0.48, 0.60), rgb(0.66, 0.64, 0.57)]
THREADS = 64
"""Entries in a table of one value a thread; the thread number is taken modulo this."""


@dataclass(frozen=True)
class Weave:
    """Where the threads run: all fields (512, 512)."""

    across_warp: np.ndarray
    across_weft: np.ndarray
    warp: np.ndarray  # number of the warp thread, int
    weft: np.ndarray  # number of the weft thread, int
    warp_on_top: np.ndarray  # bool


def _weave(rng: np.random.Generator) -> Weave:
    pitch = PITCH * rng.uniform(0.98, 1.02)
    u, v = (
        (w + rng.uniform(0, 4 * PITCH) + 1.1 * smooth_noise(rng, 25) + 0.35 * smooth_noise(rng, 6)) / pitch
        for w in rotated(np.deg2rad(rng.uniform(-3, 3)))
    )
    warp, weft = np.floor(u).astype(int), np.floor(v).astype(int)
    return Weave(u, v, warp, weft, (warp + weft) % 4 < 2)


def _height(rng: np.random.Generator, weave: Weave) -> np.ndarray:
    """Relief of the cloth in 0..1: round threads that dive under their neighbours."""
    across = np.where(weave.warp_on_top, weave.across_warp, weave.across_weft) % 1.0 - 0.5
    along = np.where(weave.warp_on_top, weave.across_weft, weave.across_warp) % 1.0 - 0.5
    thickness = 0.52 * (1 + 0.05 * _per_thread(rng, weave))
    roundness = np.sqrt(np.clip(1 - (across / thickness) ** 2, 0, 1))
    return roundness * (0.78 + 0.22 * np.cos(2 * np.pi * along))


def _per_thread(rng: np.random.Generator, weave: Weave) -> np.ndarray:
    """One normal number for each thread, spread over what is seen of it."""
    warp, weft = rng.standard_normal((2, THREADS))
    return np.where(weave.warp_on_top, warp[weave.warp % THREADS], weft[weave.weft % THREADS])


def _dyes(rng: np.random.Generator, weave: Weave) -> np.ndarray:
    colour = np.where(weave.warp_on_top[..., None], WARP, WEFT)
    return shade(colour, 1 + 0.05 * _per_thread(rng, weave))


def _light(rng: np.random.Generator, weave: Weave, colour: np.ndarray) -> np.ndarray:
    """Relief, twisted fibres and uneven dye."""
    u, v = PITCH * weave.across_warp, PITCH * weave.across_weft
    twist = np.where(weave.warp_on_top, 0.55 * u + 0.23 * v, 0.55 * v - 0.23 * u)
    fibre = 1 + 0.05 * np.sin(2 * np.pi * twist) + 0.06 * smooth_noise(rng, 0.6)
    return shade(colour, (0.30 + 0.70 * _height(rng, weave)) * fibre * (1 + 0.05 * smooth_noise(rng, 20)))


def _wrong_colour(rng: np.random.Generator, weave: Weave, colour: np.ndarray) -> np.ndarray:
    """One or two threads carry another dye on part of their length."""
    x, y = rng.uniform(-85, 85, 2)
    dye, half = WRONG_DYES[rng.integers(len(WRONG_DYES))], rng.uniform(22, 60)
    count, strength = rng.integers(1, 3), rng.uniform(0.65, 0.95)
    if rng.random() < 0.5:
        number, along, seen = weave.warp, np.abs(Y - y), weave.warp_on_top
    else:
        number, along, seen = weave.weft, np.abs(X - x), ~weave.warp_on_top
    first = value_at(number, x, y)
    chosen = seen & (number >= first) & (number < first + count)
    return blend(colour, dye, strength * chosen * smoothstep(half + 2, half - 2, along))


def _hole(rng: np.random.Generator, weave: Weave, cloth: np.ndarray) -> np.ndarray:
    """A torn place: every thread breaks at its own length, a few frayed ends reach into the dark."""
    centre, radius = rng.uniform(-85, 85, 2), rng.uniform(6, 13)
    distance = blob_distance(rng, centre, radius, 0.2, rng.uniform(1, 1.35))
    distance = distance + 1.6 * _per_thread(rng, weave) + 0.5 * smooth_noise(rng, 1.0)
    pulled = 1 + 0.15 * np.exp(-(((distance - 2.0) / 2.0) ** 2))
    dark = shade(rgb(0.11, 0.11, 0.12), 1 + 0.15 * smooth_noise(rng, 5))
    cloth = blend(shade(cloth, pulled), dark, 0.93 * smoothstep(1.2, -1.2, distance))
    for _ in range(rng.integers(3, 7)):
        turn = rng.uniform(0, 2 * np.pi) + np.array([0.0, rng.normal() * 0.2, rng.normal() * 0.4])
        reach = radius * np.array([1.15, 0.8, rng.uniform(0.3, 0.6)])
        end, _ = stroke_distance(centre + reach[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1))
        cloth = blend(cloth, 0.8 * (WARP if rng.random() < 0.5 else WEFT), 0.8 * smoothstep(0.9, 0.2, end))
    return cloth


def _loose_thread(rng: np.random.Generator, cloth: np.ndarray) -> np.ndarray:
    """A thread that lies on the cloth and casts a shadow."""
    centre, length = rng.uniform(-85, 85, 2), rng.uniform(35, 85)
    points = wandering_line(rng, centre, length, rng.uniform(-3, 3), 0.12, steps=14)
    width, dye = rng.uniform(1.0, 1.6), LOOSE_DYES[rng.integers(len(LOOSE_DYES))]
    shadow, _ = stroke_distance(points + np.array([1.2, 1.6]))
    cloth = shade(cloth, 1 - 0.40 * smoothstep(1.8 * width, 0.3 * width, shadow))
    distance, position = stroke_distance(points)
    body = 1.0 - 0.35 * np.clip(distance / width, 0, 1.5) ** 2 + 0.08 * np.sin(position * length * 2.2)
    return blend(cloth, shade(dye, body), smoothstep(width + 0.4, width - 0.4, distance))


def draw(rng: np.random.Generator, defect: str, defect_rng: np.random.Generator) -> np.ndarray:
    """The scene (512, 512, 3). `rng` draws the same cloth whatever the defect is."""
    weave = _weave(rng)
    colour = _dyes(rng, weave)
    if defect == "color":
        colour = _wrong_colour(defect_rng, weave, colour)
    cloth = _light(rng, weave, colour)
    if defect == "hole":
        cloth = _hole(defect_rng, weave, cloth)
    if defect == "thread":
        cloth = _loose_thread(defect_rng, cloth)
    return cloth
