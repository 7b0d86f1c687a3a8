"""Any folder of good photos, with or without bad ones and masks, becomes a category.

``--good DIR --bad DIR --masks DIR``: folders inside ``--bad`` are types of defect, and photos that lie in it directly
are of the type ``bad``. A mask has its photo's name, or NAME_mask, in ``--masks`` or in the folder of its type there;
several masks in a folder of the photo's name become one. A fifth of the good photos, drawn with a fixed seed, is
``test/good``. Whatever else lies in the folders is left out, counted and named.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_lib.data.folder import GOOD, Sample
from anomaly_lib.data.images import Problem
from anomaly_lib.data.photos import READ, LeftOut, is_of_the_system, is_readable_name, left_out_line
from anomaly_lib.data.split import split_normals
from anomaly_tools.ingest.paths import composed
from anomaly_tools.ingest.plan import Item, Masks, Plan, Request, image_item, mask_item, masks_of

TEST_SHARE = 0.2
SEED = 0
BAD = "bad"
_NOTES = (
    f"a fifth of the good photos is test/good, drawn with seed {SEED} (anomaly_lib.data.split.split_normals)",
    "photos of one part, or of one minute, should not be in train and test: if yours are, sort them by hand",
)
_NO_BAD = "no bad photos: false alarms can be counted, but not what a model finds"


def plan_photos(folders: list[Path], request: Request) -> Plan:
    """Places without a category in front: the target is the category. Raises InputError for folders without photos."""
    scan = _Scan(request)
    assert request.good is not None  # as ``ingest`` has checked
    good, inside = scan.photos(request.good)
    scan.leave_out_all(inside, "in folders inside --good")
    if not good:
        raise InputError(scan.nothing(request.good, "holds no good photos", "put them there directly"))
    train, test = split_normals([Sample(photo, "train", GOOD, None) for photo in good], TEST_SHARE, SEED)
    items = [image_item("", "train", GOOD, sample.path) for sample in train]
    items += [image_item("", "test", GOOD, sample.path) for sample in test]
    if request.bad is not None:
        items += _bad_items(scan, request.bad, request.masks)
    return Plan(tuple(items), _NOTES if request.bad else (*_NOTES, _NO_BAD), scan.left_out)


def _bad_items(scan: "_Scan", bad: Path, truth: Path | None) -> list[Item]:
    kinds = _bad_photos(scan, bad)
    flat, by_kind = _masks(scan, truth, kinds)
    items: list[Item] = []
    used: dict[Path, Path] = {}
    for kind, photos in kinds.items():
        for photo in photos:
            items.append(image_item("", "test", kind, photo))
            masks = masks_of(photo, by_kind.get(composed(kind), {})) or masks_of(photo, flat)
            if not masks:
                continue
            items.append(mask_item("", kind, photo.stem, masks))
            other = used.setdefault(masks[0], photo)
            if other != photo:
                message = f"is the mask of {other} and of {photo}"
                raise InputError(Problem(masks[0], message, "put masks into folders by type of defect"))
    taken = {mask for item in items if item.is_mask for mask in item.sources}
    for group in (group for masks in (flat, *by_kind.values()) for group in masks.values()):
        for mask in (mask for mask in group if mask not in taken):
            scan.leave_out(mask, "masks without photo")
    return items


def _bad_photos(scan: "_Scan", folder: Path) -> dict[str, list[Path]]:
    direct, inside = scan.photos(folder)
    kinds: dict[str, list[Path]] = {}
    for kind in inside:
        photos, below = scan.photos(kind)
        scan.leave_out_all(below, "in folders inside a type of defect")
        if photos:
            kinds[kind.name] = photos
    if GOOD in kinds:
        raise InputError(Problem(folder / GOOD, "lies among the bad photos", "rename it or move it to the good ones"))
    if direct:
        kinds[BAD] = [*kinds.get(BAD, []), *direct]
    if not kinds:
        remedy = "put them there, or into folders by type of defect"
        raise InputError(scan.nothing(folder, "holds no bad photos", remedy))
    return kinds


def _masks(scan: "_Scan", folder: Path | None, kinds: Iterable[str]) -> tuple[Masks, dict[str, Masks]]:
    """Masks that lie in the folder directly, and those in the folder of a type of defect."""
    if folder is None:
        return {}, {}
    direct, inside = scan.photos(folder)
    names = {composed(kind) for kind in kinds}
    of_kinds = [entry for entry in inside if composed(entry.name) in names]
    flat = _by_name(scan, direct, [entry for entry in inside if entry not in of_kinds])
    return flat, {composed(entry.name): _by_name(scan, *scan.photos(entry)) for entry in of_kinds}


def _by_name(scan: "_Scan", files: list[Path], folders: list[Path]) -> Masks:
    masks: Masks = {}
    for file in files:
        group = masks.setdefault(composed(file.stem), [])
        group.append(file)
        if len(group) > 1:
            raise InputError(Problem(file, f"is a mask of the same photo as {group[0]}", "keep one of the two"))
    for folder in folders:  # as MVTec LOCO has them: a file per defect
        several, below = scan.photos(folder)
        scan.leave_out_all(below, "in folders inside a photo's masks")
        if several and masks.setdefault(composed(folder.name), several) is not several:
            raise InputError(Problem(folder, "has masks of a photo that has one beside it", "keep one of the two"))
    return masks


@dataclass
class _Scan:
    """Lists folders of photos, and remembers what it leaves out and why."""

    request: Request
    left_out: LeftOut = field(default_factory=dict)

    def photos(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """The photos and the folders in a folder, by name; whatever else it holds is left out."""
        if not folder.is_dir():
            raise InputError(
                Problem(folder, "is not a folder", "name the folder that holds the files; unpack archives")
            )
        photos, folders = [], []
        given = {os.path.realpath(other) for other in self.request.folders()}
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if is_of_the_system(entry) or (entry.is_dir() and os.path.realpath(entry) in given):
                continue  # bad photos may lie in a folder inside the good ones
            if entry.is_symlink() and not self._leads_inside(entry):
                self.leave_out(entry, "links that leave the folder or lead nowhere")
            elif entry.name.startswith("."):
                self.leave_out(entry, "hidden")
            elif entry.is_dir():
                folders.append(entry)
            elif not entry.is_file():
                self.leave_out(entry, "neither files nor folders")
            elif not is_readable_name(entry):
                self.leave_out(entry, "of types that are not read")
            else:
                photos.append(entry)
        return photos, folders

    def leave_out(self, path: Path, reason: str) -> None:
        """Remember a file by its path, which begins with the name of the folder that was given."""
        self.left_out.setdefault(reason, []).append(os.path.relpath(path, self._root(path).absolute().parent))

    def leave_out_all(self, folders: list[Path], reason: str) -> None:
        """Leave out every file below some folders."""
        for path in (path for folder in folders for path in sorted(folder.rglob("*"))):
            if not path.is_dir() and not is_of_the_system(path):
                self.leave_out(path, reason)

    def nothing(self, folder: Path, message: str, remedy: str) -> InputError:
        """Says that a folder holds nothing to read, and what it holds instead."""
        line = left_out_line(self.left_out)
        return InputError(Problem(folder, f"{message} ({line})" if line else message, f"{remedy} ({READ})"))

    def _root(self, path: Path) -> Path:
        roots = [root for root in self.request.folders() if path.is_relative_to(root)]
        return max(roots, key=lambda root: len(root.parts))

    def _leads_inside(self, link: Path) -> bool:
        root = os.path.realpath(self._root(link))
        return link.exists() and Path(os.path.realpath(link)).is_relative_to(root)
