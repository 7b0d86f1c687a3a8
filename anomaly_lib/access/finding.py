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
    ("anomaly_lib/reporting/curves.py", "colours"): "counts in a confusion table, which also stand there as numbers",
    ("anomaly_lib/widgets/threshold_view.py", "colours"): "the same",
    (
        "anomaly_lib/reporting/detection.py",
        "contrast",
    ): "bold words of the decision, which also has a symbol; a change of "
    "this file trains every model again, so it waits for the next one",
    (
        "anomaly_lib/widgets/operations.py",
        "red-green",
    ): "the colours are the channels' names, and lines differ in style",
    **{
        (f"notebooks/{name}.ipynb", "alt"): "a bare figure; an edit of this notebook runs its stage again, an hour for "
        "all, so it waits for the next one. The site takes the text around it"
        for name in (
            "01_explore_data",
            "02_synthesize",
            "03_train",
            "03b_calibrate",
            "04_evaluate",
            "06_report",
            "08_contamination",
        )
    },
}
"""(file, rule) -> why it may stay for now: printed, counted apart, no failure."""
