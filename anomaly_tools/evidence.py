"""The tables of docs/evidence.md: who measured what, from ``published.json``, and beside it what was measured here."""

from collections.abc import Sequence
from pathlib import Path

from anomaly_lib.registry import shown_name
from anomaly_lib.reporting.report import SHOWN, as_share, published, published_by_category
from anomaly_lib.reporting.results import NOT_RUN, TITLES, distinct, mean_cell, read_csv
from anomaly_lib.reporting.tables import markdown_table

DATASET, RESULTS = "MVTec AD", "reports/mvtec/results.csv"
CATEGORIES = (
    *("bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut", "pill", "screw", "tile"),
    *("toothbrush", "transistor", "wood", "zipper"),
)
METRICS = {"image_auroc": "image AUROC", "image_ap": "image AP", "pixel_auroc": "pixel AUROC", "pixel_ap": "pixel AP"}
REGIONS = {"aupro_030": "AUPRO 0.3", "pro": "PRO"}


def numbers(root: Path) -> str:
    """All means, as shares of 1, one line per entry."""
    return markdown_table([_line(entry) for entry in published()["entries"] if entry["mean"]])


def _line(entry: dict) -> dict[str, str]:
    mean = entry["mean"]
    others = {key: value for key, value in mean.items() if key not in METRICS and key not in REGIONS}
    return (
        {"id": f"`{entry['id']}`", "method": entry["method"], "data": entry["dataset"], "how": entry["protocol"]}
        | {title: as_share(mean.get(key)) for key, title in METRICS.items()}
        | {"AUPRO 0.3, or PRO": as_share(mean.get("aupro_030", mean.get("pro")))}
        | {"others": ", ".join(f"{key} {as_share(value)}" for key, value in others.items())}
    )


def sources(root: Path) -> str:
    """Where each entry stands, with which settings, what is odd, and how far it was checked."""
    return markdown_table(
        [
            {
                "id": f"`{entry['id']}`",
                "source": entry["source"],
                "settings": entry["settings"],
                "odd": entry.get("notes", ""),
                "confidence": entry["confidence"],
                "checked": entry["checked"],
            }
            for entry in published()["entries"]
        ]
    )


def words(root: Path) -> str:
    """What the words in the columns confidence and checked mean."""
    about = published()["about"]
    return "\n".join(
        f"* {column}: " + "; ".join(f"*{word}*: {meaning}" for word, meaning in about[column].items()) + "."
        for column in ("confidence", "checked")
    )


def variants(root: Path) -> str:
    """Entries that hold several variants of one experiment."""
    return markdown_table(
        [
            {"id": f"`{entry['id']}`", "variant": name.replace("_", " ")}
            | {title: as_share(row.get(key)) for key, title in METRICS.items() if key != "image_ap"}
            for entry in published()["entries"]
            for name, row in entry.get("rows", {}).items()
        ]
    )


def by_category(root: Path) -> str:
    """The published numbers of each category of MVTec AD, ours first."""
    rows = read_csv(root / RESULTS) if (root / RESULTS).is_file() else []
    tables = []
    for key in SHOWN:
        theirs = published_by_category(DATASET, key, CATEGORIES)
        lines = [{"category": name} | _ours(rows, name, key) | theirs[name] for name in CATEGORIES]
        tables.append(f"**{TITLES[key]}**\n\n{markdown_table(lines)}")
    return "\n\n".join(tables)


def _ours(rows: Sequence[dict], category: str, key: str) -> dict[str, str]:
    """Our methods' cells; one that says *not run* for all of them without the profile's results."""
    there = [row for row in rows if row["category"] == category]
    methods = distinct(rows, "method")
    if not methods:
        return {"ours": NOT_RUN}
    return {
        f"{shown_name(name)}, ours": mean_cell(there, name, category, key) if there else NOT_RUN for name in methods
    }


BLOCKS = {"numbers": numbers, "sources": sources, "words": words, "variants": variants, "categories": by_category}
