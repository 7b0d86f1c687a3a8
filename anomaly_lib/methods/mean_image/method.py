"""The distance to the mean normal image: what can be had without any features.

Shapes: N images, S image side.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from anomaly_lib.methods.base import Baseline, within
from anomaly_lib.methods.maps import smoothed
from anomaly_lib.methods.mean_image.params import MeanImageParams


class MeanImageModel(nn.Module):
    """The mean normal image, (3, S, S)."""

    mean: Tensor

    def __init__(self, mean: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) images -> (N, S, S) Euclidean distances of colours to the mean image's."""
        return torch.linalg.vector_norm(images - self.mean, dim=1)


class MeanImage(Baseline[MeanImageParams, MeanImageModel]):
    """Far from the mean is anomalous."""

    name, paper = "mean_image", "without a paper"

    def fit(self, normals: Tensor, work: Path | None = None, progress: bool = True) -> list[dict]:
        self.check(normals)
        self.model = MeanImageModel(normals.double().mean(dim=0).float()).to(self.device)
        return []

    def outputs(self, images: Tensor, region: Tensor | None = None) -> dict[str, Tensor]:
        distances = self.fitted(images)
        maps = within(smoothed(distances, self.params.smoothing_sigma, "mirrored"), region)
        return {"map": maps, "score": maps.amax(dim=(1, 2)), "distance": distances}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.restore(MeanImageModel(torch.zeros(3, self.image_size, self.image_size)), state)

    def architecture(self) -> list[dict]:
        return [{"part": "mean image", "channels": 3, "parameters": self.fitted.mean.numel()}]
