"""Choosing a method for a category without looking at a test image.

Held-out normal images are one class, the same images with synthetic anomalies the other. How well a model tells them
apart says something of how well it will tell real defects, as far as these resemble synthetic ones. Prior art: Fung et
al., arXiv 2310.10461 (SWSA).
"""

import torch
from torch import Tensor

from anomaly_lib.base.reproducibility import generator
from anomaly_lib.evaluation import aupro, image_auroc
from anomaly_lib.evaluation.thresholds import RELATIVE
from anomaly_lib.methods.base import Method, ScoreMaps
from anomaly_lib.params import Selection
from anomaly_lib.synthesis import synthesize

CRITERIA = ("synthetic_image_auroc", "synthetic_aupro_030")
"""What is chosen by: the first, and among equals the second. docs/decisions.md says why not by their mean."""


def selection_metrics(
    detector: Method, normals: Tensor, scored: ScoreMaps, settings: Selection, region: Tensor | None = None
) -> dict[str, float | str | None]:
    """Image AUROC and AUPRO 0.3 on synthetic anomalies, the `CRITERIA`, confined to the region of interest ``region``.

    ``normals`` (N, 3, S, S) held-out normal images, ``scored`` what the detector says of them. The anomalies are the
    same for every method of the same image size, seed 0. None with a ``reason`` where scores are relative to their set.
    """
    if detector.scores_are_relative:
        return dict.fromkeys(CRITERIA) | {"reason": RELATIVE}
    draw = generator(0, "selection", "anomalies")
    made = [synthesize(normals, normals, draw, settings.recipe, keep_steps=False) for _ in range(settings.copies)]
    answers = [detector.score(batch.image, region=region) for batch in made]
    masks = torch.cat([batch.mask[:, 0] for batch in made])
    # an image whose anomaly lies outside of the region is neither normal nor to be found
    kept = torch.ones(len(masks), dtype=torch.bool) if region is None else (masks * region).flatten(1).any(dim=1)
    scores = torch.cat([scored.scores, torch.cat([answer.scores for answer in answers])[kept]])
    labels = torch.arange(len(scores)) >= len(normals)
    maps = torch.cat([answer.maps for answer in answers])
    return dict(zip(CRITERIA, (image_auroc(scores, labels), aupro(maps, masks, region=region)), strict=True))
