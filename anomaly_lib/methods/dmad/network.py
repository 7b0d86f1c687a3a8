"""PPDM, the pyramid deformation model for images: offset network, bottleneck and decoder around a frozen teacher.

Shapes: N images of H x W, normalised as the teacher wants them; level l is (N, C_l, h_l, w_l), finest first.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from anomaly_lib.methods.dmad.bottleneck import Bottleneck, Embedded, QuantisedBottleneck
from anomaly_lib.methods.dmad.decoder import Decoder
from anomaly_lib.methods.dmad.offset import OffsetNetwork
from anomaly_lib.methods.dmad.params import Params
from anomaly_lib.methods.dmad.quantise import VectorQuantiser
from anomaly_lib.methods.dmad.warp import Fields, to_prototype

THINNEST = 32
"""Least channels of a default decoder stage."""


class Pass(NamedTuple):
    """Everything one pass makes."""

    fields: Fields | None
    """None without deformation."""
    warped: Tensor
    """(N, 3, H, W): the prototype-like image; the image itself without deformation."""
    targets: list[Tensor]
    """The teacher's levels of ``warped``."""
    predictions: list[Tensor]
    """The decoder's levels, of the same shapes."""
    embedded: Embedded


class LevelSpace(nn.Module):
    """Affine map of each level's channels; the identity until it is set."""

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        for index, count in enumerate(channels):
            self.register_buffer(f"mean{index + 1}", torch.zeros(1, count, 1, 1))
            self.register_buffer(f"std{index + 1}", torch.ones(1, count, 1, 1))

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        pairs = ((getattr(self, f"mean{i}"), getattr(self, f"std{i}")) for i in range(1, len(levels) + 1))
        return [(level - mean) / std for level, (mean, std) in zip(levels, pairs, strict=True)]

    @torch.no_grad()
    def fit(self, levels: Sequence[Tensor]) -> None:
        """Standardise by the statistics of normal images' levels, (N, C, h, w) each."""
        for index, level in enumerate(levels, 1):
            std, mean = torch.std_mean(level.double(), dim=(0, 2, 3), correction=0, keepdim=True)
            getattr(self, f"mean{index}").copy_(mean)
            getattr(self, f"std{index}").copy_(std.clamp(min=1e-6))


class PPDM(nn.Module):
    """The three trained networks. ``offset`` is None without deformation."""

    def __init__(self, offset: OffsetNetwork | None, bottleneck: nn.Module, decoder: Decoder, space: LevelSpace):
        super().__init__()
        self.offset, self.bottleneck, self.decoder, self.space = offset, bottleneck, decoder, space

    def forward(self, images: Tensor, teacher: Callable[[Tensor], list[Tensor]], deform: bool = True) -> Pass:
        """``teacher`` gives the three levels of normalised images; ``deform`` false leaves the images as they are."""
        fields = self.offset(images) if self.offset and deform else None
        warped = to_prototype(images, fields) if fields else images
        targets = self.space(teacher(warped))
        embedded, predictions = self.reproduce(targets)
        return Pass(fields, warped, targets, predictions, embedded)

    def reproduce(self, targets: Sequence[Tensor]) -> tuple[Embedded, list[Tensor]]:
        """The embedding of three levels, and the decoder's answer to it, cut to their sizes where those are odd."""
        embedded = self.bottleneck(targets)
        levels = zip(self.decoder(embedded.features), targets, strict=True)
        return embedded, [level[..., : target.shape[-2], : target.shape[-1]] for level, target in levels]

    @property
    def quantiser(self) -> VectorQuantiser | None:
        """The vector quantiser, where there is one."""
        return getattr(self.bottleneck, "vq3", None)


def build(params: Params, channels: Sequence[int]) -> PPDM:
    """Freshly initialised networks for a teacher whose levels have ``channels``, finest first."""
    offset = None
    if params.deformation:
        offset = OffsetNetwork(params.coordinates, params.offset_width, params.offset_reduction, params.identity_start)
    if params.codes is None:
        bottleneck: nn.Module = Bottleneck(channels, params.embedding_blocks)
    else:
        quantiser = VectorQuantiser(params.codes, channels[-1], params.commitment, params.revive_after)
        official = params.preset != "honest"  # their checkpoints hold two layers that nothing uses
        bottleneck = QuantisedBottleneck(channels, quantiser, params.squeeze, params.embedding_blocks, official)
    widths = params.decoder_widths
    if widths is None and params.decoder_heads:
        widths = [mirrored_width(count) for count in channels]
    decoder = Decoder(2 * channels[-1], channels, widths, params.decoder_blocks, params.decoder_heads)
    return PPDM(offset, bottleneck, decoder, LevelSpace(channels))


def mirrored_width(channels: int) -> int:
    """A level's channels, rounded up to a multiple of 16, at least 32."""
    return max(THINNEST, -(-channels // 16) * 16)
