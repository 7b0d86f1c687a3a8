"""Texture operations that need more than one level: the neighbours, or all three channels of a pixel.

Pictures are (3, H, W) in [0, 1]; four random ``numbers`` in [0, 1) are used as far as needed. Kornia's way through HSV
and Pillow's sharpness give the same values (tested). Kornia's functions for the two take six times as long and more on
a CPU, which is why they are not used.
"""

import torch
from torch import Tensor

from anomaly_lib.synthesis.rotation import rotate, rotate_at
from anomaly_lib.synthesis.tables import between

PEAKS = (0, 1 / 3, 2 / 3)  # hues, in turns, of red, green and blue


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
