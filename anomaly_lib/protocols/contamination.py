"""What anomalous images among the training images do to a method: one training per share, one test set for all.

Real training sets are seldom clean. Here anomalous test images are *moved* into the training set, as if nobody had
noticed them, and the method is trained as ever.

Leakage: an image that a method was trained on must not be among its test images, so whatever the largest share takes
is removed from the test images of *every* share. All shares are then measured on the same images, none of which any
training saw. Two consequences: the numbers are not those of the full test split, not even at share 0; and where a
data set has several photographs of one part, moving one of them still leaks, which file names cannot tell.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.data import Sample
from anomaly_lib.data.folder import have_masks
from anomaly_lib.data.tensors import load_masks
from anomaly_lib.evaluation import evaluate, image_auroc
from anomaly_lib.methods.base import Method

METRICS = ("image_auroc", "pixel_auroc", "aupro_030")
COLUMNS = ("share", "normal", "anomalous", *METRICS, "set_aside_auroc")


@dataclass(frozen=True)
class ContaminatedSets:
    """Training sets by share, and what they are all measured on."""

    trainings: dict[float, tuple[Sample, ...]]
    """Share -> all normal training images and, at seeded random places among them, the anomalous ones."""
    set_aside: tuple[Sample, ...]
    """The anomalous images of the largest share, in the order in which they are added; in no test."""
    test: tuple[Sample, ...]
    """The test images that are left, in their old order."""


def contaminated_sets(
    normals: Sequence[Sample], test: Sequence[Sample], shares: Sequence[float], seed: int
) -> ContaminatedSets:
    """Training sets in which a share (0 to below 1) of the images is anomalous, drawn from ``test``.

    No normal image is taken out, so only the contamination differs. A larger share holds the anomalous images of every
    smaller one; defect types take turns, in seeded order. Share 0 is ``normals`` as they are. Raises InputError for a
    share outside [0, 1), one given twice, or one that would leave no anomalous test image.
    """
    if not shares or any(not 0 <= share < 1 for share in shares) or len(set(shares)) != len(shares):
        raise InputError(f"shares {list(shares)}: give distinct shares from 0 to below 1")
    counts = {share: round(share / (1 - share) * len(normals)) for share in shares}
    order = _in_turns([sample for sample in test if sample.is_anomalous], seed)
    most = max(counts.values())
    if most >= len(order):
        raise InputError(
            f"share {max(shares):g} takes {most} anomalous images, and the test split has {len(order)}, "
            "one of which must stay; give a smaller share"
        )
    set_aside = tuple(order[:most])
    trainings = {share: _mixed(normals, order[:count], seed) for share, count in counts.items()}
    return ContaminatedSets(trainings, set_aside, tuple(sample for sample in test if sample not in set_aside))


def _in_turns(anomalous: Sequence[Sample], seed: int) -> list[Sample]:
    """All of them in seeded order, one of each defect type after another."""
    draw = generator(seed, "contamination", "order")
    groups: dict[str, list[Sample]] = {}
    for index in torch.randperm(len(anomalous), generator=draw).tolist():
        groups.setdefault(anomalous[index].defect, []).append(anomalous[index])
    longest = max((len(group) for group in groups.values()), default=0)
    return [group[turn] for turn in range(longest) for group in groups.values() if turn < len(group)]


def _mixed(normals: Sequence[Sample], anomalous: Sequence[Sample], seed: int) -> tuple[Sample, ...]:
    """The anomalous at random places: a method may use the first or last images for something of their own."""
    draw = generator(seed, "contamination", "places")
    mixed = list(normals)
    for sample in anomalous:
        mixed.insert(int(torch.randint(len(mixed) + 1, (), generator=draw)), sample)
    return tuple(mixed)


def contamination_row(detector: Method, sets: ContaminatedSets, share: float, progress: bool = True) -> dict:
    """Fit an untrained ``detector`` at one share and measure it; keys as in ``COLUMNS``.

    Metrics that are not defined are None. ``set_aside_auroc`` compares the set-aside images with the normal test
    images: at share 0 none of them was trained on, at the largest share all were. It tells how far the method has
    learnt to take them for normal, and is no test metric.
    """
    training = sets.trainings[share]
    detector.fit(detector.images(training), progress=progress)
    scored = detector.score(detector.images(sets.test))
    labels = np.array([sample.is_anomalous for sample in sets.test])
    masks = load_masks(sets.test, detector.image_size).numpy() if have_masks(sets.test) else None
    metrics = evaluate(scored.scores, labels, scored.maps, masks)
    anomalous = sum(sample.is_anomalous for sample in training)
    counts = {"share": share, "normal": len(training) - anomalous, "anomalous": anomalous}
    normal_scores = scored.scores.numpy()[~labels]
    return (
        counts | {key: metrics[key] for key in METRICS} | {"set_aside_auroc": _set_aside(detector, sets, normal_scores)}
    )


def _set_aside(detector: Method, sets: ContaminatedSets, normal_scores: np.ndarray) -> float | None:
    if not sets.set_aside or detector.scores_are_relative:
        return None
    scores = detector.score(detector.images(sets.set_aside)).scores.numpy()
    labels = np.repeat([False, True], [len(normal_scores), len(scores)])
    return image_auroc(np.concatenate([normal_scores, scores]), labels)


def contamination_rows(untrained: Callable[[], Method], sets: ContaminatedSets, progress: bool = True) -> list[dict]:
    """``contamination_row`` for each share, each with a new detector from ``untrained()``."""
    return [contamination_row(untrained(), sets, share, progress) for share in sets.trainings]
