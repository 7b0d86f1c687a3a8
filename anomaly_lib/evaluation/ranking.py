"""The one sort behind the curves, and the one door to torchmetrics.

AUROC, average precision and F1-max depend only on the order of the scores and on their ties. So the whole
split is sorted once, and what goes on to torchmetrics are its ranks.

Why a door: torchmetrics silently passes scores through a sigmoid when any of them lies outside
[0, 1]. That is harmless to the order only on paper: in float32 every score past about 17 becomes 1, so
DFR's and DMAD's unbounded maps would collapse into ties, and batch by batch the order itself changes.
Ranks lie in [0, 1) and are equal exactly where the scores are equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_EXACT_IN_FLOAT32 = 2**24  # every integer up to here is a float32


@dataclass(frozen=True)
class Ranking:
    """n scores from highest to lowest, with their labels: 5 bytes a score (9 beyond 2^24 distinct ones)."""

    levels: np.ndarray  # (n,) float32 or float64 in [0, 1), non-increasing, tied as the scores are
    labels: np.ndarray  # (n,) bool, True = anomalous; the order within a tie means nothing

    def tensors(self):
        """The (preds, target) pair for torchmetrics' exact mode, `thresholds=None`.

        Being sorted already makes torchmetrics two to four times faster than maps would: it sorts again,
        but finds order, and its gathers walk through memory in sequence.
        """
        import torch

        return torch.from_numpy(self.levels), torch.from_numpy(self.labels)


def rank(scores: np.ndarray, labels: np.ndarray) -> Ranking:
    """Sort finite float scores with bool labels, both of one shape, and number the tie groups.

    O(n log n); peak 14 bytes a score for float32, 18 for float64, besides the input. Scores that differ in
    their last bit stay apart; -0.0 ties with 0.0.
    """
    values, labels = _sorted(scores, labels)
    return Ranking(np.ascontiguousarray(_levels(values)[::-1]), np.ascontiguousarray(labels[::-1]))


def _sorted(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores in ascending order and the labels that belong to them, flat.

    The two classes are sorted apart and merged: a sort of plain numbers takes half the time and memory of
    an argsort, and there are few anomalous pixels to be looked up.
    """
    normal, anomalous = np.sort(scores[~labels]), np.sort(scores[labels])
    place = np.searchsorted(normal, anomalous) + np.arange(anomalous.size)
    merged_labels = np.zeros(scores.size, dtype=bool)
    merged_labels[place] = True
    values = np.empty(scores.size, dtype=scores.dtype)
    values[merged_labels], values[~merged_labels] = anomalous, normal
    return values, merged_labels


def _levels(ascending: np.ndarray) -> np.ndarray:
    """Dense ranks of sorted scores from 0, scaled by a power of two so that they are exact and below 1."""
    integer = np.int32 if ascending.size < 2**31 else np.int64
    group = np.zeros(ascending.size, dtype=integer)
    np.cumsum(ascending[1:] != ascending[:-1], out=group[1:])
    small = group[-1] < _EXACT_IN_FLOAT32
    levels = group.astype(np.float32 if small else np.float64)
    levels *= 2.0**-24 if small else 2.0**-53
    return levels
