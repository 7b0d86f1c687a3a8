"""From the metrics of each run to tables. Numbers are read and averaged here, never typed.

A cell is one method on one category; with several random seeds it shows mean ± standard deviation, and in brackets the
worst seed. A run that was not made is "not run", a metric that cannot be computed "not defined": neither is ever 0.
"""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from anomaly_lib.params import Params
from anomaly_lib.pipeline.runs import read_rows, runs_of
from anomaly_lib.registry import METHODS, baselines_last, shown_name
from anomaly_lib.reporting.tables import markdown_table

NOT_RUN, NOT_DEFINED = "not run", "not defined"
ONLY_NORMALS = "at the threshold that held-out normals gave; no test label is used"
ORACLE = "the largest F1 over all thresholds, chosen on test labels"
POINTS_PER_CURVE = 100  # in the files for DVC, which git holds


class Metric(NamedTuple):
    """One column of results.csv that also has a table of its own in results.md."""

    key: str
    title: str
    definition: str


METRICS = (
    Metric("image_auroc", "Image AUROC", "area under the ROC curve of image scores"),
    Metric("pixel_auroc", "Pixel AUROC", "area under the ROC curve over all pixels of the test split, pooled"),
    Metric("pixel_f1", "Pixel F1", f"F1 of pixels {ONLY_NORMALS}"),
    Metric("pixel_f1_max_oracle", "Pixel F1, oracle", ORACLE),
    Metric("image_f1", "Image F1", f"F1 of images {ONLY_NORMALS}"),
    Metric("image_f1_max_oracle", "Image F1, oracle", ORACLE),
    Metric("image_ap", "Image AP", "average precision of image scores, by steps"),
    Metric("pixel_ap", "Pixel AP", "average precision over pixels, by steps"),
    Metric(
        "aupro_030", "AUPRO 0.3", "per-region overlap, integrated to a false-positive rate of 0.3 and divided by it"
    ),
    Metric("aupro_005", "AUPRO 0.05", "the same to a false-positive rate of 0.05, which is stricter"),
)
TITLES = {metric.key: metric.title for metric in METRICS}
COLUMNS = (
    *("method", "category", "seed", *TITLES, "pixel_iou_max_oracle"),
    *("image_false_positive_rate", "pixel_false_positive_rate", "image_threshold", "pixel_threshold"),
    *("n_normal", "n_anomalous", "n_regions", "image_size", "data_hash", "params_hash", "model_digest"),
)
"""Of results.csv."""

TYPE_COLUMNS = ["defect_type", "n_images", "n_regions", "image_auroc", "pixel_ap", "aupro_030", "recall"]
UNCERTAIN_COLUMNS = ["defect_type", "n_images", "image_auroc", "recall"]
SIZE_COLUMNS = ["size", "n_regions", "any_found", "half_found", "mean_overlap", "aupro_030"]


def collect(params: Params, reports: Path) -> list[dict]:
    """One row for each method, category and seed of the profile; metrics are absent where there was no run."""
    return [run._asdict() | run.metrics(reports) for run in runs_of(params)]


def read_csv(file: Path) -> list[dict]:
    """The rows of a results.csv, with numbers as numbers; an empty field is a run or a metric that is absent."""
    return [{key: float(v) if key in TITLES else v for key, v in row.items() if v != ""} for row in read_rows(file)]


