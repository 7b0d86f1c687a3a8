"""Capsule: a red cap on a cream body with a printed mark. Defects: crack, dent, misprint."""

from dataclasses import dataclass

import numpy as np

from .canvas import X, Y, blend, rgb, rotated, shade, smooth_noise, smoothstep
from .glyphs import print_mark
from .shapes import stroke_distance, wandering_line

HALF_LENGTH, RADIUS = 62.0, 39.0
"""Half of the straight part, and the radius of the round ends, pixels."""
CAP, BODY, TABLE = rgb(0.62, 0.20, 0.15), rgb(0.86, 0.78, 0.62), rgb(0.80, 0.80, 0.78)
INK = rgb(0.16, 0.15, 0.20)


@dataclass(frozen=True)
class Pose:
    """Position in pixels, turn in radians."""

    centre: np.ndarray
    turn: float

    def frame(self) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates along and across the capsule."""
        return rotated(self.turn, X - self.centre[0], Y - self.centre[1])

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) of the capsule's frame in the photograph."""
        return np.stack(rotated(-self.turn, points[..., 0], points[..., 1]), axis=-1) + self.centre


@dataclass(frozen=True)
class Shell:
    """The surface: distance to the outline and the unit normal (nx, ny, nz), in the capsule's frame."""

    distance: np.ndarray
    normal: tuple[np.ndarray, np.ndarray, np.ndarray]


def _beyond_straight(along: np.ndarray) -> np.ndarray:
    return np.sign(along) * np.maximum(np.abs(along) - HALF_LENGTH, 0)


def _shell(along: np.ndarray, across: np.ndarray) -> Shell:
    end = _beyond_straight(along)
    nx, ny = end / RADIUS, across / RADIUS
    return Shell(np.hypot(end, across) - RADIUS, _unit(nx, ny))


def _unit(nx: np.ndarray, ny: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return nx, ny, np.sqrt(np.clip(1 - nx**2 - ny**2, 0, 1))


def _normalised(vector: np.ndarray) -> np.ndarray:
    return vector / np.sqrt((vector**2).sum())


def _dented(rng: np.random.Generator, shell: Shell, along: np.ndarray, across: np.ndarray) -> Shell:
    """A place pressed in: the outline retreats and the normals lean towards the pit."""
    side = 1 if rng.random() < 0.5 else -1
    x, y = rng.uniform(-58, 58), side * (RADIUS - rng.uniform(2, 16))
    depth, width = rng.uniform(2.5, 6.0), rng.uniform(8, 14)
    dx, dy = (along - x) / width, (across - y) / (0.9 * width)
    reach = np.clip(1 - (dx**2 + dy**2) / 4, 0, 1) ** 3  # like a Gaussian of that width, but exactly 0 at two widths
    nx, ny, _ = shell.normal
    lean = 0.15 * depth * reach
    return Shell(shell.distance + depth * reach, _unit(nx + lean * dx, ny + lean * dy))


def _light(rng: np.random.Generator, shell: Shell) -> tuple[np.ndarray, np.ndarray]:
    """Diffuse light, and the mirror image of a long soft box, both as fields."""
    nx, ny, nz = shell.normal
    lamp = _normalised(np.array([-0.25 + rng.uniform(-0.04, 0.04), -0.62, 0.74]))
    half = _normalised(lamp + np.array([0.0, 0.0, 1.0]))  # a mirror facing this way shows the lamp to the camera
    diffuse = np.clip(nx * lamp[0] + ny * lamp[1] + nz * lamp[2], 0, 1)
    box_x = smoothstep(0.34, 0.10, np.abs(nx - half[0] - 0.15))
    box_y = smoothstep(0.16, 0.04, np.abs(ny - half[1]))
    return 0.36 + 0.70 * diffuse, box_x * box_y


def _table(rng: np.random.Generator, along: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Matt table with the shadow of the capsule: dark where it touches, soft further out."""
    paper = 1 + 0.012 * smooth_noise(rng, 0.75) + 0.010 * smooth_noise(rng, 20)
    soft = np.hypot(_beyond_straight(along - 3), across - 9) - RADIUS
    contact = np.hypot(_beyond_straight(along - 1), across - 3) - RADIUS
    dark = (1 - 0.38 * smoothstep(18, -12, soft)) * (1 - 0.25 * smoothstep(5, -3, contact))
    return shade(TABLE, paper * dark)


def _gelatine(rng: np.random.Generator, along: np.ndarray, seam: np.ndarray) -> np.ndarray:
    """Colour of cap and body; the cap's lip casts a thin line on the body."""
    dye = 1 + 0.010 * rng.standard_normal((2, 3))
    colour = blend(BODY * dye[0], CAP * dye[1], smoothstep(0.5, -0.5, along - seam))
    lip = 1 - 0.35 * np.exp(-(((along - seam) / 1.1) ** 2))
    return shade(colour, lip * (1 + 0.012 * smooth_noise(rng, 4)))


def _crack(rng: np.random.Generator, pose: Pose, surface: np.ndarray) -> np.ndarray:
    """A jagged split, sometimes forked, dark with a thin bright edge."""
    start = np.array([rng.uniform(-72, 72), rng.uniform(-24, 24)])
    points = wandering_line(rng, pose.place(start), rng.uniform(20, 42), rng.normal() * 0.8, 0.35)
    width, darkness = rng.uniform(0.5, 0.95), rng.uniform(0.45, 0.75)
    distance, position = stroke_distance(points)
    distance = distance - width * np.sin(np.pi * np.clip(position, 0.06, 0.94)) ** 0.4
    if rng.random() < 0.5:
        fork = wandering_line(rng, (0, 0), rng.uniform(7, 14), rng.normal() * 0.6, 0.35, steps=6)
        branch, position = stroke_distance(fork - fork[0] + points[rng.integers(4, 9)])
        distance = np.minimum(distance, branch - 0.8 * width * (1 - 0.7 * position))
    edge = 0.08 * np.exp(-(((distance - 0.8) / 0.6) ** 2))
    return shade(surface, 1 - darkness * smoothstep(0.45, -0.4, distance)) + edge[..., None]


def draw(rng: np.random.Generator, defect: str, defect_rng: np.random.Generator) -> np.ndarray:
    """The scene (512, 512, 3). `rng` draws the same capsule whatever the defect is."""
    pose = Pose(rng.uniform(-6, 6, 2), np.deg2rad(rng.uniform(-12, 12)))
    along, across = pose.frame()
    table = _table(rng, along, across)
    shell = _shell(along, across)
    if defect == "dent":
        shell = _dented(defect_rng, shell, along, across)
    diffuse, mirror = _light(rng, shell)
    surface = shade(_gelatine(rng, along, rng.uniform(-8, -2) + 0.2 * smooth_noise(rng, 15)), diffuse)
    ink = print_mark(rng, pose.place, defect_rng if defect == "misprint" else None)
    surface = blend(surface, shade(INK, 0.6 + 0.4 * diffuse), 0.85 * ink)
    surface = surface + (0.32 * mirror)[..., None]
    surface = shade(surface, 1 - 0.25 * smoothstep(-6, 0, shell.distance))
    if defect == "crack":
        surface = _crack(defect_rng, pose, surface)
    return blend(table, surface, smoothstep(0.6, -0.6, shell.distance))
