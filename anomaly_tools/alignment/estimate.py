"""How far a photo is turned and shifted against a reference, and whether that can be believed.

1. Both become four planes that light changes little: colour, and the size of the gradient, slightly blurred.
2. Every angle in steps of 3 degrees is tried on small planes; for each, a Fourier correlation gives the best shift.
   Trying all is cheap at this size and, unlike the spectrum of the image, cannot confuse an angle with its opposite.
3. The best few are refined (Nelder-Mead) on small planes; the best of those, and the smallest turn that is nearly as
   good, on planes of 128 pixels.
4. Gate: the similarity must rise by ``MARGIN`` to at least ``FLOOR``, or the photo stays as it is. A wrong motion does
   more harm than none.

Similarity is the mean of two normalised cross-correlations, of colour and of gradient size, over the pixels that are
real after the motion; 1 for equal images, about 0 for unrelated ones.

Planes are (4, H, W) float32: red, green, blue, gradient size. A is the number of angles.
"""

from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image
from scipy import fft, ndimage
from scipy.optimize import minimize

from anomaly_lib.base.errors import InputError
from anomaly_tools.alignment.motion import Motion, warp

WORK_SIDE = 128
"""The longer side of the planes, pixels; a photo is scaled down to it, never up."""
BLUR = 1.5
"""Of the planes, pixels."""
STEP, STARTS, APART = 3.0, 6, 10.0
"""Degrees between the angles that are tried; how many of them are refined; degrees between two of these."""
MARGIN, FLOOR = 0.05, 0.4
"""A motion is applied if it raises the similarity by the first, to at least the second."""
LARGEST_SHIFT = 0.35
"""Of the side. Beyond it so little is left to compare that chance matches win."""
TIE = 0.01
"""Of motions that are this close in similarity (a symmetric part has several) the smallest turn is taken."""


@dataclass(frozen=True)
class Alignment(Motion):
    """The motion that brings a photo onto its reference, in pixels of the photo."""

    similarity_before: float = 0.0
    similarity_after: float = 0.0
    """With the motion that is applied, so equal to the one before where none is."""
    accepted: bool = False
    """Whether there is a motion to apply: False means identity, of a photo in place or one that fits nowhere."""

    def as_dict(self) -> dict[str, float | bool]:
        """For JSON, rounded: the last bits differ between machines."""
        return {key: value if isinstance(value, bool) else round(value, 4) for key, value in asdict(self).items()}


def estimate_alignment(image: np.ndarray, reference: np.ndarray) -> Alignment:
    """Find the motion that brings ``image`` onto ``reference``, both (H, W, 3) uint8 of one size.

    Any turn, and shifts up to 0.35 of the longer side; scale is not searched. An image that equals the reference
    gives exactly the identity. Raises InputError for two sizes.
    """
    if image.shape != reference.shape or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(
            f"only photos of one size can be aligned, got {_size(image)} and {_size(reference)} pixels; "
            "resize them to one size first"
        )
    return align_planes(planes_of(image), planes_of(reference), max(image.shape[:2]))


def align_planes(image: np.ndarray, reference: np.ndarray, side: int) -> Alignment:
    """As ``estimate_alignment``, from the planes of both and the photo's longer side in pixels."""
    before = similarity(image, reference, Motion())
    found = _search(image, reference) if before < 1 - MARGIN else []
    best = max((after for after, _ in found), default=before)
    if best < max(before + MARGIN, FLOOR):
        return Alignment(0.0, 0.0, 0.0, before, before, accepted=False)
    after, motion = min((pair for pair in found if pair[0] > best - TIE), key=lambda pair: abs(pair[1].angle))
    scale = side / max(image.shape[1:])
    return Alignment(motion.angle, motion.dx * scale, motion.dy * scale, before, after, accepted=True)


