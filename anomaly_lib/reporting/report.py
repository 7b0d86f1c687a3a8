"""``results.md``: what was run, the tables, how far they can be trusted, and a picture of each method and category."""

import shutil
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from anomaly_lib.params import Params, params_hash
from anomaly_lib.registry import method_class, shown_name
from anomaly_lib.reporting.decisions import choices, intervals, pairs, promises
from anomaly_lib.reporting.groups import groups_section, uncertain_section
from anomaly_lib.reporting.published import published_section
from anomaly_lib.reporting.results import METRICS, parts_table, run_key, table
from anomaly_lib.reporting.tables import markdown_table

MARKERS = "osD^vP*X<>"
"""Of the methods in the overview, in their order; after ten they begin again."""
SOURCES = (
    ("loss, pictures of training", "train-KEY", "03_train"),
    ("thresholds, held-out scores, synthetic anomalies", "calibrate-KEY", "03b_calibrate"),
    ("metrics, intervals, curves, worst images", "evaluate-KEY", "04_evaluate"),
    ("animations", "gif-KEY", "05_demo_gif"),
    ("this page, overview, curves of all", "report", "06_report"),
)
"""What the report shows, in which executed notebook it was made, and from which source."""


def results_markdown(rows: Sequence[dict], params: Params, stamp: dict[str, str], reports: Path) -> str:
    """The whole report as Markdown; pictures are linked by paths from the report's folder.

    ``rows`` as ``collect`` gives them, from ``reports``, where the runs' other files lie.
    """
    parts = [_header(rows, params, stamp)]
    parts += [f"## {m.title}\n\n{m.definition[0].upper()}{m.definition[1:]}.\n\n{table(rows, m.key)}" for m in METRICS]
    parts += [intervals(rows), promises(rows), choices(rows, params, reports), pairs(rows)]
    parts += [groups_section(params, reports), uncertain_section(params, reports), _score_parts(rows)]
    parts += [_reasons(rows), published_section(rows, params), _where(rows, params)]
    parts += [_pictures(rows)] if params.gif.in_report else []
    return "\n\n".join(part for part in parts if part) + "\n"


