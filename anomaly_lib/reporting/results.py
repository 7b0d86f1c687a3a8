"""From the metrics of each run to tables. Numbers are read and averaged here, never typed.

A cell is one method on one category; with several random seeds it shows mean ± standard deviation, and in brackets the
worst seed. A run that was not made is "not run", a metric that cannot be computed "not defined": neither is ever 0.
"""

import csv
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anomaly_lib.params import Params
from anomaly_lib.registry import METHODS, baselines_last, shown_name

NOT_RUN, NOT_DEFINED = "not run", "not defined"
# Textures first, then objects: the order in which TNVision's tables show MVTec AD.
MVTEC_ORDER = [
    "carpet",
    "grid",
    "leather",
    "tile",
    "wood",
    "bottle",
    "cable",
    "capsule",
    "hazelnut",
    "metal_nut",
    "pill",
    "screw",
    "toothbrush",
    "transistor",
    "zipper",
]


@dataclass(frozen=True)
class Metric:
    """One column of results.csv that also has a table of its own in results.md."""

    key: str
    title: str
    definition: str


METRICS = (
    Metric("image_auroc", "Image AUROC", "area under the ROC curve of image scores"),
    Metric("pixel_auroc", "Pixel AUROC", "area under the ROC curve over all pixels of the test split, pooled"),
    Metric(
        "pixel_f1",
        "Pixel F1",
        "F1 of pixels at the threshold that held-out normals gave; no test label is used",
    ),
    Metric("pixel_f1_max_oracle", "Pixel F1, oracle", "the largest F1 over all thresholds, chosen on test labels"),
    Metric(
        "image_f1",
        "Image F1",
        "F1 of images at the threshold that held-out normals gave; no test label is used",
    ),
    Metric("image_f1_max_oracle", "Image F1, oracle", "the largest F1 over all thresholds, chosen on test labels"),
    Metric("image_ap", "Image AP", "average precision of image scores, by steps"),
    Metric("pixel_ap", "Pixel AP", "average precision over pixels, by steps"),
    Metric(
        "aupro_030",
        "AUPRO 0.3",
        "per-region overlap, integrated to a false-positive rate of 0.3 and divided by it",
    ),
    Metric("aupro_005", "AUPRO 0.05", "the same to a false-positive rate of 0.05, which is stricter"),
)
EXTRA_COLUMNS = [
    "pixel_iou_max_oracle",
    "image_false_positive_rate",
    "pixel_false_positive_rate",
    "image_threshold",
    "pixel_threshold",
    "n_normal",
    "n_anomalous",
    "n_regions",
    "image_size",
    "data_hash",
    "params_hash",
    "model_digest",
]
COLUMNS = ("method", "category", "seed", *(metric.key for metric in METRICS), *EXTRA_COLUMNS)


def run_key(method: str, category: str, seed: int) -> str:
    """Name of one run, in folders and file names: the same as DVC's name of the stage."""
    return f"{method}-{category}-{seed}"


def collect(params: Params, reports: Path) -> list[dict]:
    """One row for each method, category and seed of the profile; metrics are absent where there was no run."""
    rows = []
    for method in params.methods:
        for category in column_order(params.categories):
            for seed in params.seeds:
                file = reports / "evaluate" / run_key(method, category, seed) / "metrics.json"
                metrics = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
                rows.append({"method": method, "category": category, "seed": seed, **metrics})
    return rows


def column_order(categories: Sequence[str]) -> list[str]:
    """MVTec AD's categories textures first, any other data in the order of params.yaml."""
    if set(categories) <= set(MVTEC_ORDER) and "hazelnut" in categories:
        return sorted(categories, key=MVTEC_ORDER.index)
    return list(categories)


