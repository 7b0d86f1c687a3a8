"""Write a changed copy of a category, aligned or tiled, whole or not at all."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from anomaly_lib.base.errors import InputError, refused
from anomaly_lib.data.folder import Category, Sample, load_category
from anomaly_lib.data.images import Header, Problem, read_header, read_mask
from anomaly_tools.disk import free_bytes

GIGABYTE = 1e9
BYTES_PER_PIXEL = 5
"""Red, green, blue, mask and valid area, uncompressed: PNG files of photos take about half of it."""


def open_source(source: Path) -> Category:
    """The category in the folder ``source``. Raises InputError as ``load_category``, or if two copies had one name."""
    source = source.resolve()
    category = load_category(source.parent, source.name)
    taken: dict[Path, Path] = {}
    for sample in (*category.train, *category.test):
        other = taken.setdefault(place_of(sample), sample.path)
        if other != sample.path:
            message = f"would be {place_of(sample).name} in the copy, and so would {other.name}"
            raise InputError(Problem(sample.path, message, "rename one of the two"))
    return category


def place_of(sample: Sample) -> Path:
    """Where a sample's copy lies inside the category."""
    return Path(sample.split, sample.defect, f"{sample.path.stem}.png")


def check_room(
    samples: Sequence[Sample],
    target: Path,
    max_gigabytes: float | None,
    pixels: Callable[[Header], int] = lambda header: header.width * header.height,
) -> int:
    """The most bytes that copies can take, read from the images' headers; ``pixels`` says how many a copy has.

    Raises InputError if that is more than ``max_gigabytes`` or than what is free where ``target`` will lie.
    """
    need = sum(BYTES_PER_PIXEL * pixels(read_header(sample.path)) for sample in samples)
    if max_gigabytes is not None and need > max_gigabytes * GIGABYTE:
        message = f"the copy may take {need / GIGABYTE:.3g} GB, more than the {max_gigabytes:g} GB that are allowed"
        raise InputError(Problem(target, message, "raise --max-gigabytes or scale the photos down"))
    free = free_bytes(target)
    if need > free:
        message = f"the copy may take {need / GIGABYTE:.3g} GB, and {free / GIGABYTE:.3g} GB are free"
        raise InputError(Problem(target, message, "free some space or name a folder on another disk"))
    return need


@contextmanager
def new_folder(target: Path, source: Path) -> Iterator[Path]:
    """An empty folder beside ``target`` that becomes it when the block ends well, and is removed otherwise.

    Raises InputError if ``target`` holds something already, is a file, lies in ``source`` or around it, or cannot be
    written.
    """
    target, source = target.resolve(), source.resolve()
    if target.is_relative_to(source) or source.is_relative_to(target):
        raise InputError(Problem(target, f"overlaps its source {source}", "name a folder outside of it"))
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(Problem(target, "already exists", "remove it or name another folder"))
    partial = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
        yield partial
        if target.is_dir():  # known to be empty
            target.rmdir()
        partial.chmod(0o755)  # a temporary folder is private
        partial.rename(target)
    except OSError as error:
        raise refused(error, target, "cannot be written") from error
    finally:
        if partial:
            shutil.rmtree(partial, ignore_errors=True)


def mask_place(sample: Sample, place: Path) -> Path:
    """Where the mask of a copy lies inside the category, for the place of the copy."""
    return Path("ground_truth", sample.defect, f"{place.stem}_mask.png")


def read_sized_mask(file: Path, shape: tuple[int, ...]) -> np.ndarray:
    """A mask (H, W). Raises InputError if it has another size than its image (H, W, 3)."""
    mask = read_mask(file)
    if mask.shape != shape[:2]:
        raise InputError(Problem(file, "has another size than its image", "scale the mask to the image"))
    return mask


def write_png(pixels: np.ndarray, file: Path) -> None:
    """(H, W, 3) uint8 as colour, (H, W) bool as 0 and 255. Makes the folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels).save(file, "PNG")


def write_json(content: Any, file: Path) -> None:
    """Indented, one line at the end."""
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
