"""The generated parts of docs/cards: a method's settings and committed results; what the sample holds."""

from collections.abc import Callable
from pathlib import Path

from anomaly_lib.params import load_params, params_hash
from anomaly_lib.registry import method_class
from anomaly_lib.reporting.results import TITLES, mean_cell, read_csv
from anomaly_lib.reporting.tables import markdown_table
from anomaly_tools.describe import describe, to_markdown

SHOWN = ("image_auroc", "pixel_auroc", "pixel_ap", "aupro_030", "image_f1")
SAMPLE, RESULTS = Path("data/sample"), Path("reports/results.csv")


def facts(method: str) -> Callable[[Path], str]:
    """The block of a method: where it is from, its settings in the root profile, and each of them."""

    def block(root: Path) -> str:
        section = load_params(str(root / "params.yaml")).methods[method]
        settings = section.model_dump(mode="json")
        lines = {"source": method_class(method).paper, "params hash": f"`{params_hash(section)}`"}
        lines |= {name: f"`{value}`" for name, value in settings.items() if not isinstance(value, dict)}
        return markdown_table([{"setting": name, "value": value} for name, value in lines.items()])

    return block


def results(method: str) -> Callable[[Path], str]:
    """The block of a method's committed results on the sample, by category."""

    def block(root: Path) -> str:
        rows = read_csv(root / RESULTS)
        categories = dict.fromkeys(row["category"] for row in rows)
        return markdown_table(
            [
                {"category": category} | {TITLES[key]: mean_cell(rows, method, category, key) for key in SHOWN}
                for category in categories
            ]
        )

    return block


def contents(root: Path) -> str:
    """What the sample holds, counted."""
    return to_markdown(describe(root / SAMPLE)).rstrip("\n")


METHODS = ("draem", "dfr", "dmad")
PAGES = {f"docs/cards/{name}.md": {"facts": facts(name), "results": results(name)} for name in METHODS} | {
    "docs/cards/sample.md": {"contents": contents}
}
