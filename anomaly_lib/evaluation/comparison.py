"""Two methods side by side: paired by category, because categories differ more than methods do.

A difference of means alone hides that one easy category may have made it. Which method wins how often, whether
that could be chance, and between what bounds the mean difference lies say more.
"""

from __future__ import annotations

import numpy as np

from anomaly_lib.evaluation.inputs import with_reasons
from anomaly_lib.evaluation.intervals import check_resampling

FEWEST_PAIRS = 6  # with five even a clean sweep has p = 1/16


def compare(
    first: dict[str, float | None],
    second: dict[str, float | None],
    seed: int = 0,
    resamples: int = 10_000,
    confidence: float = 0.95,
) -> dict:
    """A metric of two methods, {category: value} each, compared over the categories where both have one.

    Keys: pairs (their number); mean_first, mean_second; mean_difference (first - second, the value's unit); wins,
    losses, ties (of the first; higher is better, ties are equal to the bit: round before if that is meant);
    p_value (two-sided Wilcoxon signed-rank test, exact, equal pairs left out as Wilcoxon did);
    interval (low, high) of the mean difference, percentile bootstrap over categories; left_out, the categories
    that only one side has, sorted; undefined {key: reason}.

    p_value is None with fewer than six unequal pairs, the interval with fewer than two pairs, the means with none.
    The p-value counts categories as a sample from all that might have been, and knows nothing of seeds: one run
    with another seed may turn it around. Do not test many metrics and report the one that wins.
    ValueError for a value that is NaN or infinite, no resamples, or a confidence outside (0, 1).
    """
    check_resampling(resamples, confidence)
    names = sorted(name for name in first if first[name] is not None and second.get(name) is not None)
    pairs = np.array([(first[name], second[name]) for name in names], dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(pairs).all():
        raise ValueError("values to compare must be finite; an undefined metric is None")
    difference = pairs[:, 0] - pairs[:, 1]
    entries = _means(pairs) | _signs(difference)
    entries |= {"p_value": _signed_rank(difference), "interval": _interval(difference, seed, resamples, confidence)}
    return with_reasons(entries | {"left_out": sorted((first.keys() | second.keys()) - set(names))})


# In the helpers below a value is a number, or a string: the reason why there is none.


def _means(pairs: np.ndarray) -> dict:
    keys = ("mean_first", "mean_second", "mean_difference")
    if not len(pairs):
        return dict.fromkeys(keys, "no category has both values")
    first, second = pairs.mean(axis=0)
    return dict(zip(keys, (float(first), float(second), float((pairs[:, 0] - pairs[:, 1]).mean())), strict=True))


def _signs(difference: np.ndarray) -> dict[str, int]:
    wins, losses = int(np.count_nonzero(difference > 0)), int(np.count_nonzero(difference < 0))
    return {"pairs": difference.size, "wins": wins, "losses": losses, "ties": difference.size - wins - losses}


def _signed_rank(difference: np.ndarray) -> float | str:
    """Two-sided p of the signed-rank sum among all 2^n choices of signs, each as likely.

    Scipy's exact table supposes that no two differences are equally large; metrics of few images often are.
    So the distribution is built up rank by rank; with half ranks doubled every sum is a whole number.
    Source: Wilcoxon, Biometrics Bulletin 1945; the same as `scipy.stats.wilcoxon(method="exact")` without ties.
    """
    from scipy.stats import rankdata

    difference = difference[difference != 0]
    if difference.size < FEWEST_PAIRS:
        return f"{difference.size} unequal pairs: the signed-rank test needs at least {FEWEST_PAIRS}"
    doubled = np.round(2 * rankdata(np.abs(difference))).astype(int)
    chance = np.zeros(doubled.sum() + 1)  # of each sum of the doubled ranks with a positive sign
    chance[0] = 1.0
    for step in doubled:
        chance[step:] = (chance[step:] + chance[: chance.size - step]) / 2
        chance[:step] /= 2
    observed = doubled[difference > 0].sum()
    return float(min(1.0, 2 * min(chance[: observed + 1].sum(), chance[observed:].sum())))


def _interval(difference: np.ndarray, seed: int, resamples: int, confidence: float) -> tuple[float, float] | str:
    """Percentile bootstrap of the mean over categories."""
    from anomaly_lib.base.reproducibility import derived_seed

    if difference.size < 2:
        return f"{difference.size} pairs: an interval needs two"
    rng = np.random.default_rng(derived_seed(seed, "comparison"))
    means = difference[rng.integers(difference.size, size=(resamples, difference.size))].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
