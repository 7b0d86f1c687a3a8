"""Sections of the report: by defect, intervals, promises of thresholds, the choice of a method, methods in pairs."""

import json
import statistics
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from anomaly_lib.evaluation.comparison import compare
from anomaly_lib.evaluation.intervals import achieved_rate_interval
from anomaly_lib.params import Params
from anomaly_lib.pipeline.runs import Run, read_rows
from anomaly_lib.protocols.selection import CRITERIA
from anomaly_lib.registry import is_baseline, shown_name
from anomaly_lib.reporting.results import NOT_DEFINED, TITLES, averages
from anomaly_lib.reporting.tables import markdown_table

Found = dict[tuple, dict[str, list[tuple[str, str]]]]
"""{place in the table: {method: its two numbers, once per seed}}."""
COMPARED = ("image_auroc", "aupro_030")


def intervals(rows: Sequence[dict]) -> str:
    """Metrics with their bootstrap intervals, of the first seed."""
    with_intervals = [row for row in rows if row.get("intervals")]
    if not with_intervals:
        return ""
    first = with_intervals[0]["seed"]
    lines = [
        {"method": shown_name(row["method"]), "category": row["category"]}
        | {TITLES[key]: _interval(row[key], row["intervals"][key]) for key in COMPARED}
        for row in with_intervals
        if row["seed"] == first
    ]
    words = (
        f"What another draw of as many test images might have given, seed {first}: image AUROC with a score interval, "
        "AUPRO with a bootstrap by image. Another seed of the training is another matter: see the spread above."
    )
    return f"## Intervals\n\n{words}\n\n{markdown_table(lines)}"


def _interval(value: float | None, interval: Sequence[float] | None) -> str:
    if value is None or interval is None:
        return "not defined"
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def promises(rows: Sequence[dict]) -> str:
    """Requested against achieved false-positive rate of decisions, pooled over categories and of each run."""
    checked = [row for row in rows if "requested" in row.get("decision", {})]
    if not checked:
        return ""
    groups: dict[tuple, list[dict]] = {}
    for row in checked:
        groups.setdefault((row["method"], row["seed"]), []).append(row["decision"])
    lines = [
        {"method": shown_name(method), "seed": seed, "categories": len(decisions)} | _pooled(decisions)
        for (method, seed), decisions in groups.items()
    ]
    return (
        "## Do decisions keep their promise?\n\n"
        "False-positive rate of images: *requested* in params.yaml; *expected* is what so few held-out images can "
        "promise, never less than 1/(n+1); *achieved* on the normal test images. The interval is where the achieved "
        "rate may lie by chance if test images are like held-out ones. That of a single category is so wide that being "
        "within says little, so categories are pooled; each run's is in its executed notebook. "
        f"**{sum(line['within'] == 'yes' for line in lines)} of {len(lines)} are within**; by chance alone one in "
        f"twenty would not be.\n\n{markdown_table(lines)}"
    )


def _pooled(decisions: Sequence[dict]) -> dict[str, str]:
    """Rates and interval of the decisions of independent runs as one, weighted by their new images."""
    new = sum(one["new"] for one in decisions)
    low, high = achieved_rate_interval([(one["held_out"], one["requested"], one["new"]) for one in decisions])
    keys = ("requested", "expected", "achieved")
    rates = {key: sum(one[key] * one["new"] for one in decisions) / new for key in keys}
    within = "yes" if low - 1e-9 <= rates["achieved"] <= high + 1e-9 else "**no**"
    return {key: f"{rate:.3f}" for key, rate in rates.items()} | {
        "interval": f"{low:.3f} to {high:.3f}",
        "within": within,
    }


def choices(rows: Sequence[dict], params: Params, reports: Path) -> str:
    """Which method synthetic anomalies would choose, for each category and over all, and what the oracle would add."""
    criterion = _criterion(params, reports)
    scored = {category: _by_method(rows, category, "image_auroc") for category in params.categories}
    complete = [c for c in params.categories if len(scored[c]) == len(params.methods) == len(criterion.get(c, {}))]
    if not complete or len(params.methods) < 2:
        return ""
    lines = [_choice(category, criterion[category], scored[category]) for category in complete]
    if len(complete) > 1:
        mean_criterion = {m: _means([criterion[c][m] for c in complete]) for m in params.methods}
        mean_scored = {m: statistics.fmean(scored[c][m] for c in complete) for m in params.methods}
        lines.append(_choice("over all: one method", mean_criterion, mean_scored))
    return (
        "## Choosing a method without test images\n\n"
        "*Chosen* has the highest image AUROC on held-out normals against themselves with synthetic anomalies, among "
        "equals the highest AUPRO 0.3 (means over the seeds). The *oracle* looks at the test images; the last column "
        f"is what that would have added.\n\n{markdown_table(lines)}"
    )


