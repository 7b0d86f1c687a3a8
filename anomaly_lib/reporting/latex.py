"""The tables of the report for a paper: booktabs, one table a metric."""

from collections.abc import Sequence

from anomaly_lib.registry import shown_name
from anomaly_lib.reporting.results import METRICS, average_cell, mean_cell

SPECIAL = str.maketrans({character: f"\\{character}" for character in "&%$#_{}"} | {"–": "--", "±": "$\\pm$"})


def results_latex(rows: Sequence[dict], caption: str) -> str:
    """LaTeX source of all tables of the report's metrics. Needs the package booktabs."""
    return "\n".join(_table(rows, metric.key, f"{metric.title}: {metric.definition}. {caption}") for metric in METRICS)


def _table(rows: Sequence[dict], metric: str, caption: str) -> str:
    methods = list(dict.fromkeys(row["method"] for row in rows))
    categories = list(dict.fromkeys(row["category"] for row in rows))
    lines = [["category", *(shown_name(method) for method in methods)]]
    lines += [[category, *(mean_cell(rows, method, category, metric) for method in methods)] for category in categories]
    average = ["average", *(average_cell(rows, method, metric) for method in methods)]
    head, *body = (" & ".join(cell.translate(SPECIAL) for cell in line) + " \\\\" for line in lines)
    return "\n".join(
        [
            "\\begin{table}",
            f"\\caption{{{caption.translate(SPECIAL)}}}",
            f"\\label{{tab:{metric}}}",
            f"\\begin{{tabular}}{{l{'r' * len(methods)}}}",
            "\\toprule",
            head,
            "\\midrule",
            *body,
            "\\midrule",
            " & ".join(cell.translate(SPECIAL) for cell in average) + " \\\\",
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
            "",
        ]
    )