def planes_of(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> planes, the longer side at most 128: blurred red, green, blue, and gradient size."""
    scale = min(1.0, WORK_SIDE / max(image.shape[:2]))
    if scale < 1:
        size = tuple(max(8, round(side * scale)) for side in image.shape[1::-1])
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    colour = np.moveaxis(image, -1, 0).astype(np.float32) / 255  # (H, W, 3) -> (3, H, W)
    gradient = ndimage.gaussian_gradient_magnitude(colour.mean(axis=0), BLUR)
    return np.concatenate([ndimage.gaussian_filter(colour, (0, BLUR, BLUR)), gradient[None]])


def similarity(image: np.ndarray, reference: np.ndarray, motion: Motion) -> float:
    """Similarity, -1 to 1, of planes after a motion in their pixels; -1 if less than half stays in view."""
    moved = warp(image, motion, "constant", np.nan)
    valid = ~np.isnan(moved[0])
    if 2 * np.count_nonzero(valid) < valid.size:
        return -1.0
    ours, theirs = moved[:, valid], reference[:, valid]
    ours, theirs = (values - values.mean(axis=1, keepdims=True) for values in (ours, theirs))
    return (_cosine(ours[:3], theirs[:3]) + _cosine(ours[3:], theirs[3:])) / 2


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / size if size > 1e-6 else 0.0


def _search(image: np.ndarray, reference: np.ndarray) -> list[tuple[float, Motion]]:
    """The best motions, in pixels of the planes, each with its similarity."""
    small, small_reference = _halved(image), _halved(reference)
    rough = [_refined(small, small_reference, start, 60) for start in _starts(small, small_reference)]
    best = max(rough, key=lambda pair: pair[0])
    smallest = min((pair for pair in rough if pair[0] > best[0] - 2 * TIE), key=lambda pair: abs(pair[1].angle))
    contenders = [best[1]] if smallest is best else [best[1], smallest[1]]
    doubled = [Motion(motion.angle, 2 * motion.dx, 2 * motion.dy) for motion in contenders]
    return [_refined(image, reference, start, 80) for start in doubled]


def _halved(planes: np.ndarray) -> np.ndarray:
    """Planes at half size, each pixel the mean of four."""
    height, width = (side // 2 for side in planes.shape[1:])
    return planes[:, : 2 * height, : 2 * width].reshape(len(planes), height, 2, width, 2).mean(axis=(2, 4))


def _starts(image: np.ndarray, reference: np.ndarray) -> list[Motion]:
    """The best few of all angles, at least ``APART`` from each other, each with its best shift."""
    angles = np.arange(-180.0, 180.0, STEP)
    floating = _floating(image)
    turned = np.stack([warp(floating, Motion(angle), "constant") for angle in angles])
    peaks, shifts = _best_shifts(turned, _floating(reference))
    chosen: list[int] = []
    for index in np.argsort(-peaks, kind="stable"):
        if all(abs(_wrapped(angles[index] - angles[other])) >= APART for other in chosen):
            chosen.append(index)
        if len(chosen) == STARTS:
            break
    return [Motion(float(angles[i]), *map(float, shifts[i])) for i in chosen]


def _floating(planes: np.ndarray) -> np.ndarray:
    """Planes whose border is about zero, so that it does not matter where an image ends; both parts of norm 1."""
    border = np.concatenate([planes[:, 0], planes[:, -1], planes[:, :, 0], planes[:, :, -1]], axis=1)
    levelled = planes - np.median(border, axis=1)[:, None, None]
    parts = levelled[:3], levelled[3:]
    return np.concatenate([part / max(float(np.linalg.norm(part)), 1e-6) for part in parts])


def _best_shifts(turned: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of planes turned by each angle (A, 4, H, W): the highest correlation, (A,), and its shift (dx, dy), (A, 2)."""
    height, width = reference.shape[1:]
    padded = (2 * height, 2 * width)
    spectra = fft.rfft2(turned, padded).conj() * fft.rfft2(reference, padded)
    correlation = fft.irfft2(spectra.sum(axis=1), padded)  # (A, 2H, 2W) at [dy, dx], negative ones wrapped
    dy, dx = (fft.fftfreq(2 * side, 1 / (2 * side)) for side in (height, width))
    limit = LARGEST_SHIFT * max(height, width)
    near = (np.abs(dy) <= limit)[:, None] & (np.abs(dx) <= limit)
    flat = np.where(near, correlation, -np.inf).reshape(len(turned), -1)
    places = flat.argmax(axis=1)
    return flat.max(axis=1), np.stack([dx[places % len(dx)], dy[places // len(dx)]], axis=1)


def _refined(image: np.ndarray, reference: np.ndarray, start: Motion, evaluations: int) -> tuple[float, Motion]:
    """The similarity that is reached from a start, and where."""
    limit = LARGEST_SHIFT * max(image.shape[1:])

    def loss(values: np.ndarray) -> float:
        motion = Motion(*map(float, values))
        return 1.0 if max(abs(motion.dx), abs(motion.dy)) > limit else -similarity(image, reference, motion)

    first = np.array([start.angle, start.dx, start.dy])
    simplex = first + np.vstack([np.zeros(3), 2 * np.eye(3)])
    options = {"initial_simplex": simplex, "xatol": 0.02, "fatol": 1e-5, "maxfev": evaluations}
    found = minimize(loss, first, method="Nelder-Mead", options=options)
    angle, dx, dy = map(float, found.x)
    return -float(found.fun), Motion(_wrapped(angle), dx, dy)


def _wrapped(degrees: float) -> float:
    return (degrees + 180) % 360 - 180


def _size(image: np.ndarray) -> str:
    return "x".join(map(str, image.shape[1::-1]))