def _choice(category: str, criterion: dict[str, tuple[float, ...]], scored: dict[str, float]) -> dict[str, str]:
    chosen, oracle = max(criterion, key=criterion.__getitem__), max(scored, key=scored.__getitem__)
    return {
        "category": category,
        "chosen": shown_name(chosen),
        "its criterion": f"{criterion[chosen][0]:.3f}",
        "its image AUROC": f"{scored[chosen]:.3f}",
        "oracle": shown_name(oracle),
        "its image AUROC, oracle": f"{scored[oracle]:.3f}",
        "oracle adds": f"{scored[oracle] - scored[chosen]:.3f}",
    }


def _criterion(params: Params, reports: Path) -> dict[str, dict[str, tuple[float, ...]]]:
    """{category: {method: means over seeds of the `CRITERIA`}}, as the calibrate stage measured them."""
    found: dict[str, dict[str, tuple[float, ...]]] = {}
    for category in params.categories:
        for method in params.methods:
            files = [Run(method, category, seed).file(reports, "selection.json") for seed in params.seeds]
            if all(file.is_file() for file in files):
                measured = [json.loads(file.read_text(encoding="utf-8")) for file in files]
                if None not in (one[key] for one in measured for key in CRITERIA):
                    values = [[one[key] for key in CRITERIA] for one in measured]
                    found.setdefault(category, {})[method] = _means(values)
    return found


