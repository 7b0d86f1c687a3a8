"""The network: a reference of the next frame from a memory, put right by a coarse and a fine flow.

What is in the picture must pass a vector-quantised memory, which holds normal appearance alone. Where exactly it is,
and how its outline runs, comes from the flows, which read the encoder's features and may not change them.

Shapes: N windows, H = 4 frames of history, S side of a frame, C channels. Frames are in [-1, 1]. Flows are fields as in
``anomaly_lib.methods.dmad.warp``: (N, 2, S, S), x first, one pixel being 2 / S.

Deviates from the authors' model: 16, 32 and 64 channels on 64 px, not 32 to 256 on 256 px; skips of 8 channels, not
32; plain two-channel coordinates. Our reading where the description is silent: skips feed the flows alone, so that
nothing goes around the memory; foreground and mask are warped, the background, which stands still, is not.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from anomaly_lib.methods.dmad.offset import CoordinateConvolution
from anomaly_lib.methods.dmad.quantise import Quantised, VectorQuantiser
from anomaly_lib.methods.dmad.warp import resized, sample

HISTORY = 4
WIDTHS = (16, 32, 64)
"""Channels at a half, a quarter and an eighth of the frame's side."""
SKIP = 8
"""Channels of a skip, so thin that it cannot carry the picture."""
BACKGROUND_FIRST = 2.0
"""How far below zero the mask's logit begins, so that the template, not the decoder, learns the background."""


class Flows(NamedTuple):
    """The two levels of the pyramid, each (N, 2, S, S); the coarse one is applied first."""

    coarse: Tensor
    fine: Tensor


class Prediction(NamedTuple):
    """What the network makes of N windows."""

    frame: Tensor
    """(N, 1, S, S): the prediction, the reference after both flows."""
    coarse_frame: Tensor
    """(N, 1, S, S): the reference after the coarse flow alone."""
    reference: Tensor
    """(N, 1, S, S): what the memory gives, not deformed."""
    mask: Tensor
    """(N, 1, S, S) in (0, 1): how much of the prediction is foreground."""
    flows: Flows
    """Zero for a network without flow."""
    memory_loss: Tensor
    """Scalar: the quantiser's loss; zero for a network without memory."""
    embedding: Tensor
    """(N, 64, S/8, S/8): the features before the memory."""
    codes: Tensor | None
    """(N, S/8, S/8) int64: the code at each place; None without memory."""


class FramePredictor(nn.Module):
    """Encoder, memory, reference decoder, flow decoder and background template.

    ``pixels`` are the largest coarse and fine displacement along an axis; None leaves the flow out, ``codes`` None the
    memory: both together are the plain predictor to compare with. Source: the paper, section 3, as its authors' code
    has it for video.
    """

    def __init__(
        self, size: int, codes: int | None, pixels: tuple[float, float] | None, revive_after: int | None = None
    ):
        super().__init__()
        half, quarter, eighth = WIDTHS
        self.encoder = nn.ModuleList([_halved(HISTORY, half), _halved(half, quarter), _halved(quarter, eighth)])
        self.embed = nn.Conv2d(eighth, eighth, 1)  # without ReLU, so that codes may have any sign
        self.memory = VectorQuantiser(codes, eighth, revive_after=revive_after) if codes else None
        self.reference = _reference_decoder()
        self.flow = FlowDecoder([2 * largest / size for largest in pixels]) if pixels else None
        self.background = nn.Parameter(torch.zeros(1, 1, size, size))

    def forward(self, history: Tensor) -> Prediction:
        """(N, 4, S, S) -> the prediction of the frame that follows."""
        levels = self.levels(history)
        embedding = self.embed(levels[-1])
        remembered = self.memory(embedding) if self.memory else Quantised(embedding, embedding.new_zeros(()), None)
        decoded = self.reference(remembered.features)
        # foreground in [-1, 1] and its mask in (0, 1), one channel each
        layers = torch.cat([decoded[:, :1].tanh(), (decoded[:, 1:] - BACKGROUND_FIRST).sigmoid()], dim=1)
        size = history.shape[-2:]
        flows = self.flow(levels, size) if self.flow else Flows(*history.new_zeros(2, len(history), 2, *size))
        after_coarse = sample(layers, flows.coarse)
        after_both = sample(after_coarse, flows.fine)
        frames = [self._composed(each) for each in (after_both, after_coarse, layers)]
        return Prediction(*frames, after_both[:, 1:], flows, remembered.loss, embedding, remembered.codes)

    def levels(self, history: Tensor) -> list[Tensor]:
        """The encoder's features at a half, a quarter and an eighth of the frame's side."""
        features = [history]
        for level in self.encoder:
            features.append(level(features[-1]))
        return features[1:]

    def _composed(self, layers: Tensor) -> Tensor:
        """Foreground over background: (N, 2, S, S) -> (N, 1, S, S)."""
        foreground, mask = layers.split(1, dim=1)
        return mask * foreground + (1 - mask) * self.background


class FlowDecoder(nn.Module):
    """Both flows from the encoder's three levels, whose gradient stops here: the flows adapt, the encoder does not.

    ``limits`` are the largest coarse and fine displacement, in units of half the frame's side.
    """

    def __init__(self, limits: list[float]):
        super().__init__()
        half, quarter, _ = WIDTHS
        self.limits = limits
        self.skips = nn.ModuleList([nn.Conv2d(width, SKIP, 1) for width in WIDTHS])
        self.deep = nn.Sequential(_located(SKIP, quarter), _located(quarter, quarter), _doubled())
        self.middle = nn.Sequential(_located(quarter + SKIP, quarter), _located(quarter, quarter))
        self.shallow = nn.Sequential(_located(quarter + SKIP, half), _located(half, half))
        self.upsampled = _doubled()
        self.coarse, self.fine = nn.Conv2d(quarter, 2, 3, padding=1), nn.Conv2d(half, 2, 3, padding=1)

    def forward(self, levels: list[Tensor], size: tuple[int, int]) -> Flows:
        """Coarse flow from a quarter, fine flow from a half of the resolution, both resized to ``size``."""
        half, quarter, eighth = (skip(level.detach()) for skip, level in zip(self.skips, levels, strict=True))
        middle = self.middle(torch.cat([self.deep(eighth), quarter], dim=1))
        shallow = self.shallow(torch.cat([self.upsampled(middle), half], dim=1))
        found = zip(self.limits, (self.coarse(middle), self.fine(shallow)), strict=True)
        return Flows(*(resized(limit * flow.tanh(), *size) for limit, flow in found))


def _reference_decoder() -> nn.Sequential:
    """(N, 64, S/8, S/8) -> (N, 2, S, S): foreground and mask, before tanh and sigmoid."""
    half, quarter, eighth = WIDTHS
    return nn.Sequential(
        *(_located(eighth, eighth), _doubled(), _located(eighth, quarter), _doubled()),
        *(_located(quarter, half), _doubled(), _located(half, half), nn.Conv2d(half, 2, 3, padding=1)),
    )


def _halved(channels_in: int, channels_out: int) -> nn.Sequential:
    """Half the resolution, then once more at that resolution."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False), *_normalised(channels_out),
        nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False), *_normalised(channels_out),
    )  # fmt: skip


def _located(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(CoordinateConvolution(channels_in, channels_out), *_normalised(channels_out))


def _normalised(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU(inplace=True)


def _doubled() -> nn.Upsample:
    return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
