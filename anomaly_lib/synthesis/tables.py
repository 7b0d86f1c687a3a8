"""Point operations: those texture operations that give each level of a channel a new one, wherever it stands.

The authors work on 8-bit images, and there such an operation is a table of 256 levels; several of them in a row are
still one table. So the operations here change a table and see no pixel: a table (3, 256) float32 on the CPU holds whole
numbers from 0 to 255, and entry v is what level v has become. ``counts`` (3, 256) says how many pixels of each channel
have each level at this moment. Four random ``numbers`` in [0, 1) are used as far as needed.
"""

import torch
from torch import Tensor

LEVELS = 256
IDENTITY = torch.arange(LEVELS, dtype=torch.float32).repeat(3, 1)
"""The table that changes nothing."""


def gamma(table: Tensor, numbers: list[float], counts: Tensor | None) -> Tensor:
    """Raise each channel, as a share of 255, to a power of its own from 0.5 to 2."""
    powers = torch.tensor([[between(number, 0.5, 2.0)] for number in numbers[:3]])
    return 255 * (table / 255) ** powers


def brightness(table: Tensor, numbers: list[float], counts: Tensor | None) -> Tensor:
    """Multiply by 0.8 to 1.2, then add -30 to 30 levels, the same for all channels.

    Deviates: the authors' library does this in the brightness channel of a randomly chosen colour space.
    """
    return table * between(numbers[0], 0.8, 1.2) + between(numbers[1], -30, 30)


def solarize(table: Tensor, numbers: list[float], counts: Tensor | None) -> Tensor:
    """With probability 0.5, invert each value that is at least a threshold from 32 to 128."""
    if numbers[0] >= 0.5:
        return table
    return torch.where(table < between(numbers[1], 32, 128), table, 255 - table)


def posterize(table: Tensor, numbers: list[float], counts: Tensor | None) -> Tensor:
    """Keep the upper 1 to 8 bits of each value."""
    step = 2 ** (7 - int(numbers[0] * 8))  # 128 for 1 bit, 1 for 8
    return (table / step).floor() * step


def invert(table: Tensor, numbers: list[float], counts: Tensor | None) -> Tensor:
    """255 minus the value."""
    return 255 - table


def autocontrast(table: Tensor, numbers: list[float], counts: Tensor) -> Tensor:
    """Stretch each channel to the full range, after up to 20 % of its pixels at either end were left out of account.

    As Pillow does. A channel with one level only stays as it is.
    """
    below = counts.cumsum(1)
    pixels = below[:, -1:]
    cut = (pixels * between(numbers[0], 0.0, 0.2)).floor()
    low = (below <= cut).sum(dim=1, keepdim=True)
    high = (below < pixels - cut).sum(dim=1, keepdim=True)
    stretched = ((table - low) * 255 / (high - low).clamp(min=1)).floor()
    return torch.where(high > low, stretched, table)


def equalize(table: Tensor, numbers: list[float], counts: Tensor) -> Tensor:
    """Make the histogram of each channel flat, as Pillow does. A channel with one level only stays as it is."""
    below = counts.cumsum(1)
    pixels = below[:, -1:]
    highest = (below < pixels).sum(dim=1, keepdim=True)  # the highest level that occurs
    step = ((pixels - counts.gather(1, highest)) / 255).floor()
    flat = ((below - counts + (step / 2).floor()) / step.clamp(min=1)).floor()
    return torch.where(step > 0, flat.gather(1, table.long()), table)


def between(number: float, low: float, high: float) -> float:
    """A number in [0, 1) moved to [low, high)."""
    return low + number * (high - low)
