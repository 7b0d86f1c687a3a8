"""The ten texture operations (DRAEM, section 3.3), three of them on each texture.

Ranges are the authors'; where they leave one to their library, it is that library's default. All random numbers are
handed in, so that none comes from a global generator: each operation gets four in [0, 1) and uses as many as it needs.

Point operations give each level of a channel a new one, wherever it stands. The authors work on 8-bit images, and there
such an operation is a table of 256 levels, and several in a row are still one table. So they change a table and see no
pixel: a table (3, 256) float32 on the CPU holds whole numbers from 0 to 255, and entry v is what level v has become.
``counts`` (3, 256) says how many pixels of each channel have each level at this moment.

Filters need more than one level: the neighbours, or all three channels of a pixel. Pictures are (3, H, W) in [0, 1].
Kornia's way through HSV and Pillow's sharpness give the same values (tested); kornia's functions for the two take six
times as long and more on a CPU, which is why they are not used.

Textures are taken one by one, since each has its own operations. A mask covers a twentieth of an image, so values are
computed backwards from the pixels that will be seen, and whole pictures only where an operation needs them.

Shapes: H x W pixels, P pixels to be seen, given as indices into H * W.
"""

from itertools import takewhile

import torch
from torch import Tensor

from anomaly_lib.synthesis.rotation import rotate, rotate_at

NUMBERS = 4
"""Random numbers that each operation is given."""
LEVELS = 256
IDENTITY = torch.arange(LEVELS, dtype=torch.float32).repeat(3, 1)
"""The table that changes nothing."""
PEAKS = (0, 1 / 3, 2 / 3)  # hues, in turns, of red, green and blue

Chain = list[tuple[str, list[float]]]
"""Names of operations, each with its four random numbers in [0, 1), in order."""


def gamma(table: Tensor, numbers: list[float], counts: Tensor) -> Tensor:
    """Raise each channel, as a share of 255, to a power of its own from 0.5 to 2."""
    powers = torch.tensor([[between(number, 0.5, 2.0)] for number in numbers[:3]])
    return 255 * (table / 255) ** powers


def brightness(table: Tensor, numbers: list[float], counts: Tensor) -> Tensor:
    """Multiply by 0.8 to 1.2, then add -30 to 30 levels, the same for all channels.

    Deviates: the authors' library does this in the brightness channel of a randomly chosen colour space.
    """
    return table * between(numbers[0], 0.8, 1.2) + between(numbers[1], -30, 30)


def solarize(table: Tensor, numbers: list[float], counts: Tensor) -> Tensor:
    """With probability 0.5, invert each value that is at least a threshold from 32 to 128."""
    if numbers[0] >= 0.5:
        return table
    return torch.where(table < between(numbers[1], 32, 128), table, 255 - table)


def posterize(table: Tensor, numbers: list[float], counts: Tensor) -> Tensor:
    """Keep the upper 1 to 8 bits of each value."""
    step = 2 ** (7 - int(numbers[0] * 8))  # 128 for 1 bit, 1 for 8
    return (table / step).floor() * step


def invert(table: Tensor, numbers: list[float], counts: Tensor) -> Tensor:
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


def sharpness(picture: Tensor, numbers: list[float]) -> Tensor:
    """From smoothed (0) over unchanged (1) to sharpened (2), as Pillow does; the border stays as it is."""
    factor = between(numbers[0], 0.0, 2.0)
    rows = picture[:, :-2] + picture[:, 1:-1] + picture[:, 2:]
    box = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    result, centre = picture.clone(), picture[:, 1:-1, 1:-1]
    # smooth = (box + 4 centre) / 13, result = (1 - factor) smooth + factor centre
    mixed = box.mul_((1 - factor) / 13).add_(centre, alpha=4 * (1 - factor) / 13 + factor)
    result[:, 1:-1, 1:-1] = mixed.clamp_(0, 1)
    return result


def hue_saturation(picture: Tensor, numbers: list[float]) -> Tensor:
    """Add -50 to 50 of 255 levels to the hue, which is a circle, and as many of its own to the saturation (HSV).

    Pixels do not depend on each other, so the picture may also be a list of them, (3, P).
    """
    hue_shift, saturation_shift = (between(number, -50 / 255, 50 / 255) for number in numbers[:2])
    red, green, blue = picture
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    hue = _hue(red, green, blue, value, chroma).add_(hue_shift)
    # chroma = saturation * value, so a shift of the saturation is one of the chroma by shift * value
    chroma = torch.minimum(chroma.add_(value, alpha=saturation_shift).clamp_(min=0), value)
    return torch.stack([torch.addcmul(value, _missing(hue - peak), chroma, value=-1) for peak in PEAKS])


def rotation(picture: Tensor, numbers: list[float]) -> Tensor:
    """Turn by up to 45 degrees, both ways; the corners become black."""
    return rotate(picture[None], torch.tensor([_angle(numbers)]))[0].clamp_(0, 1)


def rotation_at(picture: Tensor, numbers: list[float], where: Tensor) -> Tensor:
    """The same, but only the pixels ``where`` (P,): (3, P)."""
    return rotate_at(picture, _angle(numbers), where).clamp_(0, 1)


