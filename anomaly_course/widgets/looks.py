"""What trained models say of a picture that is not a file, on the one scale that their thresholds fix."""

import time
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import torch
from PIL import Image
from scipy.ndimage import binary_erosion

from anomaly_lib.data import load_category
from anomaly_lib.data.regions import find_region
from anomaly_lib.evaluation import is_anomalous
from anomaly_lib.evaluation.thresholds import decide
from anomaly_lib.figures.style import CONTOUR_COLOUR, MAP_COLOURS, MAP_LIMITS, map_scale
from anomaly_lib.methods.checkpoints import TrainedModel
from anomaly_lib.params import Params, project_root


@dataclass(frozen=True)
class Answer:
    """One model's answer to one picture."""

    title: str
    shown: np.ndarray
    """(S, S) the anomaly map; 0 is the median normal pixel, 1 the pixel threshold."""
    score: float
    threshold: float
    zero: float
    """The median score of held-out normal images."""
    seconds: float
    """From the pixels to the map."""

    @property
    def share(self) -> float:
        """The score on the fixed scale: 0 is the median normal image, 1 the threshold."""
        return float(shown_scores(np.array([self.score]), self.zero, self.threshold)[0])

    @property
    def decision(self) -> str:
        """'normal' or 'anomalous'."""
        return decide(self.score, self.threshold)

    def in_words(self) -> str:
        """For the map's alternative text."""
        return (
            f"{self.title}: {self.decision}, score {self.share:.2f} where 1 is the threshold. "
            f"Anomaly map, largest value {self.shown.max():.2f} where 1 is the threshold, "
            f"{np.mean(self.shown >= 1):.1%} of the pixels at or above it"
        )


def shown_scores(scores: np.ndarray, middle: float, threshold: float) -> np.ndarray:
    """Scores (N,) as multiples of the threshold's distance from ``middle``; those flagged are 1 or above, no others."""
    shown = (scores.astype(np.float64) - middle) / max(threshold - middle, np.finfo(np.float32).tiny)
    # rounding must not turn a decision around
    return np.where(is_anomalous(scores, threshold), np.maximum(shown, 1), np.minimum(shown, np.nextafter(1, 0)))


def look(model: TrainedModel, picture: np.ndarray, zero: float, region: torch.Tensor | None = None) -> Answer:
    """Score a picture (H, W, 3) uint8, resized as files are.

    ``zero`` is the ``normal_score`` of the model; ``region`` (S, S) bool confines the map.
    """
    started = time.perf_counter()
    size = model.method.params.image_size
    resized = np.array(Image.fromarray(picture).resize((size, size), Image.Resampling.BILINEAR))
    image = torch.from_numpy(resized).movedim(-1, 0)[None] / 255  # (S, S, 3) -> (1, 3, S, S)
    scored = model.method.score(image, region=region)
    shown = map_scale(model.thresholds)(scored.maps[0].numpy())
    seconds = time.perf_counter() - started
    return Answer(model.method.title, shown, float(scored.scores[0]), model.thresholds["image"], zero, seconds)


def region_of(params: Params, model: TrainedModel) -> torch.Tensor | None:
    """The region of interest of the model's category, where the profile heeds it and there is one."""
    folder = load_category(project_root() / params.data, model.category).folder
    return find_region(params.evaluation, folder, model.method.params.image_size)


def map_picture(shown: np.ndarray) -> np.ndarray:
    """A map (S, S) on the fixed scale as (S, S, 3) uint8, with the border of what is at or above the threshold."""
    low, high = MAP_LIMITS
    colours = mpl.colormaps[MAP_COLOURS](((shown - low) / (high - low)).clip(0, 1), bytes=True)[..., :3].copy()
    found = shown >= 1
    colours[found & ~binary_erosion(found, border_value=1)] = [
        round(255 * v) for v in mpl.colors.to_rgb(CONTOUR_COLOUR)
    ]
    return colours
