"""One look for all figures, and one scale for all anomaly maps.

Maps are shown on a scale fixed by held-out normals: 0 is the median normal pixel, 1 the pixel threshold. It is
the same for every image of a model, so a normal image looks calm; a scale per image would make it look defective.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAP_COLOURS = "magma"
MAP_LIMITS = (0.0, 2.0)
"""Limits of the shown scale: from the median normal pixel to as far above the threshold again."""
NORMAL_COLOUR, ANOMALOUS_COLOUR = "#0072b2", "#d55e00"
"""Blue and vermilion of Okabe and Ito: told apart by people with any colour vision."""
DECISION_COLOURS = {"normal": NORMAL_COLOUR, "anomalous": "#b34e00", None: "#404040"}
"""Colours of words that name a decision: the vermilion of areas is too light to be read on white, this has 5.2 to 1."""
CONTOUR_COLOUR = "#00e5ff"


def use_style() -> None:
    """Set the matplotlib defaults of this project."""
    import matplotlib as mpl

    mpl.rcParams.update(
        {
            "figure.dpi": 100,
            "savefig.dpi": 200,  # twice what a figure takes on the page: sharp on sharp screens
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.titlesize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "svg.hashsalt": "anomaly_lib",
        }
    )


def save_figure(figure: "Figure", file: Path) -> Path:
    """Write a PNG, without the fields that name software versions, and return its path."""
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Software": None})
    return file


@dataclass(frozen=True)
class MapScale:
    """How the values of a model's maps become shown ones, the same for every image."""

    zero: float
    """The value that is shown as 0."""
    one: float
    """The value that is shown as 1: the pixel threshold where there is one."""
    label: str
    """What the scale means, for the colour bar."""
    has_threshold: bool

    def __call__(self, maps: np.ndarray) -> np.ndarray:
        return (np.asarray(maps) - self.zero) / max(self.one - self.zero, float(np.finfo(np.float32).tiny))


def map_scale(thresholds: dict, lowest: float = 0.0, highest: float = 1.0) -> MapScale:
    """The scale that the model's thresholds fix.

    A model without thresholds (imported from its authors' files) is shown between the ``lowest`` and the ``highest``
    value of the maps at hand, and the label says so.
    """
    if thresholds.get("pixel") is None:
        label = f"{lowest:.3g} (dark) to {highest:.3g} (bright), the range of these maps"
        return MapScale(lowest, (lowest + highest) / 2, label, False)
    return MapScale(thresholds["pixel_median"], thresholds["pixel"], "0 median normal, 1 threshold", True)


def on_fixed_scale(maps: np.ndarray, thresholds: dict) -> np.ndarray:
    """Maps in units in which the median normal pixel is 0 and the pixel threshold is 1 (``map_scale``)."""
    maps = np.asarray(maps)
    return map_scale(thresholds, float(maps.min()), float(maps.max()))(maps)


def displayable(image: ArrayLike) -> np.ndarray:
    """(3, H, W) in [0, 1] -> (H, W, 3), as matplotlib wants it."""
    return np.moveaxis(np.asarray(image), 0, -1).clip(0, 1)
