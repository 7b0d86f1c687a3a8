"""Split the normal training samples into those a method is fitted on and those held out to set thresholds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from anomaly_lib.base.errors import InputError
from anomaly_lib.data.folder import Sample
from anomaly_lib.data.images import Problem


def split_normals(
    samples: Sequence[Sample], held_out: float, seed: int | np.random.Generator
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Return (fit, held_out) samples, both in the order of their file names.

    ``held_out`` is the share (0 to 1, both exclusive) that is held out, rounded, with at least one sample
    on either side. The draw depends on the seed and the order of the file names only: neither on where the
    folder lies nor on the order of ``samples``. Raises InputError for fewer than two samples, ValueError
    for another share.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"held_out must lie between 0 and 1, both exclusive, got {held_out}")
    ordered = sorted(samples, key=lambda sample: sample.path.name)
    if len(ordered) < 2:
        raise InputError(too_few(ordered))
    count = min(max(round(len(ordered) * held_out), 1), len(ordered) - 1)
    drawn = set(np.random.default_rng(seed).permutation(len(ordered))[:count].tolist())
    fit = tuple(sample for index, sample in enumerate(ordered) if index not in drawn)
    return fit, tuple(ordered[index] for index in sorted(drawn))


def too_few(samples: Sequence[Sample]) -> Problem:
    """What is wrong with fewer than two normal training samples."""
    if not samples:
        return Problem(Path("train/good"), "has no normal training image", "put at least two there")
    return Problem(samples[0].path, "is the only normal training image", "add more: one is held out to set thresholds")
