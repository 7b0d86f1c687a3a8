"""Align a whole category, or move its parts to try that on: copies in the same layout.

In an aligned copy: the photos and masks as PNG, ``valid/<split>/<defect>/NAME.png`` (white: real pixels, black:
mirrored at the border), ``reference.png``, and ``alignment.json`` with what was found for each photo.

In a moved copy every part lies turned and shifted. The border is mirrored, as a camera's would not be: what leaves the
picture is lost, and what comes in is invented. Real photos of a shifted part show more of the table instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.data.folder import Sample
from anomaly_lib.data.images import Problem, read_mask, read_rgb
from anomaly_tools.alignment.estimate import FLOOR, MARGIN, Alignment, align_planes, planes_of
from anomaly_tools.alignment.motion import Motion, valid_area, warp_image, warp_mask
from anomaly_tools.copying import (
    GIGABYTE,
    check_room,
    mask_place,
    new_folder,
    open_source,
    place_of,
    read_sized_mask,
    write_json,
    write_png,
)
from anomaly_tools.disk import bytes_in

if TYPE_CHECKING:
    import torch

CANDIDATES = 30
"""Normal training images, at most, that the reference is chosen from."""
REFERENCE_SEED = 0
ALIGNMENTS, MOVES = "alignment.json", "moves.json"
DEGREES, SHIFT = 15.0, 0.08
"""Largest turn and shift of a moved copy."""


@dataclass(frozen=True)
class Summary:
    """What became of a category."""

    images: int
    moved: int
    """Photos that were moved; the others are copies, pixel by pixel."""
    reference: str
    similarity_before: float
    """Median over all photos."""
    similarity_after: float
    size: int
    """Bytes on disk."""

    def __str__(self) -> str:
        return (
            f"{self.images} images, {self.moved} moved onto {self.reference}, {self.images - self.moved} left as they "
            f"were; median similarity {self.similarity_before:.2f} before, {self.similarity_after:.2f} after; "
            f"{self.size / GIGABYTE:.3g} GB"
        )


def align_category(
    source: Path,
    target: Path,
    reference: Path | None = None,
    progress: bool = True,
    max_gigabytes: float | None = None,
) -> Summary:
    """Write an aligned copy of the category folder ``source`` to the new folder ``target``.

    ``reference`` is a photo; without one it is the normal training image, among at most 30, that resembles the others
    most. No test image has a say in it. All photos must have the reference's size. Interrupted, it leaves nothing,
    and starts anew. Raises InputError for bad input, a target that exists, or too little room.
    """
    category = open_source(source)
    samples = (*category.train, *category.test)
    check_room(samples, target, max_gigabytes)
    chosen = reference if reference is not None else choose_reference(category.train)
    pixels = read_rgb(chosen)
    with new_folder(target, source) as folder:
        found = _align_all(samples, pixels, folder, progress)
        write_png(pixels, folder / "reference.png")
        shown = str(chosen if reference is not None else chosen.relative_to(category.folder))
        record = {"reference": shown, "margin": MARGIN, "floor": FLOOR}
        write_json(record | {"images": {key: value.as_dict() for key, value in found.items()}}, folder / ALIGNMENTS)
    return _summary(list(found.values()), shown, bytes_in(target))


def move_category(
    source: Path,
    target: Path,
    seed: int = 0,
    degrees: float = DEGREES,
    shift: float = SHIFT,
    progress: bool = True,
    max_gigabytes: float | None = None,
) -> int:
    """Write a copy of the category folder ``source`` with each photo moved; returns the number of photos.

    Turns are uniform in plus and minus ``degrees`` (0 to 180), shifts in plus and minus ``shift`` (0 to 0.5) of width
    and height. Each photo's motion depends on the seed and its place in the category alone; ``moves.json`` lists them.
    Masks move along. Raises InputError as ``align_category``, and for a number out of range.
    """
    if not (0 <= degrees <= 180 and 0 <= shift <= 0.5 and seed >= 0):
        given = f"{degrees:g}, {shift:g} and {seed}"
        raise InputError(f"degrees must lie in 0 to 180, shift in 0 to 0.5, seed from 0 on; got {given}")
    category = open_source(source)
    samples, moves = (*category.train, *category.test), {}
    check_room(samples, target, max_gigabytes)
    with new_folder(target, source) as folder:
        for sample in progress_bar(samples, description="move", unit="image", show=progress):
            image, key = read_rgb(sample.path), place_of(sample).as_posix()
            motion = draw_motion(seed, key, image.shape[:2], degrees, shift)
            _write_moved(sample, image, motion, folder)
            moves[key] = {"angle": motion.angle, "dx": motion.dx, "dy": motion.dy}
        write_json({"seed": seed, "degrees": degrees, "shift": shift, "images": moves}, folder / MOVES)
    return len(samples)


def draw_motion(seed: int, key: str, shape: tuple[int, int], degrees: float, shift: float) -> Motion:
    """The motion of one photo (H, W), to a thousandth of a degree and pixel."""
    rng = np.random.default_rng([seed, *key.encode()])
    angle, dx, dy = rng.uniform(-1, 1, 3) * [degrees, shift * shape[1], shift * shape[0]]
    return Motion(*(round(float(value), 3) for value in (angle, dx, dy)))


def choose_reference(samples: Sequence[Sample]) -> Path:
    """The image whose mean similarity to the others is highest, of at most 30 that are drawn with a fixed seed.

    Raises InputError if they differ in size, or without an image.
    """
    if not samples:
        raise InputError("no normal training image to choose a reference from; put some into train/good")
    order = np.random.default_rng(REFERENCE_SEED).permutation(len(samples))[:CANDIDATES]
    drawn = [samples[index] for index in sorted(order.tolist())]
    shape = read_rgb(drawn[0].path).shape
    vectors = np.stack([_unit_vector(planes_of(_read_sized(sample, shape))) for sample in drawn])
    return drawn[int(np.argmax((vectors @ vectors.T).sum(axis=0)))].path


def load_valid_areas(folder: Path, samples: Sequence[Sample], image_size: int) -> torch.Tensor:
    """(N, S, S) bool for samples of the aligned copy ``folder``: True where a resized pixel is wholly real.

    What ``score(images, region=...)`` and ``evaluate(..., region=...)`` take. Raises InputError for a missing file.
    """
    import torch

    areas = torch.empty(len(samples), image_size, image_size, dtype=torch.bool)
    for area, sample in zip(areas, samples, strict=True):
        mask = Image.fromarray(read_mask(Path(folder) / "valid" / place_of(sample)).astype(np.uint8) * 255)
        # a pixel of the box filter is white only if all that it covers is, to half a level of 255
        resized = np.array(mask.resize((image_size, image_size), Image.Resampling.BOX))
        area.copy_(torch.from_numpy(resized == 255))
    return areas


def _align_all(samples: Sequence[Sample], reference: np.ndarray, folder: Path, progress: bool) -> dict[str, Alignment]:
    target, found = planes_of(reference), {}
    for sample in progress_bar(samples, description="align", unit="image", show=progress):
        image = _read_sized(sample, reference.shape)
        alignment = align_planes(planes_of(image), target, max(image.shape[:2]))
        _write_moved(sample, image, alignment, folder)
        write_png(valid_area(image.shape[:2], alignment), folder / "valid" / place_of(sample))
        found[place_of(sample).as_posix()] = alignment
    return found


def _write_moved(sample: Sample, image: np.ndarray, motion: Motion, folder: Path) -> None:
    """Write a sample's photo (H, W, 3) and its mask, both moved."""
    place = place_of(sample)
    write_png(warp_image(image, motion), folder / place)
    if sample.mask_path is not None:
        mask = read_sized_mask(sample.mask_path, image.shape)
        write_png(warp_mask(mask, motion), folder / mask_place(sample, place))


def _read_sized(sample: Sample, shape: tuple[int, ...]) -> np.ndarray:
    """A sample's photo. Raises InputError if its shape is not (H, W, 3) of the reference."""
    image = read_rgb(sample.path)
    if image.shape != shape:
        sizes = f"{image.shape[1]}x{image.shape[0]} and not {shape[1]}x{shape[0]} pixels as the reference"
        raise InputError(Problem(sample.path, f"is {sizes}", "scale all photos to one size first"))
    return image


def _summary(found: list[Alignment], reference: str, size: int) -> Summary:
    before, after = (median(getattr(one, f"similarity_{when}") for one in found) for when in ("before", "after"))
    return Summary(len(found), sum(one.accepted for one in found), reference, before, after, size)


def _unit_vector(planes: np.ndarray) -> np.ndarray:
    """Planes as one vector of norm 1, each part as in ``similarity``."""
    centred = planes - planes.mean(axis=(1, 2), keepdims=True)
    parts = [part / max(float(np.linalg.norm(part)), 1e-6) for part in (centred[:3], centred[3:])]
    return np.concatenate([part.reshape(-1) for part in parts]) / np.sqrt(2)
