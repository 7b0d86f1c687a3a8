"""The lesson on metrics: simulated scores and maps, the shortcuts it warns of, and self-checks of its exercises.

A function named ``wrong_...`` computes what it says wrongly, on purpose: it is here to be looked at, never to be used.
N images, H and W pixels; higher = more anomalous; labels and masks are bool, True = anomalous.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from scipy.special import expit
from scipy.stats import norm, rankdata

from anomaly_lib.evaluation import quantile_threshold
from anomaly_lib.evaluation.curves import label_regions
from anomaly_lib.pipeline.runs import evaluated_runs, read_scores

BLUR = 0.03
"""Standard deviation of the maps' smoothing, as a share of their side."""


class Scored(NamedTuple):
    """The image scores of one detector on one test split, and its threshold from held-out normals."""

    scores: np.ndarray  # (N,)
    labels: np.ndarray  # (N,) bool
    threshold: float


# Scores


def separation(quality: float) -> float:
    """How far apart two normal distributions of variance 1 lie whose scores have the AUROC ``quality``."""
    return float(np.sqrt(2) * norm.ppf(quality))


def half_anomalous(count: int) -> np.ndarray:
    """Labels (count,) of which the second half is anomalous."""
    return np.arange(count) >= count // 2


def drawn_scores(
    labels: np.ndarray, quality: float, shape: tuple[int, int], agreement: float, rng: np.random.Generator
) -> np.ndarray:
    """Scores (repeats, variants, N), where ``shape`` is (repeats, variants): every variant has the same true AUROC.

    ``agreement`` is the correlation of two variants on the same image, as of two epochs of one training.
    """
    repeats, variants = shape
    common = rng.standard_normal((repeats, 1, len(labels)))
    own = rng.standard_normal((repeats, variants, len(labels)))
    return separation(quality) * labels + np.sqrt(agreement) * common + np.sqrt(1 - agreement) * own


