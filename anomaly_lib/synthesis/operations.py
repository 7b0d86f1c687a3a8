"""The ten texture operations (DRAEM, section 3.3), three of them on each texture.

Ranges are the authors'; where they leave one to their library, it is that library's default. All random numbers are
handed in, so that none comes from a global generator. Textures are 8-bit images, as they are for the authors, and
seven of the ten operations are tables of levels: a row of those is one look-up.

Textures are taken one by one, since each has its own operations. A mask covers a twentieth of an image, so values are
computed backwards from the pixels that will be seen, and whole pictures only where an operation needs them.

Shapes: H x W pixels, P pixels to be seen, given as indices into H * W.
"""

from itertools import takewhile

import torch
from torch import Tensor

from anomaly_lib.synthesis import filters, tables

NUMBERS = 4
"""Random numbers that each operation is given."""

POINT = {
    "gamma": tables.gamma,
    "brightness": tables.brightness,
    "solarize": tables.solarize,
    "posterize": tables.posterize,
    "invert": tables.invert,
    "autocontrast": tables.autocontrast,
    "equalize": tables.equalize,
}
NEEDS_COUNTS = ("autocontrast", "equalize")
FILTERS = {
    "sharpness": filters.sharpness,
    "hue and saturation": filters.hue_saturation,
    "rotation": filters.rotation,
}
OPERATIONS = (*POINT, *FILTERS)
"""Names of the authors' ten; ``Draws.operations`` holds indices into them."""

NO_OPERATION = -1
"""Stands in the place of an index where a texture stays as it is."""

SEVEN = ("posterize", "sharpness", "solarize", "equalize", "brightness", "hue and saturation", "autocontrast")
"""Those that the paper lists."""

Chain = list[tuple[str, list[float]]]
"""Names of operations, each with its four random numbers in [0, 1), in order."""


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
        return filters.hue_saturation(seen_texture(levels, before, where), numbers)
    if name == "rotation":
        return filters.rotation_at(whole_texture(levels, before), numbers, where)
    return _picked(whole_texture(levels, chain), where)


def table_of(run: Chain, stored: Tensor | None) -> Tensor:
    """What a row of point operations makes of each level, (3, 256) float32 from 0 to 255.

    ``stored`` (3, H, W) uint8 is the texture before them; autocontrast and equalize need it, the others do not.
    """
    table, counts = tables.IDENTITY, None
    for name, numbers in run:
        if name in NEEDS_COUNTS:
            counts = _counts(stored) if counts is None else counts
            now = torch.zeros_like(counts).scatter_add_(1, table.long(), counts)
            table = POINT[name](table, numbers, now)
        else:
            table = POINT[name](table, numbers, None)
        table = table.round().clamp_(0, 255)
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
    channels = [torch.bincount(channel, minlength=tables.LEVELS) for channel in stored.flatten(1)]
    return torch.stack(channels).cpu().float()


def _picked(picture: Tensor, where: Tensor) -> Tensor:
    """Pixels of a picture: (3, H, W) -> (3, P)."""
    return picture.flatten(1).index_select(1, where)


def _looked_up(stored: Tensor, table: Tensor) -> Tensor:
    """What the table makes of levels (3, ...) uint8, in [0, 1]."""
    values = (table / 255).to(stored.device)
    return values.gather(1, stored.flatten(1).long()).view(stored.shape)
