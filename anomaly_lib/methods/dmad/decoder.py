"""The decoder: a ResNet in reverse, from the embedding to the teacher's three levels.

Shapes: level l is (N, C_l, h_l, w_l), finest first. Module names equal the authors' checkpoints.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from anomaly_lib.methods.dmad.blocks import UpBlock, initialise


class Decoder(nn.Module):
    """(N, E, h, w) embedding -> three levels of ``channels``, finest first, at 8, 4 and 2 times the side.

    ``widths`` are the stages' channels, finest first, and equal ``channels`` unless ``heads`` adds a 1x1 convolution a
    level, without which a level cannot be negative. ``blocks`` counts residual blocks, coarsest stage first. The inner
    width is half a stage's (authors: 512, 256, 128).
    """

    def __init__(
        self,
        embedding: int,
        channels: Sequence[int],
        widths: Sequence[int] | None = None,
        blocks: Sequence[int] = (3, 4, 6),
        heads: bool = False,
    ):
        super().__init__()
        widths = tuple(widths or channels)
        ends = (embedding, *widths[::-1])  # coarsest first
        for index, count in enumerate(blocks):
            self.add_module(f"layer{index + 1}", _stage(ends[index], ends[index + 1], count))
        self.heads = None
        if heads:
            pairs = zip(widths, channels, strict=True)
            self.heads = nn.ModuleList(nn.Conv2d(width, channel, 1) for width, channel in pairs)
        initialise(self)

    def forward(self, embedding: Tensor) -> list[Tensor]:
        third = self.layer1(embedding)
        second = self.layer2(third)
        levels = [self.layer3(second), second, third]
        if self.heads is None:
            return levels
        return [head(level) for head, level in zip(self.heads, levels, strict=True)]


def _stage(channels_in: int, width: int, blocks: int) -> nn.Sequential:
    inner = width // 2
    first = UpBlock(channels_in, inner, width, double=True)
    return nn.Sequential(first, *(UpBlock(width, inner, width) for _ in range(blocks - 1)))
