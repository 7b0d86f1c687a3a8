"""Cut a whole category into tiles: a copy in the same layout, to train on and to evaluate as any other.

Tiles are ``NAME_rROW_cCOLUMN.png``; ``tiles.json`` says for each of which photo it is, and where it lies in it.

Labels are the mask's. A tile of an anomalous photo is anomalous, of that type, if its mask has a defect pixel there, be
it one. A tile without is left out: that nobody marked a defect there does not make it normal, since masks are drawn
tight, and blur and shadow of a defect lie outside. Tiles of good photos are good. Every photo stays in its split, so
that no pixel of a test photo is ever trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.data.folder import Sample
from anomaly_lib.data.images import Header, Problem, read_rgb
from anomaly_lib.tiling.grid import Tile, Tiling
from anomaly_tools.copying import (
    GIGABYTE,
    check_room,
    mask_place,
    new_folder,
    open_source,
    place_of,
    read_sized_mask,
    write_json,
    write_png,
)
from anomaly_tools.disk import bytes_in

RECORD = "tiles.json"


@dataclass(frozen=True)
class Summary:
    """What became of a category."""

    photos: int
    train: int
    """Tiles, as the two below."""
    good: int
    anomalous: int
    left_out: int
    """Tiles of anomalous photos that show no defect."""
    size: int
    """Bytes on disk."""

    def __str__(self) -> str:
        return (
            f"{self.photos} photos in {self.train} tiles to train on, {self.good} good and {self.anomalous} anomalous "
            f"ones to test on; {self.left_out} of anomalous photos without a defect in them were left out; "
            f"{self.size / GIGABYTE:.3g} GB"
        )


def tile_category(
    source: Path,
    target: Path,
    tiling: Tiling,
    train_only: bool = False,
    progress: bool = True,
    max_gigabytes: float | None = None,
) -> Summary:
    """Write the category folder ``source``, cut into tiles, to the new folder ``target``.

    With ``train_only`` the test photos are left out. Interrupted, it leaves nothing, and starts anew. Raises InputError
    for bad input, an anomalous photo without a mask or with an empty one, a target that exists, or too little room.
    """
    category = open_source(source)
    samples = category.train if train_only else (*category.train, *category.test)
    _refuse_unlabelled(samples)
    check_room(samples, target, max_gigabytes, lambda header: _pixels(tiling, header))
    tiles: dict[str, dict] = {}
    left_out: dict[str, list[str]] = {}
    with new_folder(target, source) as folder:
        for sample in progress_bar(samples, description="tile", unit="photo", show=progress):
            written, without = _write_tiles(sample, tiling, folder)
            tiles |= written
            if without:
                left_out[place_of(sample).as_posix()] = without
        settings = {"side": tiling.side, "overlap": tiling.overlap}
        write_json(settings | {"tiles": tiles, "left_out": left_out}, folder / RECORD)
    return _summary(len(samples), tiles, left_out, bytes_in(target))


def tile_name(stem: str, tile: Tile) -> str:
    """Name of a tile's file, without suffix."""
    return f"{stem}_r{tile.row:03d}_c{tile.column:03d}"


def _refuse_unlabelled(samples: Sequence[Sample]) -> None:
    for sample in samples:
        if sample.is_anomalous and sample.mask_path is None:
            remedy = "put masks into ground_truth, or give --train-only and test with 'detect --tile' on whole photos"
            raise InputError(Problem(sample.path, "has no mask, so nobody knows which of its tiles are normal", remedy))


def _pixels(tiling: Tiling, header: Header) -> int:
    side, count = tiling.side, tiling.count(header.height, header.width)
    return count * min(side, header.height) * min(side, header.width)


def _write_tiles(sample: Sample, tiling: Tiling, folder: Path) -> tuple[dict[str, dict], list[str]]:
    """Write a photo's tiles; returns {place: what the record says of it}, and the names of those left out."""
    photo = read_rgb(sample.path)
    mask = _defect(sample.mask_path, photo.shape) if sample.is_anomalous and sample.mask_path else None
    written, left_out = {}, []
    for tile in tiling.tiles(*photo.shape[:2]):
        place = place_of(sample).with_stem(tile_name(sample.path.stem, tile))
        defect = 0
        if mask is not None:
            defect = int(np.count_nonzero(mask[tile.window]))
            if not defect:
                left_out.append(place.stem)
                continue
            write_png(mask[tile.window], folder / mask_place(sample, place))
        write_png(photo[tile.window], folder / place)
        written[place.as_posix()] = {"photo": place_of(sample).name, "box": tile.box, "defect_pixels": defect}
    return written, left_out


def _defect(file: Path, shape: tuple[int, ...]) -> np.ndarray:
    mask = read_sized_mask(file, shape)
    if not mask.any():
        remedy = "draw it, or remove the photo and its mask"
        raise InputError(Problem(file, "marks no defect, so none of its tiles would be anomalous", remedy))
    return mask


def _summary(photos: int, tiles: dict[str, dict], left_out: dict[str, list[str]], size: int) -> Summary:
    train = sum(place.startswith("train/") for place in tiles)
    anomalous = sum(tile["defect_pixels"] > 0 for tile in tiles.values())
    return Summary(photos, train, len(tiles) - train - anomalous, anomalous, sum(map(len, left_out.values())), size)
