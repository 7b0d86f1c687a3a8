"""Two methods side by side, paired by category, because categories differ more than methods do.

A difference of means alone hides that one easy category may have made it. How often the intervals hold the truth
is simulated: docs/fidelity/intervals.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from anomaly_lib.evaluation.inputs import with_reasons
from anomaly_lib.evaluation.intervals import check_confidence

FEWEST_PAIRS = 6  # with five even a clean sweep has p = 1/16
FEWEST_CATEGORIES = 4  # below, coverage falls with the number; from here on with the shape of the differences alone
FEWEST_SEEDS = 3

Values = Mapping[str, float | Sequence[float] | None]
"""{category: a metric's value, or its values of the seeds in their order}; None or None among them: not defined."""


def compare(first: Values, second: Values, confidence: float = 0.95) -> dict:
    """A metric of two methods compared over the categories where both have it, from each the mean over seeds.

    Keys: pairs (their number); mean_first, mean_second; mean_difference (first - second, the value's unit); wins,
    losses, ties (of the first; higher is better, ties are equal to the bit: round before if that is meant);
    p_value (two-sided Wilcoxon signed-rank test, equal pairs left out as Wilcoxon did); interval (low, high) of the
    mean difference, Student's over categories: what other categories, seeds and images might have given, as all of
    them are in each category's difference; seed_interval, Student's over seeds: what other seeds might have given on
    these categories; left_out, the categories that one side lacks, sorted; undefined {key: reason}.

    None with a reason: p_value below `FEWEST_PAIRS` unequal pairs, interval below `FEWEST_CATEGORIES` pairs,
    seed_interval below `FEWEST_SEEDS` seeds, the means without a pair. Do not test many metrics and report the one
    that wins. ValueError for a value that is not finite, unequal numbers of seeds, or a confidence outside (0, 1).
    """
    check_confidence(confidence)
    sides = _complete(first), _complete(second)
    names = sorted(sides[0].keys() & sides[1].keys())
    pairs = np.array([[side[name] for side in sides] for name in names] or np.empty((0, 2, 1)))
    if not np.isfinite(pairs).all():
        raise ValueError("values to compare must be finite; an undefined metric is None")
    difference = pairs[:, 0] - pairs[:, 1]  # (categories, seeds)
    by_category, by_seed = difference.mean(axis=1), difference.mean(axis=0) if names else np.empty(0)
    entries = _means(pairs.mean(axis=2)) | _signs(by_category) | {"p_value": _signed_rank(by_category)}
    entries["interval"] = _student(by_category, confidence, "categories", FEWEST_CATEGORIES)
    entries["seed_interval"] = _student(by_seed, confidence, "seeds", FEWEST_SEEDS)
    return with_reasons(entries | {"left_out": sorted((first.keys() | second.keys()) - set(names))})


def _complete(values: Values) -> dict[str, np.ndarray]:
    """The values (seeds,) of the categories where every seed has one."""
    listed = {name: np.atleast_1d(np.array(value, dtype=object)) for name, value in values.items()}
    return {name: found.astype(np.float64) for name, found in listed.items() if None not in found.tolist()}


# In the helpers below a value is a number, or a string: the reason why there is none.


def _means(pairs: np.ndarray) -> dict:
    keys = ("mean_first", "mean_second", "mean_difference")
    if not len(pairs):
        return dict.fromkeys(keys, "no category has both values")
    means = (*pairs.mean(axis=0), (pairs[:, 0] - pairs[:, 1]).mean())
    return dict(zip(keys, map(float, means), strict=True))


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


def _student(values: np.ndarray, confidence: float, what: str, fewest: int) -> tuple[float, float] | str:
    """Student's interval of the mean: of `values`, one each of the `what` that were drawn."""
    from scipy.stats import t

    if values.size < fewest:
        return f"too few {what}: {values.size} of {fewest}"
    if values.min() == values.max():
        return f"no spread over {what}"
    low, high = t.interval(confidence, values.size - 1, values.mean(), values.std(ddof=1) / np.sqrt(values.size))
    return float(low), float(high)
