"""The ten texture operations (DRAEM, section 3.3), three of them on each texture.

Ranges are the authors'; where they leave one to their library, it is that library's default. All random numbers are
handed in, so that none comes from a global generator. Textures are 8-bit images, as they are for the authors, and
seven of the ten operations are tables of levels: a row of those is one look-up.

Textures are taken one by one, because one stays in the processor's cache: in batches of four, sharpness took eight
times as long for each. A mask covers a twentieth of an image, so values are computed backwards from the pixels that
will be seen, and whole pictures only where an operation needs them.

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

Steps = list[tuple[str, list[float]]]
"""Names of operations, each with its four random numbers, in order."""


def whole_texture(levels: Tensor, steps: Steps) -> Tensor:
    """A texture after its operations, (3, H, W) float32 in [0, 1]; ``levels`` is (3, H, W) uint8."""
    if not steps:
        return levels / 255
    run = _points_at_the_end(steps)
    if run:
        stored = _levels_after(levels, steps[: -len(run)])
        return _looked_up(stored, _table(run, stored))
    name, numbers = steps[-1]
    return FILTERS[name](whole_texture(levels, steps[:-1]), numbers)


def seen_texture(levels: Tensor, steps: Steps, where: Tensor) -> Tensor:
    """The same at the pixels ``where`` (P,) only: (3, P). The last bits may differ."""
    run = _points_at_the_end(steps)
    before = steps[: -max(1, len(run))]
    if any(name in NEEDS_COUNTS for name, _ in run):
        stored = _levels_after(levels, before)
        return _looked_up(_picked(stored, where), _table(run, stored))
    if run:
        return _looked_up(to_levels(seen_texture(levels, before, where)), _table(run, None))
    if steps and steps[-1][0] == "hue and saturation":
        return filters.hue_saturation(seen_texture(levels, before, where), steps[-1][1])
    return _picked(whole_texture(levels, steps), where) if steps else _picked(levels, where) / 255


def to_levels(images: Tensor) -> Tensor:
    """Images in [0, 1] as levels from 0 to 255, uint8; levels stay as they are."""
    if images.dtype == torch.uint8:
        return images
    return (images * 255).round_().clamp_(0, 255).to(torch.uint8)


def _points_at_the_end(steps: Steps) -> Steps:
    """The point operations that come last, without another one behind them."""
    count = len(list(takewhile(lambda step: step[0] in POINT, reversed(steps))))
    return steps[len(steps) - count :]


def _levels_after(levels: Tensor, steps: Steps) -> Tensor:
    """The whole texture after its operations as levels."""
    return to_levels(whole_texture(levels, steps)) if steps else levels


def _table(run: Steps, stored: Tensor | None) -> Tensor:
    """What a row of point operations makes of each level, (3, 256) float32; only some need the texture's levels."""
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
