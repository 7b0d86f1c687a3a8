"""Photos whose label a person should look at: all methods agree with each other, and not with the label."""

from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from anomaly_lib.data.images import printable
from anomaly_lib.evaluation.thresholds import is_anomalous
from anomaly_lib.params import Params
from anomaly_lib.pipeline.runs import Run, Scores, read_scores
from anomaly_lib.registry import is_baseline
from anomaly_lib.reporting.tables import markdown_table

MOST = 5  # photos per category and label
CONTRADICTED = {False: "labelled normal, anomalous to all methods", True: "labelled anomalous, normal to all methods"}


def review_section(params: Params, reports: Path) -> str:
    """Test photos that every method, baselines aside, decides against their label; first seed. Empty without any."""
    methods = [method for method in params.methods if not is_baseline(method)]
    lines = [
        line
        for category in params.categories
        for line in _contradicted([Run(method, category, params.seeds[0]) for method in methods], reports)
    ]
    if not lines:
        return ""
    return (
        "## Labels to look at\n\nTest photos that all methods decide against their label, at thresholds from held-out "
        f"normals: wrong labels, faults that all of them miss, or bad luck. At most {MOST} of a kind per category, the "
        f"clearest first; first seed. No number above leaves them out.\n\n{markdown_table(lines)}"
    )


Found = list[tuple[Scores, float]]


def _contradicted(runs: list[Run], reports: Path) -> list[dict[str, str]]:
    """Rows of a category; none unless all of its runs were made."""
    found: Found = [
        (read_scores(run.file(reports, "scores.csv")), run.metrics(reports).get("image_threshold", np.nan))
        for run in runs
    ]
    if not found or any(threshold is None or not scores.images for scores, threshold in found):
        return []
    images, labels, _ = found[0][0]
    flagged = np.array([is_anomalous(scores.scores, threshold) for scores, threshold in found])
    place = np.mean([rankdata(scores.scores) for scores, _ in found], axis=0)  # the highest score has the highest rank
    rows = []
    for label, words in CONTRADICTED.items():
        chosen = np.flatnonzero((labels == label) & (flagged != label).all(axis=0))
        ordered = chosen[np.argsort(place[chosen] if label else -place[chosen], kind="stable")]
        more = f" (and {chosen.size - MOST} more)" if chosen.size > MOST else ""
        names = ", ".join(f"`{printable(images[index])}`" for index in ordered[:MOST])
        rows += [{"category": runs[0].category, "what": words, "photos": names + more}] if chosen.size else []
    return rows