def overview_figure(rows: Sequence[dict]) -> Figure:
    """Image AUROC, pixel AUROC and AUPRO 0.3 of each run, by category: a dot a seed. What no run has is left out."""
    wanted = [metric for metric in METRICS if metric.key in ("image_auroc", "pixel_auroc", "aupro_030")]
    shown = [m for m in wanted if any(row.get(m.key) is not None for row in rows)] or wanted[:1]
    categories = list(dict.fromkeys(row["category"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    spacing = min(0.18, 0.8 / max(1, len(methods)))
    size = (3.1 * len(shown) + 1.6, 0.45 * len(categories) + 1.6)
    figure, axes = plt.subplots(1, len(shown), figsize=size, sharey=True, squeeze=False)
    for axis, metric in zip(axes[0], shown, strict=True):
        for place, (method, marker) in enumerate(zip(methods, cycle(MARKERS), strict=False)):
            runs = [row for row in rows if row["method"] == method and row.get(metric.key) is not None]
            heights = [categories.index(row["category"]) + spacing * place for row in runs]
            axis.plot([row[metric.key] for row in runs], heights, marker, label=shown_name(method), alpha=0.8)
        axis.set(xlabel=metric.title, yticks=range(len(categories)), yticklabels=categories)
        axis.grid(axis="x", alpha=0.3)
    axes[0, 0].margins(y=0.25)
    axes[0, 0].invert_yaxis()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right center")
    return figure


def copy_demos(params: Params, reports: Path, target: Path) -> None:
    """Copy the GIF and strip of each method and category, first seed, into ``target``, the folder that git holds.

    None of them where ``gif.in_report`` is false.
    """
    target.mkdir(parents=True, exist_ok=True)
    for method in params.methods if params.gif.in_report else ():
        for category in params.categories:
            source = reports / "gif" / run_key(method, category, params.seeds[0])
            for name in ("demo.gif", "strip.png"):
                if (source / name).is_file():
                    shutil.copyfile(source / name, target / f"{method}-{category}{Path(name).suffix}")


def _header(rows: Sequence[dict], params: Params, stamp: dict[str, str]) -> str:
    done = sum("image_auroc" in row for row in rows)
    versions = ", ".join(f"{name} {version}" for name, version in stamp.items())
    data = dict.fromkeys(f"{row['category']} `{row['data_hash']}`" for row in rows if "data_hash" in row)
    lines = [
        f"# Results of the profile `{params.profile}`",
        "",
        "Written by `notebooks/06_report.ipynb`; do not edit. Every number of a run comes from one checkpoint, that of",
        "the last step; nothing was chosen on test labels except where the name says oracle.",
        "",
        f"* data: `{params.data}`; random seeds: {', '.join(map(str, params.seeds))}; runs: {done} of {len(rows)}",
        f"* data hashes: {', '.join(data) or 'none'}",
        f"* cells: {_cells_in_words(params)}",
        f"* made with {versions}; CPU threads a stage: {params.threads}",
    ]
    for name, section in params.methods.items():
        lines.append(f"* {shown_name(name)}: params hash `{params_hash(section)}`; {method_class(name).paper}")
    return "\n".join([*lines, "", "![Metrics by category; the tables below hold the numbers](figures/overview.png)"])


def _cells_in_words(params: Params) -> str:
    if len(params.seeds) == 1:
        return "one seed, no spread"
    return "mean ± standard deviation over the seeds, in brackets the worst seed"


def _where(rows: Sequence[dict], params: Params) -> str:
    """Which notebook and settings made what."""
    if not any("image_auroc" in row for row in rows):
        return ""
    lines = [
        {
            "what": what,
            "executed notebook": f"`{params.reports}/notebooks/{run}.ipynb`",
            "source": f"`notebooks/{source}.ipynb`",
        }
        for what, run, source in SOURCES
    ]
    words = (
        f"KEY is METHOD-CATEGORY-SEED. All settings stand in `{params.params_file}`; data hash, params hash and the "
        "digest of the one checkpoint of each run in `results.csv`. `dvc repro` brings the executed notebooks. "
        "Times and latency, which no run repeats: `python -m anomaly_lib times` writes `times.md`."
    )
    return f"## Where it comes from\n\n{words}\n\n{markdown_table(lines)}"


def _score_parts(rows: Sequence[dict]) -> str:
    parts = parts_table(rows)
    if parts is None:
        return ""
    words = (
        "Image AUROC of each part of a score that has parts. The score of the tables above is fixed beforehand; "
        "the line *oracle* is what taking the better part of each run by its test labels would give."
    )
    return f"## Parts of the image score\n\n{words}\n\n{parts}"


def _reasons(rows: Sequence[dict]) -> str:
    """Why metrics are not defined, once for each category and metric."""
    reasons = {
        f"* {row['category']}, {metric}: {reason}"
        for row in rows
        for metric, reason in row.get("undefined", {}).items()
    }
    return "## Not defined\n\n" + "\n".join(sorted(reasons)) if reasons else ""


def _pictures(rows: Sequence[dict]) -> str:
    pairs = dict.fromkeys((row["method"], row["category"]) for row in rows if "image_auroc" in row)
    if not pairs:
        return ""
    introduction = "## Pictures\n\nMaps on one scale a model: 0 the median normal pixel, 1 the threshold."
    return "\n\n".join([introduction, *(_picture(method, category) for method, category in pairs)])


def _picture(method: str, category: str) -> str:
    alt = (
        f"{shown_name(method)} on {category}: input, truth, anomaly map and pixels above the threshold for test images"
    )
    file = f"gifs/{method}-{category}"
    return f"### {shown_name(method)}, {category}\n\n![{alt}]({file}.gif)\n\n[the same without motion]({file}.png)"
