"""A copy of a category in which every part lies turned and shifted, to try alignment on.

The turn and the shift come with the border mirrored, as a camera's would not: what leaves the picture is lost, and what
comes in is invented. Real photos of a shifted part show more of the table instead.
"""

from pathlib import Path

import numpy as np

from anomaly_lib.alignment.apply import Motion
from anomaly_lib.alignment.copying import check_room, new_folder, open_source, place_of, write_json, write_moved
from anomaly_lib.base.errors import InputError
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.data.images import read_rgb

DEGREES, SHIFT = 15.0, 0.08
RECORD = "moves.json"


def move_category(
    source: Path,
    target: Path,
    seed: int = 0,
    degrees: float = DEGREES,
    shift: float = SHIFT,
    progress: bool = True,
    max_gigabytes: float | None = None,
) -> int:
    """Write a copy of the category folder ``source`` with each photo moved; returns the number of photos.

    Turns are uniform in plus and minus ``degrees`` (0 to 180), shifts in plus and minus ``shift`` (0 to 0.5) of width
    and height. Each photo's motion depends on the seed and its place in the category alone; ``moves.json`` lists them.
    Masks move along. Raises InputError as ``align_category``, and for a number out of range.
    """
    if not (0 <= degrees <= 180 and 0 <= shift <= 0.5 and seed >= 0):
        given = f"{degrees:g}, {shift:g} and {seed}"
        raise InputError(f"degrees must lie in 0 to 180, shift in 0 to 0.5, seed from 0 on; got {given}")
    category = open_source(source)
    samples, moves = (*category.train, *category.test), {}
    check_room(samples, target, max_gigabytes)
    with new_folder(target, source) as folder:
        for sample in progress_bar(samples, description="move", unit="image", show=progress):
            image, key = read_rgb(sample.path), place_of(sample).as_posix()
            motion = draw_motion(seed, key, image.shape[:2], degrees, shift)
            write_moved(sample, image, motion, folder)
            moves[key] = {"angle": motion.angle, "dx": motion.dx, "dy": motion.dy}
        write_json({"seed": seed, "degrees": degrees, "shift": shift, "images": moves}, folder / RECORD)
    return len(samples)


def draw_motion(seed: int, key: str, shape: tuple[int, int], degrees: float, shift: float) -> Motion:
    """The motion of one photo (H, W), to a thousandth of a degree and pixel."""
    rng = np.random.default_rng([seed, *key.encode()])
    angle, dx, dy = rng.uniform(-1, 1, 3) * [degrees, shift * shape[1], shift * shape[0]]
    return Motion(*(round(float(value), 3) for value in (angle, dx, dy)))
