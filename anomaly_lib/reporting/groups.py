"""Tables by type and by size of defect, from the CSV files that the evaluation of each run left."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from anomaly_lib.params import Params
from anomaly_lib.pipeline.runs import Run, read_rows
from anomaly_lib.registry import shown_name
from anomaly_lib.reporting.results import NOT_DEFINED
from anomaly_lib.reporting.tables import markdown_table

TYPE_COLUMNS = ["defect_type", "n_images", "n_regions", "image_auroc", "pixel_ap", "aupro_030", "recall"]
UNCERTAIN_COLUMNS = ["defect_type", "n_images", "image_auroc", "recall"]
SIZE_COLUMNS = ["size", "n_regions", "any_found", "half_found", "mean_overlap", "aupro_030"]


Found = dict[tuple, dict[str, list[tuple[str, str]]]]
"""{place in the table: {method: its two numbers, once per seed}}."""


def rounded(rows: Sequence[dict], columns: Sequence[str]) -> list[dict]:
    """The rows' columns as text: numbers with three digits, the reason where there is none."""
    return [{key: _text(row[key], row["undefined"].get(key)) for key in columns} for row in rows]


def _text(value: object, reason: str | None) -> str:
    if reason:
        return reason
    return f"{value:.3f}" if isinstance(value, float) else str(value)


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
