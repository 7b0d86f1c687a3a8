"""Regional features: every layer of the backbone brought to one grid.

The authors resize each layer's map to the image's size and average it over 4x4 squares. Both steps are linear
and act on each axis alone, so together they are one matrix A per layer: ``A f A^T``. That is exactly equal and
never holds a map of the image's size.

Shapes: N images, C channels of all layers together, S image side, g grid side (``feature_size``).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomaly_lib.base.errors import InputError
from anomaly_lib.methods.backbones import Backbone


class RegionalFeatures(nn.Module):
    """(N, 3, S, S) images -> (N, C, g, g) features, layer by layer in the order of ``backbone.layers``.

    ``resize`` is 'bilinear' (corners aligned; the authors' code) or 'nearest' (the paper's text).
    Raises InputError when S is not a multiple of g.
    """

    def __init__(self, backbone: Backbone, image_size: int, feature_size: int, resize: str = "bilinear"):
        super().__init__()
        if image_size % feature_size:
            raise InputError(f"image_size {image_size} must be a multiple of feature_size {feature_size}")
        self.backbone = backbone
        shapes = backbone.shapes(image_size)
        self.channels = tuple(shape[0] for shape in shapes)
        for layer, shape in zip(backbone.layers, shapes, strict=True):
            matrix = pooling_matrix(shape[-1], image_size, feature_size, resize)
            self.register_buffer(f"pool_{layer}", matrix, persistent=False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        layers = zip(self.backbone.layers, self.backbone(images), strict=True)
        return torch.cat([self._pool(layer, maps) for layer, maps in layers], dim=1)  # (N, C, g, g)

    def split(self, features: Tensor) -> dict[str, Tensor]:
        """The (N, C, g, g) features by layer: {layer: (N, C_layer, g, g)}."""
        return dict(zip(self.backbone.layers, features.split(self.channels, dim=1), strict=True))

    def _pool(self, layer: str, maps: Tensor) -> Tensor:
        matrix = self.get_buffer(f"pool_{layer}")  # (g, h)
        return matrix @ maps @ matrix.T  # (N, C, h, h) -> (N, C, g, g)


def pooling_matrix(map_size: int, image_size: int, feature_size: int, resize: str) -> Tensor:
    """(g, h) matrix of "resize h values to S, then average S/g neighbours", along one axis."""
    unit = torch.eye(map_size)[None]  # (1, h, h): each channel is one unit vector
    if resize == "bilinear":
        resized = F.interpolate(unit, image_size, mode="linear", align_corners=True)
    else:
        resized = F.interpolate(unit, image_size, mode="nearest")
    return F.avg_pool1d(resized, image_size // feature_size)[0].T.contiguous()