def all_curves(params: Params, reports: Path, name: str) -> list[dict]:
    """Rows of one kind of curve of all methods and categories, first seed, thinned: for `dvc plots`."""
    rows = []
    for run in (run for run in runs_of(params) if run.seed == params.seeds[0]):
        points = read_rows(run.file(reports, f"{name}.csv"))
        kept = points[:: max(1, len(points) // POINTS_PER_CURVE)] + points[-1:]
        rows += [{"method": run.method, "category": run.category, **point} for point in kept]
    return rows


def averages(rows: Sequence[dict]) -> dict[str, dict[str, float | None]]:
    """{method: {metric: mean over categories of the mean over seeds}}; None unless every category has one."""
    return {method: {key: _average(rows, method, key) for key in TITLES} for method in distinct(rows, "method")}


def distinct(rows: Sequence[dict], key: str) -> list[Any]:
    """The values of a column, each once, in the order of the rows."""
    return list(dict.fromkeys(row[key] for row in rows))


def table(rows: Sequence[dict], metric: str, methods: Sequence[str] = tuple(baselines_last(METHODS))) -> str:
    """Markdown table of one metric: one row per method; image side and average first, then one column per category."""
    there, categories = distinct(rows, "method"), distinct(rows, "category")
    return markdown_table(
        [
            {"method": shown_name(method), "px": _side(rows, method), "average": average_cell(rows, method, metric)}
            | {category: mean_cell(rows, method, category, metric) for category in categories}
            for method in methods
            if method in there
        ]
    )


def _side(rows: Sequence[dict], method: str) -> str:
    """The side in pixels of the images that a method saw."""
    sides = {str(row["image_size"]) for row in rows if row["method"] == method and "image_size" in row}
    return ", ".join(sorted(sides)) or "–"


def mean_cell(rows: Sequence[dict], method: str, category: str, metric: str) -> str:
    """Mean ± standard deviation over the seeds and (worst seed) as text; with one seed its number."""
    values = _values(rows, method, category, metric)
    if missing := [value for value in values if isinstance(value, str)]:
        return missing[0]
    spread = f" ± {statistics.stdev(values):.3f} ({min(values):.3f})" if len(values) > 1 else ""
    return _number(statistics.fmean(values)) + spread


def average_cell(rows: Sequence[dict], method: str, metric: str) -> str:
    """Mean over the categories as text, a dash unless every category has the number."""
    return _number(_average(rows, method, metric))


def _values(rows: Sequence[dict], method: str, category: str, metric: str) -> list[Any]:
    """The metric of each seed, or as text why there is none."""
    runs = [row for row in rows if row["method"] == method and row["category"] == category]
    return [NOT_RUN if metric not in row else NOT_DEFINED if row[metric] is None else row[metric] for row in runs]


def _average(rows: Sequence[dict], method: str, metric: str) -> float | None:
    cells = [_values(rows, method, category, metric) for category in distinct(rows, "category")]
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


def rounded(rows: Sequence[dict], columns: Sequence[str]) -> list[dict]:
    """The rows' columns as text: numbers with three digits, the reason where there is none."""
    return [{key: _text(row[key], row["undefined"].get(key)) for key in columns} for row in rows]


def _text(value: object, reason: str | None) -> str:
    if reason:
        return reason
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def part_rows(parts: dict[str, float]) -> list[dict]:
    """Image AUROC of each part of a method's score, as rows like those of ``metric_rows``."""
    return [{"metric": f"image_auroc, {name}", "value": f"{value:.4f}"} for name, value in parts.items()]


def parts_table(rows: Sequence[dict]) -> str | None:
    """Markdown table of the image AUROC of each part of a score; None where no method's score has parts.

    The last row of a method is what picking the better part on test labels would give, run by run: an oracle.
    """
    flat = []
    for row in (row for row in rows if row.get("parts")):
        values = row["parts"] | {"the better one, oracle": max(row["parts"].values())}
        flat += [row | {"method": f"{row['method']}: {name}", "part": value} for name, value in values.items()]
    return table(flat, "part", distinct(flat, "method")) if flat else None


# The same tables for a paper.

SPECIAL = str.maketrans({character: f"\\{character}" for character in "&%$#_{}"} | {"–": "--", "±": "$\\pm$"})


def results_latex(rows: Sequence[dict], caption: str) -> str:
    """LaTeX source of the tables of all metrics, one per metric. Needs the package booktabs."""
    return "\n".join(
        _latex_table(rows, metric.key, f"{metric.title}: {metric.definition}. {caption}") for metric in METRICS
    )


def _latex_table(rows: Sequence[dict], metric: str, caption: str) -> str:
    methods = distinct(rows, "method")
    lines = [["category", *map(shown_name, methods)]]
    for category in distinct(rows, "category"):
        lines.append([category, *(mean_cell(rows, method, category, metric) for method in methods)])
    lines.append(["average", *(average_cell(rows, method, metric) for method in methods)])
    head, *body, average = (" & ".join(cell.translate(SPECIAL) for cell in line) + " \\\\" for line in lines)
    return "\n".join(
        [
            "\\begin{table}",
            f"\\caption{{{caption.translate(SPECIAL)}}}",
            f"\\label{{tab:{metric}}}",
            f"\\begin{{tabular}}{{l{'r' * len(methods)}}}",
            *("\\toprule", head, "\\midrule", *body, "\\midrule", average, "\\bottomrule"),
            "\\end{tabular}",
            "\\end{table}",
            "",
        ]
    )