def aurocs(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The AUROC of each row of scores (..., N), ties half: (...). As ``image_auroc``, for thousands of rows at once."""
    anomalous, normal = np.count_nonzero(labels), np.count_nonzero(~labels)
    ranks = rankdata(scores, axis=-1)  # 1 ... N, ties share their mean
    return (ranks[..., labels].sum(axis=-1) - anomalous * (anomalous + 1) / 2) / (anomalous * normal)


def oracle_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """ORACLE: the score at which F1 on these very labels is largest. Scores (N,) without ties."""
    order = np.argsort(-scores)
    f1 = 2 * np.cumsum(labels[order]) / (np.arange(1, len(scores) + 1) + np.count_nonzero(labels))
    return float(scores[order][f1.argmax()])


def f1_on_new_images(threshold: float, quality: float, share: float) -> float:
    """F1 of a threshold on endless new images of which ``share`` is anomalous, for the scores of ``drawn_scores``."""
    recall, false_positives = norm.sf(threshold - separation(quality)), norm.sf(threshold)
    found = share * recall + (1 - share) * false_positives
    return float(2 * share * recall / (found + share))


def two_thresholds(
    labels: np.ndarray, quality: float, held_out: int, rate: float, repeats: int, rng: np.random.Generator
) -> list[tuple[float, float, float]]:
    """For each repeat: F1-max on the test images, the threshold that gave it, and the one from held-out normals."""
    rows = []
    for scores in drawn_scores(labels, quality, (repeats, 1), 0.0, rng)[:, 0]:
        oracle = oracle_threshold(scores, labels)
        found = scores >= oracle
        f1 = 2 * np.count_nonzero(found & labels) / (np.count_nonzero(found) + np.count_nonzero(labels))
        rows.append((f1, oracle, quantile_threshold(rng.standard_normal(held_out), rate)))
    return rows


def pipeline_scores(root: Path) -> dict[str, Scored]:
    """What the pipeline's evaluations left under ``reports/evaluate``, by name; empty before it has run."""
    found = {}
    reports = root / "reports"
    for run in evaluated_runs(reports):
        threshold = run.metrics(reports)["image_threshold"]
        _, labels, scores = read_scores(run.file(reports, "scores.csv"))
        if threshold is not None and labels.any() and not labels.all():
            found[run.key] = Scored(scores, labels, threshold)
    return found


def stand_in_scores(labels: np.ndarray, qualities: Sequence[float], rng: np.random.Generator) -> dict[str, Scored]:
    """Simulated detectors in the place of the pipeline's, with thresholds from 12 held-out normals."""
    return {
        f"simulated, AUROC {quality:g}": Scored(
            drawn_scores(labels, quality, (1, 1), 0.0, rng)[0, 0],
            labels,
            quantile_threshold(rng.standard_normal(12), 0.05),
        )
        for quality in qualities
    }


def comparable_pairs(found: Mapping[str, Scored]) -> dict[tuple[str, str], np.ndarray]:
    """Detectors next to each other in ``found`` that were tested on the same part, as scores (2, N) by their names.

    The pipeline's names are ``method-category-seed``; names without a hyphen count as one part.
    """
    parts = {}
    for name in found:
        parts.setdefault(name.partition("-")[2], []).append(name)
    pairs = [pair for names in parts.values() for pair in pairwise(names)]
    return {
        (first, second): np.stack([found[first].scores, found[second].scores])
        for first, second in pairs
        if np.array_equal(found[first].labels, found[second].labels)
    }


def picked_on_half(scores: np.ndarray, labels: np.ndarray, repeats: int, rng: np.random.Generator) -> np.ndarray:
    """AUROC of the better of V scores (V, N) on the random half that it was picked on, and on the other: (repeats, 2).

    Each half holds half of each class.
    """
    rows = []
    for _ in range(repeats):
        shuffled = [rng.permutation(np.flatnonzero(labels == kind)) for kind in (False, True)]
        halves = [np.concatenate([some[k::2] for some in shuffled]) for k in (0, 1)]
        found = np.stack([aurocs(scores[:, half], labels[half]) for half in halves])  # (2, V)
        rows.append(found[:, found[0].argmax()])
    return np.array(rows)


def torchmetrics_auroc(scores: np.ndarray, labels: np.ndarray, batch_size: int) -> float:
    """What torchmetrics says about raw scores (N,) that arrive in batches: right only while all lie in [0, 1]."""
    from torchmetrics.classification import BinaryAUROC

    metric = BinaryAUROC(thresholds=None)
    pairs = zip(torch.tensor(scores).float().split(batch_size), torch.tensor(labels).split(batch_size), strict=True)
    for preds, target in pairs:
        metric.update(preds, target.int())
    return metric.compute().item()


# Maps


def simulated_maps(count: int, side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Maps and masks (count, side, side) of a passable detector: smooth noise, lifted at discs in the second half.

    Each anomalous image has one to three discs; some are faint. Images differ in their level, as real ones do.
    """
    masks = np.stack([_discs(side, rng) if anomalous else np.zeros((side, side), bool) for anomalous in _halves(count)])
    level = rng.normal(0, 0.4, (count, 1, 1))
    lifted = _smooth(masks.astype(float), side) * rng.uniform(3, 8, (count, 1, 1))
    return _smooth_noise((count, side, side), rng) + level + lifted, masks


def saturated(maps: np.ndarray) -> np.ndarray:
    """The maps as a confident softmax would give them: in (0, 1), most values close to 0 or 1, in the same order."""
    return expit(6 * (maps - 2.5))


def pro_curve(maps: np.ndarray, masks: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False-positive rate and per-region overlap at each of T thresholds in descending order: two arrays (T,)."""
    region, areas = label_regions(masks)
    order = np.argsort(maps[masks])
    defect, normal = maps[masks][order], np.sort(maps[~masks])
    weight = 1 / (areas[region] * len(areas))
    gained = np.append(0, np.cumsum(weight[order][::-1]))  # the overlap of the k highest defect pixels
    return (
        1 - np.searchsorted(normal, thresholds) / normal.size,
        gained[defect.size - np.searchsorted(defect, thresholds)],
    )


def spaced_thresholds(maps: np.ndarray, count: int) -> np.ndarray:
    """``count`` thresholds from the highest to the lowest value of the maps, equally spaced."""
    return np.linspace(maps.max(), maps.min(), count)


def area_to(rates: np.ndarray, overlap: np.ndarray, limit: float) -> float:
    """The area under a curve (T,) from rate 0 to ``limit``, whose last point is interpolated, divided by ``limit``."""
    rates, overlap = np.append(0, rates), np.append(0, overlap)
    inside = rates < limit
    x = np.append(rates[inside], limit)
    y = np.append(overlap[inside], np.interp(limit, rates, overlap))
    return float(np.trapezoid(y, x) / limit)


def wrong_area_by_last_rate(rates: np.ndarray, overlap: np.ndarray, limit: float) -> float:
    """WRONG: the area up to ``limit``, divided by the last rate that a threshold reached below it. Can exceed 1."""
    return area_to(rates, overlap, limit) * limit / rates[rates < limit].max()


def wrong_area_of_kept(rates: np.ndarray, overlap: np.ndarray, limit: float) -> float:
    """WRONG: the points below ``limit`` are kept, their rates divided by the last, and the limit is forgotten."""
    kept = rates < limit
    return float(np.trapezoid(overlap[kept], rates[kept] / rates[kept].max()))


def wrong_per_image(maps: np.ndarray) -> np.ndarray:
    """WRONG: every map (N, H, W) stretched from 0 to 1, so that each image has its defect."""
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    return (maps - low) / (high - low)


def wrong_per_batch(scores: np.ndarray, size: int) -> np.ndarray:
    """WRONG: scores (N,) stretched from 0 to 1 within each batch of ``size`` images."""
    batches = np.split(scores, range(size, len(scores), size))
    return np.concatenate([(batch - batch.min()) / max(np.ptp(batch), 1e-12) for batch in batches])


# Masks


def scratch_masks(widths: Sequence[float], side: int, rng: np.random.Generator) -> np.ndarray:
    """One mask (N, side, side) for each width in pixels: two parallel scratches, their gap twice as wide."""
    return np.stack([_scratch_pair(width, side, rng) for width in widths])


def wrong_nearest(masks: np.ndarray, ratio: int) -> np.ndarray:
    """WRONG for thin defects: each new pixel looks at one pixel of ``ratio`` x ``ratio`` (N, H, W)."""
    return masks[:, ::ratio, ::ratio]


def wrong_truncated(masks: np.ndarray, ratio: int) -> np.ndarray:
    """WRONG: bilinear without smoothing, then truncated to whole numbers: only what is 1 altogether survives."""
    pixels = torch.from_numpy(masks)[:, None].double()
    small = F.interpolate(pixels, scale_factor=1 / ratio, mode="bilinear", align_corners=False)
    return small[:, 0].numpy().astype(np.uint8).astype(bool)


def half_covered(masks: np.ndarray, ratio: int) -> np.ndarray:
    """The library's rule (``data.tensors.load_masks``): a new pixel is defect if at least half of it is covered."""
    return coverage(masks, ratio) >= 0.5


def coverage(masks: np.ndarray, ratio: int) -> np.ndarray:
    """The covered share of each new pixel: (N, H, W) bool -> (N, H / ratio, W / ratio) in [0, 1]."""
    return F.avg_pool2d(torch.from_numpy(masks)[:, None].double(), ratio)[:, 0].numpy()


RESIZERS: Mapping[str, Callable] = {
    "nearest": wrong_nearest,
    "bilinear, truncated": wrong_truncated,
    "half covered": half_covered,
}


def scratch_maps(masks: np.ndarray, ratio: int, rng: np.random.Generator) -> np.ndarray:
    """Maps of a passable detector at the reduced size, lifted where the scratches of ``masks`` (N, H, W) are."""
    covered = coverage(masks, ratio)
    blurred = gaussian_filter(covered, (0, 1, 1))
    return _smooth_noise(covered.shape, rng) + 4 * blurred


def enlarged(maps: np.ndarray, ratio: int) -> np.ndarray:
    """Maps (N, h, w) at the size of the files, bilinearly."""
    return F.interpolate(torch.from_numpy(maps)[:, None], scale_factor=ratio, mode="bilinear")[:, 0].numpy()


def region_count(masks: np.ndarray) -> int:
    """How many 8-connected regions the masks (N, H, W) hold."""
    return len(label_regions(masks)[1])


def _halves(count: int) -> list[bool]:
    return half_anomalous(count).tolist()


def _smooth(maps: np.ndarray, side: int) -> np.ndarray:
    return gaussian_filter(maps, (0, BLUR * side, BLUR * side))


def _smooth_noise(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    noise = _smooth(rng.standard_normal(shape), shape[-1])
    return noise / noise.std()


def _discs(side: int, rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side] / side
    mask = np.zeros((side, side), bool)
    for _ in range(rng.integers(1, 4)):
        down, right = rng.uniform(0.15, 0.85, 2)
        mask |= np.hypot(rows - down, columns - right) < rng.uniform(0.04, 0.12)
    return mask


def _scratch_pair(width: float, side: int, rng: np.random.Generator) -> np.ndarray:
    """Two lines of random direction and place, at 1.5 times ``width`` to either side of their middle."""
    rows, columns = np.mgrid[:side, :side]
    angle, (down, right) = rng.uniform(0, np.pi), rng.uniform(0.4, 0.6, 2) * side
    along = (columns - right) * np.cos(angle) + (rows - down) * np.sin(angle)
    across = (rows - down) * np.cos(angle) - (columns - right) * np.sin(angle)
    return (np.abs(np.abs(across) - 1.5 * width) <= width / 2) & (np.abs(along) < 0.35 * side)
