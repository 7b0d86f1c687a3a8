"""The figure of the contamination experiment."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

CURVES = {
    "image_auroc": ("image AUROC", "C0", "o-"),
    "aupro_030": ("AUPRO 0.3", "C1", "s--"),
    "set_aside_auroc": ("image AUROC of the set-aside images (no test metric)", "0.55", "^:"),
}


def contamination_figure(rows: Sequence[dict], title: str) -> Figure:
    """Image AUROC and AUPRO against the share of anomalous training images; rows of ``contamination_rows``.

    A metric that is not defined has no curve. The vertical axis goes from chance for an AUROC, or lower where a value
    does, to 1.
    """
    figure, axis = plt.subplots(figsize=(7, 3.4))
    shares = [100 * row["share"] for row in rows]
    lowest = 0.5
    for key, (label, colour, style) in CURVES.items():
        values = [row[key] for row in rows]
        if None not in values:
            axis.plot(shares, values, style, color=colour, label=label)
            lowest = min(lowest, *values)
    axis.set(xlabel="anomalous images in the training set, %", xticks=shares, ylim=(lowest - 0.02, 1.02), title=title)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return figure
