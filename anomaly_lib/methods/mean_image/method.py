"""The distance to the mean normal image: what can be had without any features.

Shapes: N images, S image side.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from anomaly_lib.methods.base import Method, parameter_count, within
from anomaly_lib.methods.maps import smoothed
from anomaly_lib.methods.mean_image.params import MeanImageParams


class MeanImage(Method[MeanImageParams, nn.ParameterDict]):
    """Far from the mean is anomalous."""

    name, paper = "mean_image", "without a paper"

    def fit(self, normals: Tensor, work: Path | None = None, progress: bool = True) -> list[dict]:
        self.check(normals)
        self.model = _holding(normals.double().mean(dim=0).float()).to(self.device)
        return []

    def outputs(self, images: Tensor, region: Tensor | None = None) -> dict[str, Tensor]:
        distances = torch.linalg.vector_norm(images - self.fitted["mean"], dim=1)
        maps = within(smoothed(distances, self.params.smoothing_sigma, "mirrored"), region)
        return {"map": maps, "score": maps.amax(dim=(1, 2)), "distance": distances}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.restore(_holding(torch.zeros(3, self.image_size, self.image_size)), state)

    def architecture(self) -> list[dict]:
        return [{"part": "mean image", "channels": 3, "parameters": parameter_count(self.fitted)}]


def _holding(mean: Tensor) -> nn.ParameterDict:
    return nn.ParameterDict({"mean": nn.Parameter(mean, requires_grad=False)})
