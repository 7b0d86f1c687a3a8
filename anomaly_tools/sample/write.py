"""The sample set as files: which there are, their bytes, and the folder they go to."""

import io
import multiprocessing
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.files import replacing
from anomaly_lib.base.progress import progress_bar

from .rendering import CATEGORIES, DEFAULT_SEED, GOOD, render
from .textures import TEXTURES, render_texture

TRAIN_GOOD, TEST_GOOD, PER_DEFECT = 60, 20, 10
"""Images a category has: normal ones in `train` and in `test`, and those of each type of defect."""
PER_TEXTURE = 6
JPEG_QUALITY = 92
FOLDERS = ("sample", "textures")


def run(output: Path, seed: int | None, workers: int) -> int:
    """The command ``python -m anomaly_lib data sample``; its exit code."""
    write_sample(output, seed=DEFAULT_SEED if seed is None else seed, workers=workers)
    print(f"wrote {output / 'sample'} and {output / 'textures'}")
    return 0


@dataclass(frozen=True)
class Item:
    """One image of the set; `split` is "train", "test" or "textures", a texture's class is its `category`."""

    split: str
    category: str
    defect: str
    index: int


def plan() -> list[Item]:
    """All images of the set, in the order in which they are written."""
    items = []
    for category, defects in CATEGORIES.items():
        items += [Item("train", category, GOOD, i) for i in range(TRAIN_GOOD)]
        items += [Item("test", category, GOOD, i) for i in range(TEST_GOOD)]
        items += [Item("test", category, defect, i) for defect in defects for i in range(PER_DEFECT)]
    return items + [Item("textures", name, GOOD, i) for name in TEXTURES for i in range(PER_TEXTURE)]


def _jpeg(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return buffer.getvalue()


def _mask_png(mask: np.ndarray) -> bytes:
    """PNG, 8 bit grey, 0 and 255. Run lengths only: other deflate searches may differ with the processor."""
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG", compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def encode(item: Item, seed: int = DEFAULT_SEED) -> dict[str, bytes]:
    """The files of one image: path relative to the output folder -> bytes."""
    if item.split == "textures":
        name = f"textures/{item.category}/{item.category}_{item.index:04d}.jpg"
        return {name: _jpeg(render_texture(item.category, item.index, seed))}
    image, mask = render(item.category, item.defect, item.index, seed, item.split)
    folder = f"sample/{item.category}"
    files = {f"{folder}/{item.split}/{item.defect}/{item.index:03d}.jpg": _jpeg(image)}
    if item.defect != GOOD:
        files[f"{folder}/ground_truth/{item.defect}/{item.index:03d}_mask.png"] = _mask_png(mask)
    return files


def _encode_all(items: list[Item], seed: int, workers: int) -> Iterator[dict[str, bytes]]:
    """The files of every item, in order."""
    encode_one = partial(encode, seed=seed)
    if workers == 1:
        yield from map(encode_one, items)
        return
    # "spawn": forking a process in which torch already runs threads can hang.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(encode_one, items, chunksize=4)


def _refuse_to_overwrite(folder: Path) -> None:
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise InputError(f"{folder} already exists; remove it or choose another output folder.")


def _move(source: Path, target: Path) -> None:
    if target.is_dir():  # known to be empty
        target.rmdir()
    source.rename(target)


def write_sample(output: Path, seed: int = DEFAULT_SEED, workers: int = 1, progress: bool = True) -> None:
    """Write the sample set to `output/sample` and `output/textures`, about 11 MB: 70 s of one core.

    The bytes depend on `seed` alone. Both folders are built aside, in `output/.partial-*`, and moved into
    place when complete, so that an interrupted run leaves nothing that looks like data.

    Raises InputError if one of the two folders exists and is not empty, or if `seed` or `workers` is out of
    range.
    """
    output = Path(output)
    if seed < 0 or workers < 1:
        raise InputError(f"seed must be at least 0 and workers at least 1, got {seed} and {workers}.")
    if output.is_file():
        raise InputError(f"{output} is a file; name a folder.")
    for name in FOLDERS:
        _refuse_to_overwrite(output / name)
    output.mkdir(parents=True, exist_ok=True)
    partial_folder = Path(tempfile.mkdtemp(prefix=".partial-", dir=output))
    try:
        _write_files(partial_folder, seed, workers, progress)
        for name in FOLDERS:
            _move(partial_folder / name, output / name)
    finally:
        shutil.rmtree(partial_folder)


def _write_files(folder: Path, seed: int, workers: int, progress: bool) -> None:
    items = plan()
    batches = _encode_all(items, seed, workers)
    for files in progress_bar(batches, description="sample set", total=len(items), unit="image", show=progress):
        for name, content in files.items():
            with replacing(folder / name) as path:
                path.write_bytes(content)