def read_csv(file: Path) -> list[dict]:
    """The rows of a results.csv, with numbers as numbers; an empty field is a run or a metric that is absent."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    metrics = {metric.key for metric in METRICS}
    return [{key: float(v) if key in metrics else v for key, v in row.items() if v != ""} for row in rows]


def averages(rows: Sequence[dict]) -> dict[str, dict[str, float | None]]:
    """{method: {metric: mean over categories of the mean over seeds}}; None unless every category has one."""
    methods = dict.fromkeys(row["method"] for row in rows)
    return {method: {metric.key: _average(rows, method, metric.key) for metric in METRICS} for method in methods}


def table(rows: Sequence[dict], metric: str, methods: Sequence[str] = tuple(baselines_last(METHODS))) -> str:
    """Markdown table of one metric: a line a method, the average first, then a column a category."""
    categories = list(dict.fromkeys(row["category"] for row in rows))
    lines = ["| method | average | " + " | ".join(categories) + " |", "|---" * (len(categories) + 2) + "|"]
    for method in [name for name in methods if any(row["method"] == name for row in rows)]:
        cells = [mean_cell(rows, method, category, metric) for category in categories]
        lines.append(" | ".join([f"| {shown_name(method)}", average_cell(rows, method, metric), *cells]) + " |")
    return "\n".join(lines)


def mean_cell(rows: Sequence[dict], method: str, category: str, metric: str) -> str:
    """Mean ± standard deviation over the seeds and (worst seed) as text; with one seed its number."""
    return _cell(_values(rows, method, category, metric))


def average_cell(rows: Sequence[dict], method: str, metric: str) -> str:
    """Mean over the categories as text, a dash unless every category has the number."""
    return _number(_average(rows, method, metric))


def _values(rows: Sequence[dict], method: str, category: str, metric: str) -> list[float | str]:
    """The metric of each seed, or the reason why there is none."""
    runs = [row for row in rows if row["method"] == method and row["category"] == category]
    return [NOT_RUN if metric not in row else NOT_DEFINED if row[metric] is None else row[metric] for row in runs]


def _cell(values: Sequence[float | str]) -> str:
    missing = [value for value in values if isinstance(value, str)]
    if missing:
        return missing[0]
    spread = f" ± {statistics.stdev(values):.3f} ({min(values):.3f})" if len(values) > 1 else ""
    return _number(statistics.fmean(values)) + spread


def _average(rows: Sequence[dict], method: str, metric: str) -> float | None:
    categories = dict.fromkeys(row["category"] for row in rows)
    cells = [_values(rows, method, category, metric) for category in categories]
    if any(isinstance(value, str) for cell in cells for value in cell):
        return None
    return statistics.fmean(statistics.fmean(cell) for cell in cells)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def metric_rows(metrics: dict) -> list[dict]:
    """The metrics of one run as rows for ``markdown_table``; an undefined one shows its reason."""
    reasons = metrics["undefined"]
    values = {key: value for key, value in metrics.items() if key != "undefined"}
    return [
        {"metric": key, "value": reasons.get(key, f"{value:.4f}" if isinstance(value, float) else value)}
        for key, value in values.items()
    ]


def interval_rows(metrics: dict, intervals: dict) -> list[dict]:
    """Each metric that has a bootstrap interval, with it, as rows like those of ``metric_rows``."""
    return [
        {"metric": f"{key}, interval", "value": f"{metrics[key]:.4f}, {interval[0]:.4f} to {interval[1]:.4f}"}
        for key, interval in intervals.items()
        if interval is not None
    ]


def part_rows(parts: dict[str, float]) -> list[dict]:
    """Image AUROC of each part of a method's score, as rows like those of ``metric_rows``."""
    return [{"metric": f"image_auroc, {name}", "value": f"{value:.4f}"} for name, value in parts.items()]


def parts_table(rows: Sequence[dict]) -> str | None:
    """Markdown table of the image AUROC of each part of a score; None where no method's score has parts.

    The last line of a method is what picking the better part on test labels would give, run by run: an oracle.
    """
    with_parts = [row for row in rows if row.get("parts")]
    if not with_parts:
        return None
    flat = []
    for row in with_parts:
        values = row["parts"] | {"the better one, oracle": max(row["parts"].values())}
        flat += [row | {"method": f"{row['method']}: {name}", "part": value} for name, value in values.items()]
    return table(flat, "part", list(dict.fromkeys(row["method"] for row in flat)))
