"""Published results beside ours: always with where they stand and how they were made, never as targets."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from anomaly_lib.params import Params
from anomaly_lib.registry import shown_name
from anomaly_lib.reporting.results import TITLES, mean_cell
from anomaly_lib.reporting.tables import markdown_table

FILE = Path(__file__).with_name("published.json")
SHOWN = ("image_auroc", "pixel_auroc", "pixel_ap", "aupro_030")


@cache
def published() -> dict:
    """What published.json holds: ``entries`` in percent, and ``about`` with the words for confidence."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def published_section(rows: Sequence[dict], params: Params) -> str:
    """Means of the published results with their settings; on data that they were made on, ours beside them too."""
    lines = [
        {"results": f"{e['method']}: {e['source']}", "data": e["dataset"]}
        | {TITLES[key]: _percent(e["mean"].get(key)) for key in SHOWN}
        | {"settings": e["settings"], "confidence": e["confidence"]}
        for e in published()["entries"]
    ]
    words = (
        f"## Published results\n\nOf one model per category, as shares of 1. {_relation(params)} "
        "None of them held out data to choose on; DMAD's were maximised over two scores on the test labels; none "
        "reports several seeds. A dash: not published. Confidence: "
        + "; ".join(f"*{word}*: {meaning}" for word, meaning in published()["about"]["confidence"].items())
    )
    return "\n\n".join([f"{words}.", markdown_table(lines), *_side_by_side(rows, params)])


def _relation(params: Params) -> str:
    if params.published_as is None:
        return "**Made on other data than ours, mostly with larger networks and longer training: not comparable.**"
    return f"Ours on {params.published_as}: settings differ where the params of a method say so."


def _side_by_side(rows: Sequence[dict], params: Params) -> list[str]:
    """For each shown metric, our methods and the published ones by category."""
    entries = [e for e in published()["entries"] if e["dataset"] == params.published_as and e["per_category"]]
    tables = []
    for key in SHOWN if entries else ():
        lines = []
        for category in params.categories:
            ours = {f"{shown_name(name)}, ours": mean_cell(rows, name, category, key) for name in params.methods}
            theirs = {e["id"]: _percent(e["per_category"].get(category, {}).get(key)) for e in entries}
            lines.append({"category": category} | ours | theirs)
        tables.append(f"### {TITLES[key]}, beside the published\n\n{markdown_table(lines)}")
    return tables


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value / 100:.3f}"
