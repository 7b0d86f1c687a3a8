"""PatchCore: the distance of each patch's features to the nearest normal ones in a small memory.

Deviates from the paper: another backbone, no crop; see docs/fidelity/baselines.md.

Shapes: N images, S image side, P = g x g patches of an image, C channels of all layers together, M memorised patches.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from anomaly_lib.base.progress import progress_bar
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.methods.backbones import Backbone, FeatureCache, on_one_grid, pyramid_layers
from anomaly_lib.methods.base import Method, in_batches, within
from anomaly_lib.methods.maps import smoothed, upsampled
from anomaly_lib.methods.patchcore.params import PatchcoreParams


class PatchcoreModel(nn.Module):
    """The memory (M, C), and its squared lengths (M,), which every search needs."""

    memory: Tensor
    squares: Tensor

    def __init__(self, memory: Tensor):
        super().__init__()
        self.register_buffer("memory", memory)
        self.register_buffer("squares", memory.square().sum(dim=1))

    def nearest(self, patches: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Distances to the ``count`` nearest of the memory, and their numbers: (..., C) -> (..., count) each."""
        # |p - m|^2 = |p|^2 - 2 p m + |m|^2, where |p|^2 is the same for all m; only the search takes this short way
        found = (self.squares - 2 * (patches @ self.memory.T)).topk(count, largest=False).indices
        return torch.linalg.vector_norm(patches[..., None, :] - self.memory[found], dim=-1), found

    def image_scores(self, patches: Tensor, distances: Tensor, nearest: Tensor, neighbours: int) -> Tensor:
        """(N, P, C) patches, their distances (N, P) and nearest (N, P) -> (N,) scores."""
        # Eq. (6), the patch that is farthest from the memory
        largest, place = distances.max(dim=1, keepdim=True)
        farthest = patches.gather(1, place[..., None].expand(-1, -1, patches.shape[2]))[:, 0]
        memorised = self.memory[nearest.gather(1, place)[:, 0]]
        _, around = self.nearest(memorised, min(neighbours, len(self.memory)))
        spread = torch.linalg.vector_norm(farthest[:, None] - self.memory[around], dim=-1)
        # Eq. (7), numerator and denominator divided by the numerator, which may overflow
        return (1 - 1 / (spread - largest).exp().sum(dim=1)) * largest[:, 0]


class Patchcore(Method[PatchcoreParams, PatchcoreModel]):
    """Nearest neighbours on a coreset of normal patches."""

    name = "patchcore"
    paper = "Roth, Pemula, Zepeda, Schoelkopf, Brox, Gehler: PatchCore, CVPR 2022, arXiv 2106.08265"

    def __init__(self, params: PatchcoreParams, seed: int = 0):
        super().__init__(params, seed)
        layers = params.layers or pyramid_layers(params.backbone)[1:]
        self.backbone = Backbone(params.backbone, layers, params.weights).to(self.device)
        shapes = self.backbone.shapes(params.image_size)
        self.channels, self.side = [shape[0] for shape in shapes], max(shape[-1] for shape in shapes)

    @torch.no_grad()
    def fit(self, normals: Tensor, work: Path | None = None, progress: bool = True) -> list[dict]:
        self.check(normals)
        params, rows = self.params, len(normals) * self.side**2
        with FeatureCache(rows, sum(self.channels), params.memory_gigabytes, work) as cache:
            for batch in in_batches(normals, "PatchCore features", progress):
                cache.append(rearrange(self.patches(batch.to(self.device)), "n p c -> (n p) c"))
            draw = generator(self.seed, "patchcore", "coreset")
            # a random linear map nearly keeps distances (Johnson and Lindenstrauss), and the search is quicker there
            projected = cache.vectors @ torch.randn(sum(self.channels), params.projection, generator=draw)
            chosen = coreset(projected, max(1, round(params.coreset_share * rows)), draw, progress)
            self.model = PatchcoreModel(cache.vectors[chosen]).to(self.device)
        return []

    def patches(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) images -> (N, P, C), each the mean over a neighbourhood of ``patch`` x ``patch``."""
        width = self.params.patch
        means = [F.avg_pool2d(o, width, 1, width // 2, count_include_pad=False) for o in self.backbone(images)]
        return rearrange(on_one_grid(means, "bilinear"), "n c h w -> n (h w) c")

    def outputs(self, images: Tensor, region: Tensor | None = None) -> dict[str, Tensor]:
        patches = self.patches(images)
        distances, nearest = (found[..., 0] for found in self.fitted.nearest(patches, 1))
        counted = distances
        if region is not None:  # patches with at least one pixel inside
            inside = region.to(images.device).expand(images.shape[0], -1, -1).float()
            outside = F.adaptive_avg_pool2d(inside, self.side).flatten(1) == 0
            counted = distances.masked_fill(outside, 0.0)
        scores = self.fitted.image_scores(patches, counted, nearest, self.params.neighbours)
        shown = upsampled(rearrange(distances, "n (h w) -> n h w", h=self.side), self.image_size)
        maps = within(smoothed(shown, self.params.smoothing_sigma, "mirrored"), region)
        return {"map": maps, "score": scores, "distance": shown}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        rows = len(state["squares"]) if "squares" in state and state["squares"].ndim else 0
        self.restore(PatchcoreModel(torch.zeros(rows, sum(self.channels))), state)

    def architecture(self) -> list[dict]:
        rows, channels = self.fitted.memory.shape
        memory = {"part": f"memory of {rows} patches", "channels": channels, "parameters": rows * channels}
        return [*self.backbone.rows(self.channels), memory]


def coreset(vectors: Tensor, count: int, draw: torch.Generator, progress: bool = False) -> Tensor:
    """Numbers (count,) of vectors (R, D), each the one farthest from all before it; the first is drawn."""
    squares = vectors.square().sum(dim=1)
    chosen = torch.empty(count, dtype=torch.int64)
    distances = torch.full_like(squares, torch.inf)
    newest = torch.randint(len(vectors), (), generator=draw)
    for step in progress_bar(range(count), description="PatchCore coreset", show=progress):
        if step:
            newest = distances.argmax()
        chosen[step] = newest
        # Eq. (5), greedily (Algorithm 1): squared distance to the nearest that has been chosen
        distances = torch.minimum(distances, squares - 2 * (vectors @ vectors[newest]) + squares[newest])
        distances[newest] = -torch.inf
    return chosen
