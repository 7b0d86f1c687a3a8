"""Generated video: shapes that cross a scene from left to right, and clips in which one of them does not fit.

Normal: discs and squares of any brightness, one to three of them, each in a lane of its own, rightwards at 0.8 to
1.6 pixels a frame and swaying a little. Anomalous: one of them turns back, runs, jumps, or is of a shape never seen.
The camera and its textured background stand still and are the same in all clips of a seed.

Shapes: T frames, S the side of a frame in pixels. Positions are pixels, x to the right, y down.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Generator, Tensor

from anomaly_course.pdm.shapes import polygon_distance
from anomaly_lib.base.reproducibility import generator

SIZE = 64
FRAMES = 64
LANES = (13.0, 32.0, 51.0)
NORMAL_SHAPES, NEW_SHAPES = ("disc", "square"), ("triangle", "cross")
MOTIONS = ("reversal", "speeding", "jumping")
KINDS = (*MOTIONS, "new shape")
ANOMALOUS_FRAMES = 16
NOISE = 0.02
"""Standard deviation of the camera's noise, frames being in [0, 1]."""

# Where the object is, in x, when its anomalous motion begins: so that it stays in the picture for a while.
_STARTS = {"reversal": (34.0, 54.0), "speeding": (2.0, 14.0), "jumping": (14.0, 36.0)}
_SPEEDING = 2.5
_JUMP_HEIGHT, _JUMP_FRAMES = 7.0, 7


@dataclass(frozen=True, eq=False)
class Clip:
    """One video; equal to itself alone."""

    frames: Tensor
    """(T, S, S) float32 in [0, 1]."""
    labels: Tensor
    """(T,) bool, true where an object behaves or looks anomalous and at least half of it is in the picture."""
    kind: str
    """``normal``, or one of ``KINDS``."""


@dataclass(frozen=True)
class ClipSet:
    """Clips of one scene."""

    fit: list[Clip]
    """Normal."""
    held_out: list[Clip]
    """Normal, not trained on: what normal scores are like."""
    test: list[Clip]
    """Normal ones, and as many of each kind of anomaly."""


@dataclass
class _Object:
    """One moving shape: ``x`` and ``y`` are (T,), one position a frame."""

    shape: str
    radius: float
    brightness: float
    x: np.ndarray
    y: np.ndarray


def clip_set(seed: int, fit: int = 40, held_out: int = 12, test_of_a_kind: int = 8) -> ClipSet:
    """So many normal clips to fit and to hold out, and so many test clips of each kind, normal included."""
    test = [clip for kind in ("normal", *KINDS) for clip in make_clips(seed, "test", kind, test_of_a_kind)]
    return ClipSet(make_clips(seed, "fit", "normal", fit), make_clips(seed, "held out", "normal", held_out), test)


def make_clips(seed: int, purpose: str, kind: str, count: int, frames: int = FRAMES) -> list[Clip]:
    """``count`` clips of ``kind``; another ``purpose``, for example "fit" or "test", gives other clips of the scene.

    Raises ValueError for a kind that does not exist.
    """
    if kind not in ("normal", *KINDS):
        raise ValueError(f"there is no kind '{kind}' of clip; there are normal, {', '.join(KINDS)}")
    scene = background(seed)
    draws = (generator(seed, "pdm", purpose, kind, str(index)) for index in range(count))
    return [_make_clip(scene, kind, frames, draw) for draw in draws]


def background(seed: int) -> np.ndarray:
    """The still scene, (S, S) in about 0.1 to 0.5: blotches and fine grain."""
    noise = torch.randn(2, SIZE, SIZE, generator=generator(seed, "pdm", "background")).numpy()
    blotches, grain = gaussian_filter(noise[0], 6.0, mode="wrap"), gaussian_filter(noise[1], 0.8, mode="wrap")
    return 0.3 + 0.08 * blotches / blotches.std() + 0.05 * grain / grain.std()


