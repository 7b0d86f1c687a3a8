"""What an ingest is asked for, and what it comes to: which file goes where, before anything is written."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from anomaly_lib.base.errors import InputError
from anomaly_lib.data.folder import GOOD
from anomaly_lib.data.images import Problem


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    layout: str
    sources: tuple[Path, ...] = ()
    categories: tuple[str, ...] = ()
    """Only these; empty for all that the source has."""
    name: str | None = None
    """Of the category that single photos become (layout ``folder``)."""
    good: Path | None = None
    bad: Path | None = None
    masks: Path | None = None

    def settings(self) -> dict:
        """What besides the content of the sources decides the result."""
        return {"layout": self.layout, "categories": sorted(self.categories), "name": self.name}

    def folders(self) -> tuple[Path, ...]:
        """All that is read, archives included."""
        return (*self.sources, *(path for path in (self.good, self.bad, self.masks) if path is not None))


@dataclass(frozen=True)
class Item:
    """One file to write. A single source is copied byte for byte; of several masks the union is written as PNG."""

    place: PurePosixPath
    sources: tuple[Path, ...]


@dataclass(frozen=True)
class Plan:
    """All files to write, and a line for each thing that a reader of the result should know."""

    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()

    def checked(self) -> "Plan":
        """The plan in the order of its places. Raises InputError for an empty one or two files of one place."""
        if not self.items:
            raise InputError("there is nothing to ingest; name the folder or archive that holds the images")
        taken: dict[str, Item] = {}
        for item in self.items:
            # case folded: on some disks A.png and a.png are one file
            other = taken.setdefault(item.place.as_posix().casefold(), item)
            if other is not item:
                message = f"would be written to {item.place}, and so would {other.sources[0]}"
                raise InputError(Problem(item.sources[0], message, "rename or remove one of the two"))
        return Plan(tuple(sorted(self.items, key=lambda item: item.place.as_posix())), self.notes)


def image_item(category: str, split: str, group: str, image: Path, name: str | None = None) -> Item:
    """An image of ``split`` ("train", "test", ...) and group (``good`` or a type of defect), under its own name."""
    return Item(PurePosixPath(category, split, group, name or image.name), (image,))


def mask_item(category: str, defect: str, image_stem: str, masks: Iterable[Path]) -> Item:
    """The mask of an image: one file keeps its format, several become one PNG."""
    masks = tuple(masks)
    suffix = masks[0].suffix.lower() if len(masks) == 1 else ".png"
    return Item(PurePosixPath(category, "ground_truth", defect, f"{image_stem}_mask{suffix}"), masks)


def count_by_split(items: Iterable[Item]) -> dict[str, dict[str, int]]:
    """Numbers of files: {category: {"train": ..., "test good": ..., "test anomalous": ..., "masks": ...}}.

    The category is "" where the target is the category itself, and "images" counts what is in no split.
    """
    counts: dict[str, dict[str, int]] = {}
    for item in items:
        *above, group, _ = item.place.parts
        split = above[-1] if above else ""
        key = {"": "images", "train": "train", "ground_truth": "masks"}.get(split, split)
        if split == "test":
            key = "test good" if group == GOOD else "test anomalous"
        row = counts.setdefault(above[0] if len(above) > 1 else "", {})
        row[key] = row.get(key, 0) + 1
    return counts
