"""Vector quantisation: each feature vector is replaced by the nearest of K codes, the memory of normal features.

Shapes: N images, C channels, h x w locations, K codes, M = N h w vectors.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class Quantised(NamedTuple):
    """What the quantiser makes of (N, C, h, w) features."""

    features: Tensor
    """(N, C, h, w): the codes, with the gradient passed straight through to the input."""
    loss: Tensor
    """Scalar: distance of codes to features, plus ``commitment`` times that of features to codes."""
    codes: Tensor | None
    """(N, h, w) int64: which code each location took; None without quantisation."""


class VectorQuantiser(nn.Module):
    """K codes of C channels, uniform in +-1/K at first (authors), or set by ``start_from``.

    ``revive_after`` keeps a count of steps without use for each code (see ``revive``); with the generator ``revival``
    set, training revives by itself before it looks codes up.
    Source: van den Oord et al., Neural Discrete Representation Learning, eq. (3), without moving averages.
    """

    idle: Tensor

    def __init__(self, codes: int, channels: int, commitment: float = 0.25, revive_after: int | None = None):
        super().__init__()
        self.commitment, self.revive_after = commitment, revive_after
        self.revival: torch.Generator | None = None
        self.embedding = nn.Embedding(codes, channels)
        nn.init.uniform_(self.embedding.weight, -1 / codes, 1 / codes)
        if revive_after is not None:
            self.register_buffer("idle", torch.zeros(codes, dtype=torch.long))

    def forward(self, features: Tensor) -> Quantised:
        if self.training and self.revive_after and self.revival:
            self.revive(features, self.revival)
        codes = self.nearest(features)
        chosen = rearrange(self.embedding(codes), "n h w c -> n c h w")
        # van den Oord et al., eq. (3): L = |sg(x) - e|^2 + commitment |x - sg(e)|^2
        loss = F.mse_loss(chosen, features.detach()) + self.commitment * F.mse_loss(features, chosen.detach())
        return Quantised(features + (chosen - features).detach(), loss, codes)

    def nearest(self, features: Tensor) -> Tensor:
        """(N, h, w) index of the nearest code."""
        vectors = rearrange(features.detach(), "n c h w -> (n h w) c")
        table = self.embedding.weight.detach()
        # |x - e|^2 without |x|^2, which is the same for all codes
        nearest = (table.square().sum(dim=1) - 2 * vectors @ table.T).argmin(dim=1)
        return rearrange(nearest, "(n h w) -> n h w", h=features.shape[2], w=features.shape[3])

    @torch.no_grad()
    def start_from(self, vectors: Tensor, generator: torch.Generator) -> None:
        """Set every code to one of (M, C) normal vectors, drawn without repetition where there are enough."""
        self.embedding.weight.copy_(_drawn(vectors, self.embedding.num_embeddings, generator))

    @torch.no_grad()
    def revive(self, features: Tensor, generator: torch.Generator) -> int:
        """Count this step's use, and move codes idle for ``revive_after`` steps to random vectors of the batch.

        Returns how many were moved. The generator draws as often whatever happens, so that runs stay comparable.
        """
        used = torch.bincount(self.nearest(features).flatten(), minlength=len(self.idle)) > 0
        self.idle = torch.where(used, 0, self.idle + 1)
        dead = self.idle >= (self.revive_after or torch.inf)
        fresh = _drawn(rearrange(features, "n c h w -> (n h w) c"), len(self.idle), generator)
        self.embedding.weight.copy_(torch.where(dead[:, None], fresh, self.embedding.weight))
        self.idle.masked_fill_(dead, 0)
        return int(dead.sum())


def _drawn(vectors: Tensor, count: int, generator: torch.Generator) -> Tensor:
    order = torch.randperm(len(vectors), generator=generator).to(vectors.device)
    return vectors[order.repeat(-(-count // len(order)))[:count]]


def health(codes: Tensor, size: int) -> dict[str, Tensor]:
    """``used_codes``, and ``perplexity`` = exp(entropy) of their shares: K when all are used alike, 1 for one."""
    shares = torch.bincount(codes.flatten(), minlength=size).float() / codes.numel()
    return {"used_codes": (shares > 0).sum().float(), "perplexity": torch.special.entr(shares).sum().exp()}
