"""Nut: a hexagonal nut of brushed steel on a dark mat, in any rotation. Defects: chip, rust, scratch."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from anomaly_course.pdm.shapes import polygon_distance

from .canvas import (
    SUPERSAMPLE,
    X,
    Y,
    blend,
    rgb,
    rotated,
    shade,
    smooth_noise,
    smoothstep,
    turned_noise,
)
from .shapes import blob_distance, stroke_distance, wandering_line

APOTHEM, CORNER = 78.0, 90.0
"""From the centre to a flat side and to a corner, pixels."""
MOUTH, BORE = 41.0, 34.0
"""Radius of the countersink and of the threaded hole, pixels."""
MAT = rgb(0.17, 0.18, 0.20)
STEEL = rgb(1.0, 0.985, 0.95)
RUST_PALE, RUST_DARK = rgb(0.40, 0.24, 0.14), rgb(0.24, 0.15, 0.10)
FRACTURE = rgb(0.33, 0.32, 0.31)


@dataclass(frozen=True)
class Pose:
    """Where the nut lies and where the light comes from; angles in radians."""

    centre: np.ndarray
    scale: float
    turn: float
    light: np.ndarray  # unit vector (2,) towards the lamp

    def hexagon(self, shift: float = 0.0) -> np.ndarray:
        """Distance to the outline, moved by `shift` pixels away from the lamp."""
        x, y = ((w - c + shift * ray) / self.scale for w, c, ray in zip((X, Y), self.centre, self.light, strict=True))
        return self.scale * polygon_distance(*rotated(self.turn, x, y), 6, APOTHEM)

    def polar(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Radius in pixels of the unscaled nut, angle, and the cosine to the lamp."""
        x, y = (X - self.centre[0]) / self.scale, (Y - self.centre[1]) / self.scale
        radius = np.hypot(x, y)
        return radius, np.arctan2(y, x), (x * self.light[0] + y * self.light[1]) / (radius + 1e-6)

    def place(self, radius: float, angle: float) -> np.ndarray:
        """A point of the photograph from polar coordinates in the frame of the nut."""
        return self.centre + self.scale * radius * np.array([np.cos(angle + self.turn), np.sin(angle + self.turn)])

    def place_on_face(self, rng: np.random.Generator, margin: float) -> np.ndarray:
        """A random point between the countersink and the sides, `margin` pixels inside both."""
        angle = rng.uniform(0, 2 * np.pi)
        from_side = np.mod(angle + np.pi / 6, np.pi / 3) - np.pi / 6
        return self.place(rng.uniform(MOUTH + margin, APOTHEM / np.cos(from_side) - margin), angle)


def _pose(rng: np.random.Generator) -> Pose:
    lamp = np.deg2rad(rng.uniform(200, 250))
    light = np.array([np.cos(lamp), np.sin(lamp)])
    return Pose(rng.uniform(-9, 9, 2), rng.uniform(0.97, 1.03), rng.uniform(0, 2 * np.pi), light)


def _mat(rng: np.random.Generator, pose: Pose) -> np.ndarray:
    """Rubber mat with the soft shadow of the nut."""
    grain = 1 + 0.09 * smooth_noise(rng, 1.0) + 0.06 * smooth_noise(rng, 12)
    return shade(MAT * rng.uniform(0.92, 1.08), grain * (1 - 0.6 * smoothstep(14, -6, pose.hexagon(shift=7.0))))


def _brightness(rng: np.random.Generator, pose: Pose, outline: np.ndarray) -> np.ndarray:
    """How much light each place of the steel returns, seen from above."""
    radius, angle, to_lamp = pose.polar()
    brushing = turned_noise(rng, 0.4, 30, pose.turn + rng.normal() * 0.02)
    turning_marks = np.interp(radius, np.arange(0, 260, 0.5), ndimage.gaussian_filter1d(rng.standard_normal(520), 0.8))
    lobes = np.cos(2 * (angle - np.arctan2(pose.light[1], pose.light[0])))  # brushed metal reflects in two lobes
    face = 0.56 + 0.04 * brushing + 0.035 * turning_marks + 0.06 * lobes + 0.03 * smooth_noise(rng, 15)
    # A cone cuts the corners: they fall away from the face, so they catch the lamp or lose it.
    cone = 0.50 + 0.26 * to_lamp + 0.035 * turning_marks
    face = face + (cone - face) * smoothstep(79.5, 81.5, radius)
    slope_y, slope_x = np.gradient(outline, 1 / SUPERSAMPLE)
    face = face + 0.16 * np.exp(-((outline / 1.8) ** 2)) * (slope_x * pose.light[0] + slope_y * pose.light[1])
    countersink = 0.48 - 0.34 * to_lamp + 0.04 * turning_marks
    face = face + (countersink - face) * smoothstep(MOUTH + 0.7, MOUTH - 0.7, radius)
    screw = 0.28 + 0.18 * np.sin(2 * np.pi * radius / 1.9 + angle) - 0.16 * to_lamp
    return face + (screw - face) * smoothstep(BORE + 4.0, BORE + 3.2, radius)


