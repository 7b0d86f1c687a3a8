"""What an ingest is asked for, and what it comes to: which file goes where, before anything is written."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.names import why_name_is_refused
from anomaly_lib.data.folder import GOOD
from anomaly_lib.data.images import Problem
from anomaly_lib.data.photos import RECODED, RENAMED, LeftOut
from anomaly_tools.ingest.paths import composed, folded, why_path_is_refused

LONGEST_NAME = 254
"""Bytes of a file name: one less than file systems take, as a half-written file has a dot before its name."""
CATEGORY_DEPTH = 4
"""Parts of a place that begins with its category: category, split, group and file."""
Masks = dict[str, list[Path]]
"""Name of an image, which may end in ``_mask``, as ``names.composed`` spells it -> its masks."""


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
    recoded: bool = False
    """Whether its pixels are written as PNG instead, since data folders do not hold files of its type."""

    @property
    def is_copy(self) -> bool:
        """Whether the file is the source, byte for byte."""
        return len(self.sources) == 1 and not self.recoded

    @property
    def is_mask(self) -> bool:
        """Whether it says where a defect is."""
        return "ground_truth" in self.place.parts[:-2]


@dataclass(frozen=True)
class Plan:
    """All files to write, and a line for each thing that a reader of the result should know."""

    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()
    left_out: LeftOut = field(default_factory=dict)

    def checked(self, depth: int) -> "Plan":
        """The plan in the order of its places, each of which has ``depth`` parts: the one check for all layouts.

        Raises InputError for a place outside the target, a category that may not be called so, and two
        places that are one file or folder where case or accents do not count.
        """
        taken: dict[str, tuple[PurePosixPath, Item]] = {}
        for item in self.items:
            if reason := _why_place_is_refused(item.place, depth):
                message = f"would be written to '{item.place}', which {reason}"
                raise InputError(Problem(item.sources[0], message, "rename the file, folder or category"))
            for place in (item.place, *item.place.parents):
                other_place, other = taken.setdefault(folded(place), (place, item))
                if other_place != place or (other is not item and place == item.place):
                    message = f"would be written to {item.place}, and so would {other.sources[0]}"
                    if other_place != place:
                        message += ", where case and accents do not count"
                    raise InputError(Problem(item.sources[0], message, "rename or remove one of the two"))
        return Plan(tuple(sorted(self.items, key=lambda item: item.place.as_posix())), self.notes, self.left_out)


def _why_place_is_refused(place: PurePosixPath, depth: int) -> str | None:
    if reason := why_path_is_refused(str(place)):
        return reason
    if len(place.parts) != depth:
        return f"has {len(place.parts)} parts instead of {depth}"
    if any(part.startswith(".") for part in place.parts):
        return "is hidden"
    if len(place.name.encode()) > LONGEST_NAME:
        return f"has a name of more than {LONGEST_NAME} bytes"
    return why_name_is_refused(place.parts[0]) if depth == CATEGORY_DEPTH else None


def image_item(category: str, split: str, group: str, image: Path, name: str | None = None) -> Item:
    """An image of ``split`` ("train", "test", ...) and group (``good`` or a type of defect), under its own name."""
    suffix = image.suffix.lower()
    name = f"{image.stem}{RENAMED[suffix]}" if suffix in RENAMED else name or image.name
    return Item(PurePosixPath(category, split, group, name), (image,), recoded=suffix in RECODED)


def mask_item(category: str, defect: str, image_stem: str, masks: Iterable[Path]) -> Item:
    """The mask of an image: one file keeps its format, several become one PNG."""
    masks = tuple(masks)
    suffix = masks[0].suffix.lower() if len(masks) == 1 else ".png"
    name = f"{image_stem}_mask{RENAMED.get(suffix, suffix)}"
    return Item(PurePosixPath(category, "ground_truth", defect, name), masks, recoded=suffix in RECODED)


def masks_of(image: Path, masks: Masks) -> list[Path]:
    """The masks of an image: ``NAME_mask`` goes before ``NAME``."""
    name = composed(image.stem)
    return masks.get(f"{name}_mask") or masks.get(name) or []


def count_by_split(items: Iterable[Item]) -> dict[str, dict[str, int]]:
    """Numbers of files: {category: {"train": ..., "test good": ..., "test anomalous": ..., "masks": ...}}.

    The category is "" where the target is the category itself, and "images" counts what is in no split.
    """
    counts: dict[str, Counter[str]] = {}
    for item in items:
        *above, group, _ = item.place.parts
        split = above[-1] if above else "images"
        key = "masks" if item.is_mask else split
        if split == "test":
            key = "test good" if group == GOOD else "test anomalous"
        counts.setdefault(above[0] if len(above) > 1 else "", Counter())[key] += 1
    return {category: dict(row) for category, row in counts.items()}


def count_lines(items: Iterable[Item]) -> list[str]:
    """A line per category."""
    rows = sorted(count_by_split(items).items())
    texts = [(name, ", ".join(f"{count} {key}" for key, count in sorted(row.items()))) for name, row in rows]
    return [f"{name}: {text}" if name else text for name, text in texts]


def differences(items: tuple[Item, ...], published: Mapping[str, int], partial: bool) -> list[str]:
    """A line for each published total that was not met, or one that says that all were, or why none is known.

    ``published`` may count images, train, test, masks, normal, anomalous, and folders. ``partial``: only some
    categories were wanted, so that totals say nothing.
    """
    if partial:
        return ["published counts are of all categories: not checked"]
    if not published:
        return ["published counts are not known here: not checked"]
    found = sum((Counter(row) for row in count_by_split(items).values()), Counter())
    found["folders"] = len({item.place.parent for item in items})
    found["images"] = len([item for item in items if not item.is_mask])
    found["test"] = found["test good"] + found["test anomalous"]
    found["normal"], found["anomalous"] = found["train"] + found["test good"], found["test anomalous"]
    lines = [f"{key}: {found[key]}, published are {n}" for key, n in published.items() if found[key] != n]
    return lines or ["counts are the published ones: " + ", ".join(f"{n} {key}" for key, n in published.items())]
