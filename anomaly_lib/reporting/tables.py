"""Rows (dicts with equal keys) as CSV and as Markdown."""

import csv
from collections.abc import Sequence
from pathlib import Path


def write_csv(rows: Sequence[dict], file: Path, columns: Sequence[str]) -> None:
    """One line per row; an empty field where there is no number. Keys that are no column are left out."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def markdown_table(rows: Sequence[dict]) -> str:
    """Any rows with equal keys as a Markdown table; no text at all for no rows."""
    if not rows:
        return ""
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    return "\n".join(lines + ["| " + " | ".join(str(row[column]) for column in columns) + " |" for row in rows])