def _means(rows: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """The mean of each column."""
    return tuple(statistics.fmean(column) for column in zip(*rows, strict=True))


def pairs(rows: Sequence[dict]) -> str:
    """Methods with each other and with baselines, paired by category: who wins how often, by how much, by chance?"""
    lines = []
    for metric in COMPARED:
        values = _by_seed(rows, metric)
        for first, second in combinations(values, 2):
            if is_baseline(first) and is_baseline(second):
                continue
            result = compare(values[first], values[second])
            if result["pairs"]:
                names = f"{shown_name(first)} − {shown_name(second)}"
                lines.append({"metric": metric, "methods": names} | _pair(result))
    if not lines:
        return ""
    return (
        "## Methods in pairs\n\n"
        "Means over the seeds, paired by category. *Other categories*: Student's interval over the categories, what "
        "other categories, seeds and images like these might have given; *other seeds*: Student's over the seeds, for "
        f"these very categories. p is Wilcoxon's, exact, and needs six categories.\n\n{markdown_table(lines)}"
    )


def _pair(result: dict) -> dict[str, str]:
    p = result["p_value"]
    return {
        "mean difference": _signed(result["mean_difference"]),
        "95 %, other categories": _ends(result, "interval"),
        "95 %, other seeds": _ends(result, "seed_interval"),
        "wins, ties, losses": f"{result['wins']}, {result['ties']}, {result['losses']}",
        "p": "too few categories" if p is None else f"{p:.3f}",
    }


def _ends(result: dict, key: str) -> str:
    """An interval as text, or why there is none."""
    interval = result[key]
    return result["undefined"][key] if interval is None else f"{_signed(interval[0])} to {_signed(interval[1])}"


def ranking(rows: Sequence[dict], metric: str) -> str:
    """Which method has the highest average, and which others the categories do not tell apart from it."""
    means = {method: values[metric] or 0.0 for method, values in averages(rows).items() if values[metric] is not None}
    if len(means) < 2:
        return ""
    values, highest = _by_seed(rows, metric), max(means, key=means.__getitem__)
    results = {other: compare(values[highest], values[other]) for other in means if other != highest}
    ends = {shown_name(other): result["interval"] for other, result in results.items()}
    if not any(ends.values()):
        return f"No ranking of averages: {next(iter(results.values()))['undefined']['interval']}."
    level = [other for other, interval in ends.items() if interval is None or interval[0] <= 0]
    words = "95 % intervals of the differences over categories"
    if not level:
        return f"Highest average: {shown_name(highest)}; {words} leave out 0."
    return f"Highest average: {shown_name(highest)}. Not told apart from it, as {words} hold 0: {', '.join(level)}."


def _by_seed(rows: Sequence[dict], metric: str) -> dict[str, dict[str, list]]:
    """{method: {category: its values of the seeds}}; None for a run that was not made or has no value."""
    found: dict[str, dict[str, list]] = {}
    for row in rows:
        found.setdefault(row["method"], {}).setdefault(row["category"], []).append(row.get(metric))
    return found


def _by_method(rows: Sequence[dict], category: str, metric: str) -> dict[str, float]:
    """{method: mean over seeds} on a category, of the methods where every seed has the metric."""
    seeds = {method: values.get(category, [None]) for method, values in _by_seed(rows, metric).items()}
    return {method: statistics.fmean(values) for method, values in seeds.items() if None not in values}


def _signed(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}"  # + 0.0: no "-0.000"


def by_type_table(params: Params, reports: Path, name: str = "defect_types.csv") -> str:
    """Markdown: one row per category and defect type, one column per method: image AUROC, and the share found.

    Mean over the seeds that have the number. ``name`` is the file of each run that is read.
    """
    found: Found = {}
    for method, row in _runs(params, reports, name):
        place = (row["category"], row["defect_type"], row["n_images"])
        found.setdefault(place, {}).setdefault(method, []).append((row["image_auroc"], row["recall"]))
    return _table(found, ("category", "defect", "images"), params)


def by_size_table(params: Params, reports: Path) -> str:
    """Markdown: one row per category and class of size, one column per method.

    AUPRO 0.3, mean overlap, and in brackets the number of defect regions.
    """
    found: Found = {}
    counts = {}
    for method, row in _runs(params, reports, "defect_sizes.csv"):
        if row["n_regions"] not in ("0", ""):
            place = (row["category"], row["size"])
            found.setdefault(place, {}).setdefault(method, []).append((row["aupro_030"], row["mean_overlap"]))
            counts[place, method] = row["n_regions"]
    return _table(found, ("category", "area of the image"), params, counts)


def groups_section(params: Params, reports: Path) -> str:
    """Both tables with their words; each only where there is one: without masks there are no sizes."""
    parts = []
    if types := by_type_table(params, reports):
        parts.append(
            "## By type of defect\n\nImage AUROC against all normal images / share found at the calibrated threshold; "
            f"means over the seeds.\n\n{types}"
        )
    if sizes := by_size_table(params, reports):
        parts.append(
            "## By size of defect\n\nAUPRO 0.3 of the regions of that size / mean overlap at the calibrated threshold "
            "(number of regions: it differs, as masks are resized to each method's resolution). A dash: none.\n\n"
            f"{sizes}"
        )
    return "\n\n".join(parts)


def uncertain_section(params: Params, reports: Path) -> str:
    """Images of which the experts were in doubt, by how sure they were; empty where no category has any."""
    rows = by_type_table(params, reports, "uncertain.csv")
    if not rows:
        return ""
    return (
        "## Images that the experts were not sure of\n\nThey count in no other table. Image AUROC against the normal "
        f"test images / share flagged at the calibrated threshold; means over the seeds.\n\n{rows}"
    )


def _runs(params: Params, reports: Path, name: str) -> list[tuple[str, dict]]:
    """(method, row with its category) of that file of every run that was made."""
    runs = [Run(m, c, seed) for c in params.categories for m in params.methods for seed in params.seeds]
    return [
        (run.method, {"category": run.category, **row}) for run in runs for row in read_rows(run.file(reports, name))
    ]


def _table(found: Found, heads: tuple[str, ...], params: Params, counts: dict | None = None) -> str:
    """``counts`` by place and method stand in brackets behind the cells, where they differ between methods."""

    def cell(place: tuple, name: str) -> str:
        if name not in found[place]:
            return "–"
        text = " / ".join(_mean(values) for values in zip(*found[place][name], strict=True))
        return f"{text} ({counts[place, name]})" if counts else text

    return markdown_table(
        [
            dict(zip(heads, place, strict=True)) | {shown_name(name): cell(place, name) for name in params.methods}
            for place in found
        ]
    )


def _mean(values: Sequence[str]) -> str:
    numbers = [float(value) for value in values if value]
    return f"{statistics.fmean(numbers):.3f}" if numbers else NOT_DEFINED