def _make_clip(scene: np.ndarray, kind: str, frames: int, draw: Generator) -> Clip:
    lanes = torch.randperm(len(LANES), generator=draw)[: 1 + int(_uniform(draw, 0, len(LANES)))].tolist()
    objects = [_normal_object(LANES[lane], frames, draw) for lane in lanes]
    labels = np.zeros(frames, dtype=bool)
    if kind != "normal":
        odd = objects[0]
        unusual = _misbehave(odd, kind, frames, draw)
        coverage = _opacity(odd).sum(axis=(1, 2))
        labels = unusual & (coverage >= 0.5 * coverage.max())
    pictures = np.repeat(scene[None], frames, axis=0)
    for moving in objects:
        pictures += _opacity(moving) * (moving.brightness - pictures)
    noise = NOISE * torch.randn(frames, SIZE, SIZE, generator=draw)
    return Clip((torch.from_numpy(pictures).float() + noise).clamp(0, 1), torch.from_numpy(labels), kind)


def _normal_object(lane: float, frames: int, draw: Generator) -> _Object:
    shape = NORMAL_SHAPES[int(_uniform(draw, 0, len(NORMAL_SHAPES)))]
    radius, brightness = _uniform(draw, 4.5, 7.0), _uniform(draw, 0.65, 1.0)
    steps = np.full(frames, _uniform(draw, 0.8, 1.6))
    x = _around(_uniform(draw, 0, SIZE) + np.cumsum(steps), radius)
    sway, period, phase = _uniform(draw, 0, 1.5), _uniform(draw, 16, 32), _uniform(draw, 0, 2 * np.pi)
    y = lane + _uniform(draw, -2, 2) + sway * np.sin(2 * np.pi * np.arange(frames) / period + phase)
    return _Object(shape, radius, brightness, x, y)


def _misbehave(odd: _Object, kind: str, frames: int, draw: Generator) -> np.ndarray:
    """Make ``odd`` anomalous, in place; return (T,) bool, in which frames it is."""
    speed, time = _uniform(draw, 0.8, 1.6), np.arange(frames)
    first = int(_uniform(draw, 0.25, 0.5) * frames)
    if kind == "new shape":  # it comes in at the left at about the frame ``first``
        odd.shape = NEW_SHAPES[int(_uniform(draw, 0, len(NEW_SHAPES)))]
        odd.x = -odd.radius + speed * (time - first)
        return np.ones(frames, dtype=bool)
    unusual = (time >= first) & (time < first + ANOMALOUS_FRAMES)
    factor = {"reversal": -1.0, "speeding": _SPEEDING, "jumping": 1.0}[kind]
    travelled = np.cumsum(np.where(unusual, factor * speed, speed))
    start = _uniform(draw, *_STARTS[kind])
    odd.x = _around(start + travelled - travelled[first], odd.radius)
    if kind == "jumping":
        odd.y = odd.y - unusual * _JUMP_HEIGHT * np.abs(np.sin(np.pi * (time - first + 1) / _JUMP_FRAMES))
    return unusual


def _around(x: np.ndarray, radius: float) -> np.ndarray:
    """What has left the picture on one side comes in again on the other."""
    margin = radius + 2
    return np.mod(x + margin, SIZE + 2 * margin) - margin


def _opacity(moving: _Object) -> np.ndarray:
    """(T, S, S): 1 inside, 0 outside, and between them on the pixels that the outline crosses."""
    axis = np.arange(SIZE) + 0.5
    x = axis[None, None, :] - moving.x[:, None, None]
    y = axis[None, :, None] - moving.y[:, None, None]
    return np.clip(0.5 - _distance(moving.shape, x, y, moving.radius), 0, 1)


def _distance(shape: str, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Signed distance to an outline, negative inside; all shapes of one radius cover about the same area."""
    if shape == "disc":
        return np.hypot(x, y) - radius
    if shape == "square":
        return np.maximum(np.abs(x), np.abs(y)) - 0.89 * radius
    if shape == "triangle":
        return polygon_distance(x, y, 3, 0.78 * radius)
    long, short = np.maximum(np.abs(x), np.abs(y)), np.minimum(np.abs(x), np.abs(y))
    return np.maximum(long - 1.3 * radius, short - 0.37 * radius)  # a cross


def _uniform(draw: Generator, low: float, high: float) -> float:
    return low + (high - low) * torch.rand((), generator=draw, dtype=torch.float64).item()