def _scratches(rng: np.random.Generator, pose: Pose, steel: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Up to three grooves: one flank bright or dark, the raised lip the other way round."""
    for _ in range(rng.integers(1, 4)):
        centre, length, bend = pose.place_on_face(rng, 8), rng.uniform(20, 48), rng.normal() * 0.5
        points = wandering_line(rng, centre, length, bend, 0.04, steps=8)
        distance, position = stroke_distance(points)
        width = rng.uniform(0.6, 1.1) * np.sin(np.pi * np.clip(position, 0.05, 0.95)) ** 0.5
        depth = rng.uniform(0.20, 0.36) * (1 if rng.random() < 0.65 else -1)
        groove = smoothstep(0.5, -0.4, distance - width)
        lip = np.exp(-(((distance - width - 0.7) / 0.6) ** 2))
        steel = steel + (face * depth * (groove - 0.45 * lip))[..., None]
    return steel


def _rust(rng: np.random.Generator, pose: Pose, steel: np.ndarray, face: np.ndarray) -> np.ndarray:
    """A patch of corrosion with a pale bloom around and pits in it."""
    centre = pose.place_on_face(rng, 6)
    distance = blob_distance(rng, centre, rng.uniform(5, 13), 0.35, rng.uniform(1, 1.4)) + 1.8 * smooth_noise(rng, 2.5)
    rust = blend(RUST_PALE, RUST_DARK, smoothstep(-0.5, 1.0, smooth_noise(rng, 1.5)))
    rust = shade(rust, 1 + 0.18 * smooth_noise(rng, 0.75))
    bloom = blend(steel, steel * rgb(0.86, 0.72, 0.58), 0.5 * face * smoothstep(5.0, 0.0, distance))
    return blend(bloom, rust, face * rng.uniform(0.5, 0.85) * smoothstep(1.0, -3.0, distance))


def _chip(rng: np.random.Generator, pose: Pose) -> np.ndarray:
    """Distance to the piece that broke off a corner; negative where steel is gone."""
    angle = np.pi / 6 + rng.integers(6) * np.pi / 3 + rng.normal() * 0.08
    centre = pose.place(CORNER + rng.uniform(-4, 3), angle)
    return blob_distance(rng, centre, rng.uniform(10, 19), 0.25, rng.uniform(1, 1.4)) + 0.7 * smooth_noise(rng, 2)


def _fracture(rng: np.random.Generator, steel: np.ndarray, chip: np.ndarray) -> np.ndarray:
    """The broken wall: rough, dull, a few pixels wide and lit from above at its upper edge."""
    wall = smoothstep(4.5, 3.0, chip + 0.8 * smooth_noise(rng, 2))
    rough = 1 + 0.22 * smooth_noise(rng, 0.9) + 0.25 * smoothstep(0.0, 4.0, chip)
    glint = 0.10 * np.exp(-(((chip - 4.2) / 0.8) ** 2))
    return blend(steel, shade(FRACTURE, rough), 0.9 * wall) + glint[..., None]


def draw(rng: np.random.Generator, defect: str, defect_rng: np.random.Generator) -> np.ndarray:
    """The scene (512, 512, 3). `rng` draws the same nut whatever the defect is."""
    pose = _pose(rng)
    mat, outline = _mat(rng, pose), pose.hexagon() + 0.06 * smooth_noise(rng, 3)
    tint = STEEL * (1 + 0.006 * rng.standard_normal(3))
    steel = shade(tint, np.clip(_brightness(rng, pose, outline), 0.03, 1.2))
    radius, _, _ = pose.polar()
    face = smoothstep(-1.0, -2.0, outline) * smoothstep(MOUTH + 1.0, MOUTH + 2.0, radius)
    if defect == "scratch":
        steel = _scratches(defect_rng, pose, steel, face)
    if defect == "rust":
        steel = _rust(defect_rng, pose, steel, face)
    if defect == "chip":
        chip = _chip(defect_rng, pose)
        steel, outline = _fracture(defect_rng, steel, chip), np.maximum(outline, -chip)
    scene = blend(mat, steel, smoothstep(0.6, -0.6, outline))
    return blend(scene, 0.8 * mat, smoothstep(0.7, -0.7, radius - BORE))
