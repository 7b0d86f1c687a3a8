"""One thing that keeps somebody out, and those that are known."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, order=True)
class Finding:
    """What is wrong in which file, and the remedy."""

    file: Path
    """Relative to the project's root."""
    place: str
    """A line, a cell, or an image's address."""
    rule: str
    """alt, heading, still, colours, contrast or red-green."""
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.place}: {self.rule}: {self.text}"


KNOWN = {
    ("anomaly_lib/figures/results.py", "colours"): "counts in a confusion table, which also stand there as numbers",
    ("anomaly_course/widgets/threshold_view.py", "colours"): "the same",
    (
        "anomaly_course/widgets/operations.py",
        "red-green",
    ): "the colours are the channels' names, and lines differ in style",
}
"""(file, rule) -> why it may stay for now: printed, counted apart, no failure."""
