"""Rows (dicts with equal keys) as CSV and as Markdown."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from anomaly_lib.base.names import as_cell, printable

_FORMULA = re.compile(r"(?![-+]?(\d+\.?\d*|\.\d+|inf|nan)(e[-+]?\d+)?$)[=+@-]", re.I)  # not a number


def write_csv(rows: Sequence[dict], file: Path, columns: Sequence[str]) -> None:
    """One line per row; an empty field where there is no number. Keys that are no column are left out.

    A text that a spreadsheet would take for a formula gets an apostrophe.
    """
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _harmless(value) for key, value in row.items()} for row in rows)


def _harmless(value: object) -> object:
    text = printable(value) if isinstance(value, str) else value
    return f"'{text}" if isinstance(value, str) and _FORMULA.match(value) else text


def markdown_table(rows: Sequence[dict]) -> str:
    """Any rows with equal keys as a Markdown table; no text at all for no rows."""
    if not rows:
        return ""
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    return "\n".join(lines + ["| " + " | ".join(as_cell(row[column]) for column in columns) + " |" for row in rows])
