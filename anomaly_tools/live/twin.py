"""What the live page shows where it cannot run: the same models on test photos, as pictures and as words.

It is seen without JavaScript, without WebAssembly, when the engine fails, and in print.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from anomaly_lib.data.folder import Sample
from anomaly_lib.data.images import read_rgb
from anomaly_lib.evaluation.thresholds import decide, decision_words
from anomaly_lib.figures.style import DECISION_COLOURS, MAP_COLOURS, MAP_LIMITS, on_fixed_scale

SCALE = "One scale for all maps: 0 is the median normal pixel, 1 the pixel threshold."


@dataclass(frozen=True)
class Seen:
    """What one method made of all test photos of a category."""

    title: str
    thresholds: dict
    maps: np.ndarray
    scores: np.ndarray

    def decision(self, index: int) -> str:
        """'normal' or 'anomalous'."""
        return decide(float(self.scores[index]), self.thresholds["image"]) or "normal"

    def words(self, index: int) -> str:
        """Score, threshold, decision, and how much of the map stands out."""
        share = (self.maps[index] >= self.thresholds["pixel"]).mean()
        decided = decision_words(float(self.scores[index]), self.thresholds["image"])
        return f"{self.title} {decided}; {100 * share:.2g} % of its map at or above the pixel threshold"


def chosen(samples: Sequence[Sample], seen: Sequence[Seen]) -> list[int]:
    """A normal part, a defect that all methods find, and one on which they part; fewer where there are none."""

    def alarms(index: int) -> int:
        return sum(one.decision(index) == "anomalous" for one in seen)

    kinds = (
        [index for index, sample in enumerate(samples) if not sample.is_anomalous and alarms(index) == 0],
        [index for index, sample in enumerate(samples) if sample.is_anomalous and alarms(index) == len(seen)],
        [index for index, sample in enumerate(samples) if sample.is_anomalous and 0 < alarms(index) < len(seen)],
    )
    return [kind[0] for kind in kinds if kind] or [0]


def twin_figure(samples: Sequence[Sample], seen: Sequence[Seen], rows: Sequence[int]) -> Figure:
    """A row per photo: the photo, and each method's map with its decision."""
    figure, axes = plt.subplots(len(rows), 1 + len(seen), figsize=(8.4, 2.3 * len(rows) + 0.5), squeeze=False)
    for row, index in zip(axes, rows, strict=True):
        for axis in row:
            axis.set_axis_off()
        row[0].imshow(read_rgb(samples[index].path))
        row[0].set_title(_name(samples[index]), fontsize=9)
        for axis, one in zip(row[1:], seen, strict=True):
            shown = on_fixed_scale(one.maps[index], one.thresholds)
            picture = axis.imshow(shown, MAP_COLOURS, vmin=MAP_LIMITS[0], vmax=MAP_LIMITS[1])
            decision = one.decision(index)
            axis.set_title(f"{one.title}: {decision}", fontsize=9, color=DECISION_COLOURS[decision])
    bar = figure.colorbar(picture, ax=axes[:, 1:], location="bottom", shrink=0.6, aspect=30, extend="max")
    bar.set_label("0 median normal pixel, 1 pixel threshold", fontsize=8)
    return figure


def twin_section(category: str, file: str, samples: Sequence[Sample], seen: Sequence[Seen], rows: Sequence[int]) -> str:
    """The figure ``file`` as HTML with its words, for the page."""
    lines = [f"{_name(samples[index])}: {'. '.join(one.words(index) for one in seen)}." for index in rows]
    items = "\n".join(f"<li>{html.escape(line)}</li>" for line in lines)
    names = ", ".join(_name(samples[index]) for index in rows)
    alt = f"{category}, test photos {names}: each photo, and the anomaly maps of {', '.join(one.title for one in seen)}"
    picture = f'<img src="{file}" alt="{html.escape(alt)}">'
    return f"<figure><h3>{category}</h3>\n{picture}\n<figcaption>{SCALE}\n<ul>{items}</ul></figcaption></figure>\n"


def _name(sample: Sample) -> str:
    return f"{sample.defect}/{sample.path.name}"
