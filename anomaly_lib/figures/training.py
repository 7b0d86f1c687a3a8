"""Figures of one training: its losses, and what it saw on the way."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

LINES = ("-", "--", "-.")
COUNTS = ("used_codes", "perplexity")
"""Columns of a history that are counts: no losses, and no part of their figure."""


def loss_curve(history: Sequence[dict], title: str) -> Figure:
    """Mean of each loss over the steps since the row before, and the learning rate.

    ``loss`` is the sum that was minimised; what else a row holds are its terms.
    """
    figure, axis = plt.subplots(figsize=(7, 3))
    steps = [row["step"] for row in history]
    terms = [name for name in history[0] if name not in ("step", "loss", "learning_rate", *COUNTS)]
    axis.plot(steps, [row["loss"] for row in history], color="black", label="loss")
    for index, name in enumerate(terms):
        colour, line = f"C{index}", LINES[index % len(LINES)]
        axis.plot(steps, [row[name] for row in history], color=colour, linestyle=line, linewidth=1, label=name)
    axis.set(xlabel="step", ylabel="loss", yscale="log", title=title)
    rate = axis.twinx()
    rate.plot(steps, [row["learning_rate"] for row in history], color="0.6", linestyle=":")
    rate.set_ylabel("learning rate (dotted)")
    if terms:
        figure.legend(loc="outside right center", fontsize=8)
    return figure


def training_pictures(folder: Path) -> Figure | None:
    """The pictures that a training kept in ``folder`` (``step-000100.png``), in order; None without any."""
    files = sorted(folder.glob("step-*.png"))
    if not files:
        return None
    pictures = [plt.imread(file) for file in files]
    height, width = pictures[0].shape[:2]
    columns = max(1, round(9 / (2.0 * width / height)))
    rows = -(-len(files) // columns)
    shape = (9, 9 / columns * height / width * rows + 0.25 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=shape, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, picture, file in zip(axes.flat, pictures, files, strict=False):
        axis.imshow(picture)
        axis.set_title(f"after {int(file.stem.removeprefix('step-'))} steps", fontsize=8)
    return figure
