"""``results.md``: what was run, the tables, how far they can be trusted, and a picture of each method and category."""

import json
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from anomaly_lib.params import Params, params_hash
from anomaly_lib.pipeline.runs import runs_of
from anomaly_lib.registry import is_baseline, method_class, shown_name
from anomaly_lib.reporting.results import METRICS, TITLES, mean_cell, parts_table, table
from anomaly_lib.reporting.review import review_section
from anomaly_lib.reporting.sections import (
    COMPARED,
    choices,
    groups_section,
    intervals,
    pairs,
    promises,
    ranking,
    uncertain_section,
)
from anomaly_lib.reporting.tables import markdown_table

FILE = Path(__file__).with_name("published.json")
SHOWN = ("image_auroc", "pixel_auroc", "pixel_ap", "aupro_030")
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
    for m in METRICS:
        parts += [f"## {m.title}", f"{m.definition[0].upper()}{m.definition[1:]}.", table(rows, m.key)]
        parts += [ranking(rows, m.key)] if m.key in COMPARED else []
    parts += [intervals(rows), promises(rows), choices(rows, params, reports), pairs(rows)]
    parts += [groups_section(params, reports), uncertain_section(params, reports)]
    parts += [review_section(params, reports), _score_parts(rows)]
    parts += [_reasons(rows), published_section(rows, params), _where(rows, params)]
    parts += [_pictures(rows)] if params.gif.in_report else []
    return "\n\n".join(part for part in parts if part) + "\n"


def copy_demos(params: Params, reports: Path, target: Path) -> None:
    """Copy the GIF and strip of each method and category, first seed, into ``target``, the folder that git holds.

    None of them where ``gif.in_report`` is false, and none of baselines.
    """
    target.mkdir(parents=True, exist_ok=True)
    for run in runs_of(params) if params.gif.in_report else ():
        for file in (run.file(reports, "demo.gif"), run.file(reports, "strip.png")):
            if run.seed == params.seeds[0] and file.is_file() and not is_baseline(run.method):
                shutil.copyfile(file, target / f"{run.method}-{run.category}{file.suffix}")


def _header(rows: Sequence[dict], params: Params, stamp: dict[str, str]) -> str:
    done = sum("image_auroc" in row for row in rows)
    versions = ", ".join(f"{name} {version}" for name, version in stamp.items())
    data = dict.fromkeys(f"{row['category']} `{row['data_hash']}`" for row in rows if "data_hash" in row)
    lines = [
        f"# Results of the profile `{params.profile}`",
        "",
        "Written by `notebooks/06_report.ipynb`; do not edit. Every number of a run comes from one checkpoint, that of",
        "the last step; no threshold, checkpoint or seed was chosen on test labels, except where the name says oracle. "
        "Default settings of the methods were chosen with the test images of the sample set in view.",
        "",
        f"* data: `{params.data}`; random seeds: {', '.join(map(str, params.seeds))}; runs: {done} of {len(rows)}",
        f"* data hashes: {', '.join(data) or 'none'}",
        f"* cells: {_cells_in_words(params)}",
        f"* made with {versions}; CPU threads per stage: {params.threads}",
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
    executed = f"{params.reports}/notebooks"
    lines = [
        {"what": what, "executed notebook": f"`{executed}/{run}.ipynb`", "source": f"`notebooks/{source}.ipynb`"}
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
    shown = (row for row in rows if "image_auroc" in row and not is_baseline(row["method"]))
    pairs = dict.fromkeys((row["method"], row["category"]) for row in shown)
    if not pairs:
        return ""
    words = (
        "First images of each type by name, found defects first; the band says what the image score decided. "
        "Maps on one scale per model: 0 the median normal pixel, 1 the threshold."
    )
    return "\n\n".join([f"## Pictures\n\n{words}", *(_picture(method, category) for method, category in pairs)])


def _picture(method: str, category: str) -> str:
    name = f"{shown_name(method)} on {category}"
    alt = f"{name}: photo with true outline, anomaly map and pixels above the threshold of test images"
    file = f"gifs/{method}-{category}"
    return f"### {shown_name(method)}, {category}\n\n![{alt}]({file}.gif)\n\n[the same without motion]({file}.png)"


# Published results beside ours: always with where they stand and how they were made, never as targets.


@cache
def published() -> dict:
    """What published.json holds: ``entries`` in percent, and ``about`` with the words for confidence."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def published_section(rows: Sequence[dict], params: Params) -> str:
    """Where published results stand; on data that they were made on, theirs beside ours by category."""
    if params.published_as is None:
        words = "were made on other data than these, mostly with larger networks and longer training: not comparable"
        return f"## Published results\n\nThose of `docs/evidence.md` {words}."
    words = (
        f"## Published results\n\nOf one model per category, on {params.published_as}, as shares of 1; settings "
        "differ. Who got them, how, and what is odd about them: `docs/evidence.md`. A dash: not published."
    )
    return "\n\n".join([words, *_side_by_side(rows, params)])


def _side_by_side(rows: Sequence[dict], params: Params) -> list[str]:
    """For each shown metric, our methods and the published ones by category."""
    tables = []
    for key in SHOWN:
        theirs = published_by_category(str(params.published_as), key, params.categories)
        lines = []
        for category in params.categories:
            ours = {f"{shown_name(name)}, ours": mean_cell(rows, name, category, key) for name in params.methods}
            lines.append({"category": category} | ours | theirs[category])
        tables.append(f"### {TITLES[key]}, beside the published\n\n{markdown_table(lines)}")
    return tables


def published_by_category(dataset: str, key: str, categories: Sequence[str]) -> dict[str, dict[str, str]]:
    """{category: {id of an entry: its value as text}}, of the entries that have the metric for one of them."""
    entries = {e["id"]: e["per_category"] for e in published()["entries"] if e["dataset"] == dataset}
    there = {name: found for name, found in entries.items() if any(key in found.get(c, {}) for c in categories)}
    return {c: {name: as_share(found.get(c, {}).get(key)) for name, found in there.items()} for c in categories}


def as_share(percent: float | None) -> str:
    """A published number, in percent, as tables show ours; a dash where there is none."""
    return "–" if percent is None else f"{percent / 100:.3f}"
