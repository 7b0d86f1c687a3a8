"""Describe a data folder in numbers: how many images of which size and mode, how large their defects are."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from scipy import ndimage

from anomaly_lib.base.names import as_cell
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.data.folder import Sample, list_categories, load_category
from anomaly_lib.data.images import read_header, read_mask

COLUMNS = ("category", "split", "type", "images", "size", "mode", "masks", "area min / median / max [%]", "components")
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)  # SciPy's default is four, which splits thin scratches


@dataclass(frozen=True)
class GroupRow:
    """One split and defect type of a category.

    ``sizes`` ("width x height") and ``modes`` (Pillow's) map to numbers of images, the most frequent first.
    ``masks`` counts masks; the areas are shares (0 to 1) of the image over those masks, ``components`` is the
    number of 8-connected components in all of them; these four are None where there is no mask.
    """

    category: str
    split: str
    defect: str
    images: int
    sizes: dict[str, int]
    modes: dict[str, int]
    masks: int
    area_min: float | None
    area_median: float | None
    area_max: float | None
    components: int | None


def describe(data: Path | str, categories: Iterable[str] | None = None, progress: bool = False) -> list[GroupRow]:
    """One row per category, split and defect type: train first, then test by name, then what is uncertain.

    Reads the header of every image and decodes every mask. Raises InputError for a category that does not
    load or a file that cannot be read.
    """
    names = list_categories(data) if categories is None else categories
    rows = []
    for name in progress_bar(list(names), description="describe", show=progress):
        found = load_category(data, name)
        for _, group in groupby(
            found.train + found.test + found.uncertain, key=lambda sample: (sample.split, sample.defect)
        ):
            rows.append(_describe_group(name, list(group)))
    return rows


def to_markdown(rows: Sequence[GroupRow]) -> str:
    """Render rows as a Markdown table, aligned as plain text too; areas are in percent of the image."""
    cells = [COLUMNS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"


def _describe_group(category: str, samples: Sequence[Sample]) -> GroupRow:
    headers = [read_header(sample.path) for sample in samples]
    measured = [_area_and_components(sample.mask_path) for sample in samples if sample.mask_path is not None]
    areas = [area for area, _ in measured]
    return GroupRow(
        category=category,
        split=samples[0].split,
        defect=samples[0].defect,
        images=len(samples),
        sizes=_count(f"{header.width}x{header.height}" for header in headers),
        modes=_count(header.mode for header in headers),
        masks=len(measured),
        area_min=min(areas) if areas else None,
        area_median=float(np.median(areas)) if areas else None,
        area_max=max(areas) if areas else None,
        components=sum(count for _, count in measured) if measured else None,
    )


def _area_and_components(mask_path: Path) -> tuple[float, int]:
    mask = read_mask(mask_path)
    _, components = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    return float(mask.mean()), int(components)


def _count(values: Iterable[str]) -> dict[str, int]:
    # Sorted by name before by count, so that ties do not depend on the order of the files.
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _cells(row: GroupRow) -> tuple[str, ...]:
    areas = [share for share in (row.area_min, row.area_median, row.area_max) if share is not None]
    area = " / ".join(f"{100 * share:.3g}" for share in areas) or "-"
    return (
        as_cell(row.category),
        row.split,
        as_cell(row.defect),
        str(row.images),
        _tally(row.sizes),
        _tally(row.modes),
        str(row.masks),
        area,
        "-" if row.components is None else str(row.components),
    )


def _tally(counts: dict[str, int]) -> str:
    """One value alone, or up to four values with counts, as ``256x256 (3), 300x200 (1), and 5 more``."""
    if len(counts) == 1:
        return next(iter(counts))
    shown = [f"{value} ({count})" for value, count in list(counts.items())[:4]]
    rest = len(counts) - len(shown)
    return ", ".join([*shown, f"and {rest} more"] if rest else shown)
