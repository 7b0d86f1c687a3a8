"""The drawing surface of the sample renderer: grid, seeded noise and blending.

Everything is computed in float64 on a grid twice as fine as the photograph. Two types of processor may differ
in the last bit of a sine; at 53 bits such a difference is some ten million million times smaller than one of
the 256 levels a pixel is rounded to, so that the files stay equal.

Units: positions and lengths are pixels of the photograph with the origin at its centre, x to the right and y
down. Colours are RGB in [0, 1]. Scalar fields have shape (512, 512), colour fields (512, 512, 3).
"""

import zlib

import numpy as np
from scipy import ndimage

SIZE = 256
SUPERSAMPLE = 2
GRID = SIZE * SUPERSAMPLE

_axis = (np.arange(GRID) + 0.5) / SUPERSAMPLE - SIZE / 2
Y, X = np.meshgrid(_axis, _axis, indexing="ij")


def generator_for(seed: int, *key: object) -> np.random.Generator:
    """A generator that depends on `seed` and `key` alone, so that neither order nor worker count matters."""
    return np.random.Generator(np.random.PCG64([seed, zlib.crc32("/".join(map(str, key)).encode())]))


def rgb(red: float, green: float, blue: float) -> np.ndarray:
    """A colour that broadcasts over a colour field."""
    return np.array([red, green, blue])


def smoothstep(start: float, end: float, value: np.ndarray) -> np.ndarray:
    """0 before `start`, 1 after `end`, smooth in between; `start` may exceed `end` for a falling step."""
    t = np.clip((value - start) / (end - start), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def blend(under: np.ndarray, over: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Colour `over` on colour `under` where the scalar field `weight` (0 to 1) says so."""
    return under + (over - under) * weight[..., None]


def shade(colour: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """A colour or colour field times a scalar field."""
    return colour * factor[..., None]


def rotated(angle: float, x: np.ndarray = X, y: np.ndarray = Y) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along and across a direction, `angle` in radians from the x axis."""
    c, s = np.cos(angle), np.sin(angle)
    return c * x + s * y, c * y - s * x


def value_at(field: np.ndarray, x: float, y: float) -> float:
    """The value of a field at a position in pixels of the photograph."""
    row, column = (int(np.clip((p + SIZE / 2) * SUPERSAMPLE, 0, GRID - 1)) for p in (y, x))
    return field[row, column]


def smooth_noise(rng: np.random.Generator, across: float, along: float | None = None) -> np.ndarray:
    """Gaussian noise of mean 0 and variance 1, blurred by `across` pixels down and `along` sideways.

    Wide noise is drawn on a coarser grid: the same look for a fraction of the time.
    """
    sigmas = [SUPERSAMPLE * s for s in (across, across if along is None else along)]
    steps = [max(1, int(s // 3)) for s in sigmas]
    field = rng.standard_normal([-(-GRID // step) + 1 for step in steps])
    field = ndimage.gaussian_filter(field, [s / step for s, step in zip(sigmas, steps, strict=True)], mode="wrap")
    field = np.ascontiguousarray(_widen(_widen(field, steps[0]).T, steps[1]).T)
    return (field - field.mean()) / field.std()


def _widen(field: np.ndarray, step: int) -> np.ndarray:
    """Linear interpolation of rows that stand `step` apart: (n, m) -> (512, m)."""
    if step == 1:
        return field[:GRID]
    row, between = np.divmod(np.arange(GRID), step)
    below = field[row]
    return below + (field[row + 1] - below) * (between / step)[:, None]


def turned_noise(rng: np.random.Generator, across: float, along: float, angle: float) -> np.ndarray:
    """`smooth_noise` whose streaks run in the direction `angle`; it is mirrored beyond its border."""
    c, s = np.cos(angle), np.sin(angle)
    middle = (GRID - 1) / 2
    # Row and column of the noise are c * row - s * column and s * row + c * column, seen from the middle.
    shift = (middle * (1 - c + s), middle * (1 - s - c))
    field = smooth_noise(rng, across, along)
    return ndimage.affine_transform(field, [[c, -s], [s, c]], shift, order=1, mode="reflect")


def downsample(field: np.ndarray) -> np.ndarray:
    """Means of 2x2 blocks: (512, 512, ...) -> (256, 256, ...)."""
    parts = [field[i::SUPERSAMPLE, j::SUPERSAMPLE] for i in range(SUPERSAMPLE) for j in range(SUPERSAMPLE)]
    return sum(parts) / SUPERSAMPLE**2