POINT = {
    function.__name__: function for function in (gamma, brightness, solarize, posterize, invert, autocontrast, equalize)
}
NEEDS_COUNTS = ("autocontrast", "equalize")
FILTERS = {"sharpness": sharpness, "hue and saturation": hue_saturation, "rotation": rotation}
OPERATIONS = (*POINT, *FILTERS)
"""Names of the authors' ten; ``Draws.operations`` holds indices into them."""
NO_OPERATION = -1
"""Stands in the place of an index where a texture stays as it is."""
SEVEN = ("posterize", "sharpness", "solarize", "equalize", "brightness", "hue and saturation", "autocontrast")
"""Those that the paper lists."""


def whole_texture(levels: Tensor, chain: Chain) -> Tensor:
    """A texture after its operations, (3, H, W) float32 in [0, 1]; ``levels`` is (3, H, W) uint8."""
    if not chain:
        return levels / 255
    run = _points_at_the_end(chain)
    if run:
        stored = _levels_after(levels, chain[: -len(run)])
        return _looked_up(stored, table_of(run, stored))
    name, numbers = chain[-1]
    return FILTERS[name](whole_texture(levels, chain[:-1]), numbers)


def seen_texture(levels: Tensor, chain: Chain, where: Tensor) -> Tensor:
    """The same at the pixels ``where`` (P,) only: (3, P). The last bits may differ."""
    run = _points_at_the_end(chain)
    before = chain[: -max(1, len(run))]
    if any(name in NEEDS_COUNTS for name, _ in run):
        stored = _levels_after(levels, before)
        return _looked_up(_picked(stored, where), table_of(run, stored))
    if run:
        return _looked_up(to_levels(seen_texture(levels, before, where)), table_of(run, None))
    if not chain:
        return _picked(levels, where) / 255
    name, numbers = chain[-1]
    if name == "hue and saturation":
        return hue_saturation(seen_texture(levels, before, where), numbers)
    if name == "rotation":
        return rotation_at(whole_texture(levels, before), numbers, where)
    return _picked(whole_texture(levels, chain), where)


def table_of(run: Chain, stored: Tensor | None) -> Tensor:
    """What a row of point operations makes of each level, (3, 256) float32 from 0 to 255.

    ``stored`` (3, H, W) uint8 is the texture before them; only autocontrast and equalize need it.
    """
    table = IDENTITY
    before = torch.zeros_like(IDENTITY)
    if stored is not None and any(name in NEEDS_COUNTS for name, _ in run):  # counting takes time
        before = _counts(stored)
    for name, numbers in run:
        counts = torch.zeros_like(before)
        if name in NEEDS_COUNTS:
            counts.scatter_add_(1, table.long(), before)
        table = POINT[name](table, numbers, counts).round().clamp_(0, 255)
    return table


def to_levels(images: Tensor) -> Tensor:
    """Images in [0, 1] as levels from 0 to 255, uint8; levels stay as they are."""
    if images.dtype == torch.uint8:
        return images
    return (images * 255).round_().clamp_(0, 255).short().to(torch.uint8)  # straight to uint8 is four times slower


def _points_at_the_end(chain: Chain) -> Chain:
    """The point operations that come last, without another one behind them."""
    count = len(list(takewhile(lambda one: one[0] in POINT, reversed(chain))))
    return chain[len(chain) - count :]


def _levels_after(levels: Tensor, chain: Chain) -> Tensor:
    """The whole texture after its operations as levels."""
    return to_levels(whole_texture(levels, chain)) if chain else levels


def _counts(stored: Tensor) -> Tensor:
    """How many pixels of each channel have each level, (3, 256) float32 on the CPU."""
    channels = [torch.bincount(channel, minlength=LEVELS) for channel in stored.flatten(1)]
    return torch.stack(channels).cpu().float()


def _picked(picture: Tensor, where: Tensor) -> Tensor:
    """Pixels of a picture: (3, H, W) -> (3, P)."""
    return picture.flatten(1).index_select(1, where)


def _looked_up(stored: Tensor, table: Tensor) -> Tensor:
    """What the table makes of levels (3, ...) uint8, in [0, 1]."""
    values = (table / 255).to(stored.device)
    return values.gather(1, stored.flatten(1).long()).view(stored.shape)


def between(number: float, low: float, high: float) -> float:
    """A number in [0, 1) moved to [low, high)."""
    return low + number * (high - low)


def _angle(numbers: list[float]) -> float:
    return between(numbers[0], -45.0, 45.0)


def _hue(red: Tensor, green: Tensor, blue: Tensor, value: Tensor, chroma: Tensor) -> Tensor:
    """Hue in turns, from -1/6 to 5/6; 0 for grey."""
    if_blue, if_green, if_red = (red - green).add_(chroma, alpha=4), (blue - red).add_(chroma, alpha=2), green - blue
    is_green, is_red = torch.empty_like(value), torch.empty_like(value)
    torch.eq(value, green, out=is_green)
    torch.eq(value, red, out=is_red)
    # numbers and lerp instead of booleans and where, which are ten times slower on a CPU; 0 and 1 are exact weights
    sixths = if_blue.lerp_(if_green, is_green).lerp_(if_red, is_red)
    return sixths.div_((chroma * 6).clamp_(min=1e-6))


def _missing(away: Tensor) -> Tensor:
    """Share of the chroma that a channel lacks, where the hue is ``away`` turns from the channel's own."""
    around = away.sub_(away.round())  # -1/2 to 1/2
    return around.abs_().mul_(6).sub_(1).clamp_(0, 1)
