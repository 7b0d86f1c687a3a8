"""Does a bundle say what the trained model said? Runs it in ONNX Runtime on its reference; no torch, no data needed."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from anomaly_lib.base.errors import InputError
from anomaly_lib.data.images import squeezed
from anomaly_lib.export.bundle import CARD, LEVELS, MODEL, REFERENCE, RESIZES, BundledDetector, digest_of, read_record
from anomaly_lib.export.card import card

BOUND = 1e-4
"""Largest difference of maps and scores, as a share of the largest reference value of that output."""


def verify(folder: Path) -> list[str]:
    """What is wrong with a bundle, one line for each; an empty list if nothing is.

    Raises InputError when there is no bundle at all.
    """
    record = read_record(folder)
    missing = [f"{name}: missing; export again" for name in (MODEL, REFERENCE, CARD) if not (folder / name).is_file()]
    return missing or [*_changed(folder, record), *_differences(folder, record)]


def _changed(folder: Path, record: dict[str, Any]) -> Iterator[str]:
    """Files that are not those of the export, and a rule that is not this version's."""
    for name, expected in record["digests"].items():
        if (folder / name).is_file() and digest_of(folder / name) != expected:
            yield f"{name}: its digest is not the one in bundle.json"
    if (folder / CARD).read_bytes() != card(record).encode():
        yield f"{CARD}: does not say what bundle.json says"
    if record["resize"] not in RESIZES.values():
        yield f"bundle.json: resizing rule {record['resize']}, which is none of this version's"


def _differences(folder: Path, record: dict[str, Any]) -> Iterator[str]:
    """What thresholds, preparation and model give otherwise than the reference has it."""
    try:
        with np.load(folder / REFERENCE, allow_pickle=False) as arrays:
            reference = dict(arrays)
        images, size, detector = reference["images"], record["image_size"], BundledDetector(folder, record)
        for level, expected in zip(LEVELS, reference["thresholds"], strict=True):
            found = record["thresholds"].get(level)
            if not np.array_equal(expected, np.float64(np.nan if found is None else found), equal_nan=True):
                yield f"bundle.json: {level} threshold {found}, the reference was decided with {expected:.9g}"
        seen = squeezed(reference["photo"], size, detector.image_resize)
        if images.shape[1:] != (3, size, size) or not np.array_equal(seen, images[0]):
            yield f"bundle.json: a photo resized to {size} pixels is not the image that the reference has"
            return
        maps, scores, pictures = detector.see(images, explain=True)
    except (OSError, ValueError, LookupError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        yield f"{REFERENCE}: damaged ({' '.join(str(error).split())})"
        return
    except InputError as error:
        yield str(error)
        return
    for name, values in ({"score": scores, "map": maps} | pictures).items():
        yield from _difference(name, values, reference.get(f"output_{name}"))
    yield from _decisions(scores, reference)


def _difference(name: str, found: np.ndarray, expected: np.ndarray | None) -> Iterator[str]:
    if expected is None or found.shape != expected.shape:
        yield f"{MODEL}: output {name} is not in the reference, or of another shape"
        return
    scale = float(np.abs(expected).max()) or 1.0
    apart = np.abs(found.astype(np.float64) - expected) / scale
    # a code or a colour may tip over at a place where two are equally near; maps and scores may not
    worst = float(apart.max() if name in ("map", "score") else np.quantile(apart, 0.999))
    if not worst <= BOUND:
        yield f"{MODEL}: {name} differs by {worst:.2g} of its largest value, more than {BOUND:g}"


def _decisions(scores: np.ndarray, reference: dict[str, np.ndarray]) -> Iterator[str]:
    threshold = reference["thresholds"][0]
    for index, (found, expected) in enumerate(zip(scores, reference["output_score"], strict=True)):
        if (found >= threshold) != (expected >= threshold):
            yield f"{MODEL}: reference image {index} is decided otherwise: score {found:.6g} instead of {expected:.6g}"
