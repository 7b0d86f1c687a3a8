"""PaDiM: one Gaussian of normal features at each place, and the Mahalanobis distance to it.

Deviates from the paper: another backbone, no crop, maps upsampled bilinearly; see docs/fidelity/baselines.md.

Shapes: N images, S image side, L = g x g places of the finest layer, C kept channels of all layers together.
"""

from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor, nn

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.methods.backbones import Backbone, on_one_grid, pyramid_layers
from anomaly_lib.methods.base import Method, in_batches, within
from anomaly_lib.methods.maps import smoothed, upsampled
from anomaly_lib.methods.padim.params import PadimParams


class PadimModel(nn.Module):
    """Mean (L, C) and whitening matrix W (L, C, C) of each place: W^T W is the inverse of its covariance."""

    mean: Tensor
    whitening: Tensor

    def __init__(self, mean: Tensor, whitening: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("whitening", whitening)

    def forward(self, vectors: Tensor) -> Tensor:
        """(N, L, C) vectors -> (N, L) Mahalanobis distances."""
        # Eq. (2), the length of the whitened difference
        return torch.linalg.vector_norm(torch.einsum("lcd,nld->nlc", self.whitening, vectors - self.mean), dim=-1)


class Padim(Method[PadimParams, PadimModel]):
    """Patch Distribution Modeling."""

    name = "padim"
    paper = "Defard, Setkov, Loesch, Audigier: PaDiM, ICPR workshops 2021, arXiv 2011.08785"

    def __init__(self, params: PadimParams, seed: int = 0):
        super().__init__(params, seed)
        layers = params.layers or pyramid_layers(params.backbone)
        self.backbone = Backbone(params.backbone, layers, params.weights).to(self.device)
        shapes = self.backbone.shapes(params.image_size)
        self.channels, self.side = [shape[0] for shape in shapes], max(shape[-1] for shape in shapes)
        if (params.channels or 0) > sum(self.channels):
            raise InputError(f"methods.padim.channels: {params.channels}, but the layers have {sum(self.channels)}")
        drawn = torch.randperm(sum(self.channels), generator=generator(seed, "padim", "channels"))
        self.kept = drawn[: params.channels].sort().values.to(self.device)

    @torch.no_grad()
    def fit(self, normals: Tensor, work: Path | None = None, progress: bool = True) -> list[dict]:
        self.check(normals)
        if len(normals) < 2:
            raise InputError("PaDiM needs two normal images or more: one has no covariance")
        places, channels = self.side**2, len(self.kept)
        total = torch.zeros(places, channels, dtype=torch.float64, device=self.device)
        products = torch.zeros(places, channels, channels, dtype=torch.float64, device=self.device)
        for batch in in_batches(normals, "PaDiM features", progress):
            vectors = rearrange(self.vectors(batch.to(self.device)).double(), "n l c -> l n c").contiguous()
            total += vectors.sum(dim=1)
            products.baddbmm_(vectors.mT, vectors)
        self.model = gaussians(total, products, len(normals), self.params.shrinkage)
        return []

    def vectors(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) images -> (N, L, C); coarse layers are repeated, so that a place has all that cover it."""
        features = on_one_grid(self.backbone(images), "nearest")
        return rearrange(features[:, self.kept], "n c h w -> n (h w) c")

    def outputs(self, images: Tensor, region: Tensor | None = None) -> dict[str, Tensor]:
        distances = rearrange(self.fitted(self.vectors(images)), "n (h w) -> n h w", h=self.side)
        distances = upsampled(distances, self.image_size)
        maps = within(smoothed(distances, self.params.smoothing_sigma, "mirrored"), region)
        return {"map": maps, "score": maps.amax(dim=(1, 2)), "distance": distances}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        places, channels = self.side**2, len(self.kept)
        self.restore(PadimModel(torch.zeros(places, channels), torch.zeros(places, channels, channels)), state)

    def architecture(self) -> list[dict]:
        numbers = self.fitted.mean.numel() + self.fitted.whitening.numel()
        part = f"a Gaussian at each of {self.side} x {self.side} places"
        return [*self.backbone.rows(self.channels), {"part": part, "channels": len(self.kept), "parameters": numbers}]


def gaussians(total: Tensor, products: Tensor, count: int, shrinkage: float) -> PadimModel:
    """From the sums over ``count`` images of vectors (L, C) and of their outer products (L, C, C), in float64."""
    mean = total / count
    centred = products - count * torch.einsum("lc,ld->lcd", mean, mean)
    identity = torch.eye(mean.shape[1], dtype=mean.dtype, device=mean.device)
    # Eq. (1)
    covariance = centred / (count - 1) + shrinkage * identity
    lower = torch.linalg.cholesky(covariance)
    whitening = torch.linalg.solve_triangular(lower, identity.expand_as(lower), upper=False)
    return PadimModel(mean.float(), whitening.float().contiguous())
