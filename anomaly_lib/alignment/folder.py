"""Align a whole category: a copy in the same layout, with the area of real pixels of every photo.

In the copy: the photos and masks as PNG, ``valid/<split>/<defect>/NAME.png`` (white: real pixels, black: mirrored at
the border), ``reference.png``, and ``alignment.json`` with what was found for each photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from anomaly_lib.alignment.apply import valid_area
from anomaly_lib.alignment.copying import (
    GIGABYTE,
    check_room,
    new_folder,
    open_source,
    place_of,
    read_sized,
    write_json,
    write_moved,
    write_png,
)
from anomaly_lib.alignment.estimate import FLOOR, MARGIN, Alignment, align_planes, planes_of
from anomaly_lib.base.disk import bytes_in
from anomaly_lib.base.errors import InputError
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.data.folder import Sample
from anomaly_lib.data.images import read_mask, read_rgb

if TYPE_CHECKING:
    import torch

CANDIDATES = 30
"""Of so many normal training images at most the reference is one."""
REFERENCE_SEED = 0
RECORD = "alignment.json"


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
        write_json(record | {"images": {key: value.as_dict() for key, value in found.items()}}, folder / RECORD)
    return _summary(list(found.values()), shown, bytes_in(target))


def choose_reference(samples: Sequence[Sample]) -> Path:
    """The image whose mean similarity to the others is highest, of at most 30 that are drawn with a fixed seed.

    Raises InputError if they differ in size, or without an image.
    """
    if not samples:
        raise InputError("no normal training image to choose a reference from; put some into train/good")
    order = np.random.default_rng(REFERENCE_SEED).permutation(len(samples))[:CANDIDATES]
    drawn = [samples[index] for index in sorted(order.tolist())]
    shape = read_rgb(drawn[0].path).shape
    vectors = np.stack([_unit_vector(planes_of(read_sized(sample, shape))) for sample in drawn])
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
        image = read_sized(sample, reference.shape)
        alignment = align_planes(planes_of(image), target, max(image.shape[:2]))
        write_moved(sample, image, alignment, folder)
        write_png(valid_area(image.shape[:2], alignment), folder / "valid" / place_of(sample))
        found[place_of(sample).as_posix()] = alignment
    return found


def _summary(found: list[Alignment], reference: str, size: int) -> Summary:
    before, after = (median(getattr(one, f"similarity_{when}") for one in found) for when in ("before", "after"))
    return Summary(len(found), sum(one.accepted for one in found), reference, before, after, size)


def _unit_vector(planes: np.ndarray) -> np.ndarray:
    """Planes as one vector of norm 1, each part as in ``similarity``."""
    centred = planes - planes.mean(axis=(1, 2), keepdims=True)
    parts = [part / max(float(np.linalg.norm(part)), 1e-6) for part in (centred[:3], centred[3:])]
    return np.concatenate([part.reshape(-1) for part in parts]) / np.sqrt(2)
