"""How often intervals of 95 % hold the truth: simulated, as Markdown tables for docs/fidelity/intervals.md.

    OMP_NUM_THREADS=1 python benchmarks/intervals.py

The AUROC of a test split, by the score interval and by the bootstrap by image that it replaced; the mean difference of
two methods over few categories, by Student's interval and by the bootstrap over categories that it replaced.
"""

import argparse
from itertools import combinations

from anomaly_lib.evaluation.intervals import delong, score_interval
from anomaly_lib.evaluation.resampling import auroc as auroc_of
from anomaly_lib.evaluation.resampling import resampled, summed, tie_groups
from anomaly_lib.reporting.report import published
from anomaly_lib.reporting.tables import markdown_table
from harness import run

import numpy as np
from scipy.stats import norm

AUROCS, SIZES = (0.76, 0.85, 0.9, 0.95, 0.98, 0.99), ((20, 30), (12, 30), (60, 80))
CATEGORIES, BOOTSTRAPS, RESAMPLES = (2, 3, 4, 6, 10, 15), 400, 400


def binormal(deviation: float):
    """Normal scores; the anomalous ones with another deviation, shifted for the AUROC."""

    def draw(rng, auroc, normals, anomalous):
        shift = norm.ppf(auroc) * np.sqrt(1 + deviation**2)
        return rng.normal(size=normals), rng.normal(shift, deviation, anomalous)

    return draw


def exponential(rng, auroc, normals, anomalous):
    return rng.exponential(size=normals), rng.exponential(auroc / (1 - auroc), anomalous)


def some_hidden(rng, auroc, normals, anomalous):
    """A share of the defects looks like normal parts, all others are far away."""
    hidden = rng.random(anomalous) < 2 * (1 - auroc)
    return rng.normal(size=normals), rng.normal(size=anomalous) + np.where(hidden, 0, 50)


SCORES = {
    "equal deviations": binormal(1),
    "anomalous three times as wide": binormal(3),
    "anomalous a third as wide": binormal(0.3),
    "exponential": exponential,
    "some defects hidden, the others plain": some_hidden,
}

DIFFERENCES = {
    "normal": lambda rng, size: rng.normal(size=size),
    "uniform": lambda rng, size: rng.random(size) - 0.5,
    "heavy tails (Student, 3 degrees)": lambda rng, size: rng.standard_t(3, size),
    "skewed (difference of exponentials, 2 : 1)": lambda rng, size: (
        rng.exponential(size=size) - rng.exponential(0.5, size) - 0.5
    ),
    "very skewed (exponential)": lambda rng, size: rng.exponential(size=size) - 1,
}


def auroc_rows(rng: np.random.Generator, trials: int) -> list[dict]:
    """Coverage of the score interval, by kind of scores, sizes and AUROC."""
    rows = []
    for kind, draw in SCORES.items():
        for sizes in SIZES:
            row: dict = {"scores": kind, "images": f"{sizes[0]} + {sizes[1]}"}
            for truth in AUROCS:
                normal, anomalous = draw(rng, truth, (trials, sizes[0]), (trials, sizes[1]))
                found = np.transpose([delong(*pair) for pair in zip(normal, anomalous, strict=True)])
                low, high = score_interval(*found, *sizes, 0.95)
                row[f"{truth:g}"] = f"{np.mean((low <= truth) & (truth <= high)):.3f}"
            rows.append(row | {"mean width at 0.95": f"{_width(draw, rng, sizes):.3f}"})
    return rows


def _width(draw, rng: np.random.Generator, sizes: tuple[int, int]) -> float:
    found = np.transpose([delong(*draw(rng, 0.95, *sizes)) for _ in range(500)])
    low, high = score_interval(*found, *sizes, 0.95)
    return float(np.mean(high - low))


def bootstrap_row(rng: np.random.Generator) -> dict:
    """Coverage of the percentile bootstrap by image, 20 + 30 binormal scores."""
    labels, row = np.arange(50) >= 20, {}
    for truth in AUROCS:
        held = []
        for trial in range(BOOTSTRAPS):
            scores = np.concatenate(binormal(1)(rng, truth, 20, 30))
            groups = tie_groups(scores)
            weights = np.concatenate(list(resampled(labels, trial, RESAMPLES, 50, "benchmark")))
            drawn = auroc_of(summed(weights * ~labels, groups), summed(weights * labels, groups))
            low, high = np.quantile(drawn, [0.025, 0.975])
            held.append(low <= truth <= high)
        row[f"{truth:g}"] = f"{np.mean(held):.3f}"
    return {"interval": "percentile bootstrap by image"} | row


def difference_rows(rng: np.random.Generator, trials: int) -> list[dict]:
    """Coverage of Student's interval and of the bootstrap, by kind of differences and number of categories."""
    rows = []
    for kind, draw in DIFFERENCES.items():
        rows.append({"differences of categories": kind} | _by_count(lambda size, draw=draw: draw(rng, size), 0, trials))
    published_pairs = _published_differences()
    cells = [
        _by_count(lambda size, values=values: rng.choice(values, size), values.mean(), trials // 5)
        for values in published_pairs
    ]
    means = {key: _mean_cell([cell[key] for cell in cells]) for key in cells[0]}
    return [*rows, {"differences of categories": f"published, mean of {len(cells)} pairs of methods"} | means]


def _by_count(draw, truth: float, trials: int) -> dict[str, str]:
    return {f"{n}": " / ".join(f"{c:.2f}" for c in _coverage(draw((trials, n)), truth)) for n in CATEGORIES}


def _coverage(drawn: np.ndarray, truth: float) -> tuple[float, float]:
    """Of Student's interval over all trials (T, n), and of the bootstrap over some of them."""
    from scipy.stats import t

    count = drawn.shape[1]
    half = t.ppf(0.975, count - 1) * drawn.std(axis=1, ddof=1) / np.sqrt(count)
    some = drawn[:BOOTSTRAPS]
    means = some[:, np.random.default_rng(0).integers(count, size=(RESAMPLES, count))].mean(axis=2)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    student = np.abs(drawn.mean(axis=1) - truth) <= half
    return float(np.mean(student)), float(np.mean((low <= truth) & (truth <= high)))


def _published_differences() -> list[np.ndarray]:
    """Differences by category of all pairs of published results that have the same metric of all of MVTec AD."""
    found = []
    for key in ("image_auroc", "pixel_auroc", "aupro_030"):
        tables = [
            {name: values[key] for name, values in entry["per_category"].items() if key in values}
            for entry in published()["entries"]
            if entry["dataset"] == "MVTec AD"
        ]
        for first, second in combinations([table for table in tables if len(table) == 15], 2):
            found.append(np.array([first[name] - second[name] for name in sorted(first)]))
    return found


def _mean_cell(cells: list[str]) -> str:
    values = np.array([[float(part) for part in cell.split(" / ")] for cell in cells])
    return " / ".join(f"{value:.2f}" for value in values.mean(axis=0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    trials, rng = parser.parse_args().trials, np.random.default_rng(0)
    for rows in (auroc_rows(rng, trials), [bootstrap_row(rng)], difference_rows(rng, 5 * trials)):
        print(markdown_table(rows), end="\n\n")
    return 0


if __name__ == "__main__":
    run(main)
