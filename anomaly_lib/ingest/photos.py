"""Any folder of good photos, with or without bad ones and masks, becomes a category.

``--good DIR --bad DIR --masks DIR``: folders inside ``--bad`` are types of defect, and photos that lie in it directly
are of the type ``bad``. A mask has its photo's name, or NAME_mask, in ``--masks`` or in the folder of its type there.
A fifth of the good photos, drawn with a fixed seed, is ``test/good``.
"""

from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_lib.data.folder import GOOD, Sample, find_mask, list_folder
from anomaly_lib.data.images import Problem
from anomaly_lib.data.split import split_normals
from anomaly_lib.ingest.plan import Plan, Request, image_item, mask_item

TEST_SHARE = 0.2
SEED = 0
BAD = "bad"
_NOTES = (
    f"a fifth of the good photos is test/good, drawn with seed {SEED} (anomaly_lib.data.split.split_normals)",
    "photos of one part, or of one minute, should not be in train and test: if yours are, sort them by hand",
)


def plan_photos(folders: list[Path], request: Request) -> Plan:
    """Places without a category in front: the target is the category. Raises InputError for folders without photos."""
    good = _photos(request.good, "good photos")
    train, test = split_normals([Sample(photo, "train", GOOD, None) for photo in good], TEST_SHARE, SEED)
    if request.bad is None:
        notes = ("no bad photos: a model can be trained and its thresholds found, but it cannot be evaluated",)
        return Plan(tuple(image_item("", "train", GOOD, photo) for photo in good), notes)
    items = [image_item("", "train", GOOD, sample.path) for sample in train]
    items += [image_item("", "test", GOOD, sample.path) for sample in test]
    unused = _masks_below(request.masks)
    for kind, photos in _bad_photos(request.bad).items():
        masks = _masks_of(request.masks, kind)
        for photo in photos:
            items.append(image_item("", "test", kind, photo))
            if mask := find_mask(photo, masks):
                items.append(mask_item("", kind, photo.stem, [mask]))
                unused.discard(mask)
    notes = [*_NOTES]
    if unused:
        notes.append(f"{len(unused)} masks have no photo and are left out, among them {min(unused).name}")
    return Plan(tuple(items), tuple(notes))


def _photos(folder: Path, what: str) -> list[Path]:
    listing = list_folder(folder, folder)
    if listing.problems:
        raise InputError(listing.problems[0])
    if not listing.images:
        raise InputError(Problem(folder, f"holds no {what}", "put them there directly (png, jpg, bmp, tif)"))
    return list(listing.images)


def _bad_photos(folder: Path) -> dict[str, list[Path]]:
    listing = list_folder(folder, folder)
    kinds = {entry.name: list(list_folder(entry, folder).images) for entry in listing.folders}
    kinds = {name: photos for name, photos in kinds.items() if photos}
    if GOOD in kinds:
        raise InputError(Problem(folder / GOOD, "lies among the bad photos", "rename it or move it to the good ones"))
    if listing.images:
        kinds[BAD] = [*kinds.get(BAD, []), *listing.images]
    if not kinds:
        raise InputError(Problem(folder, "holds no bad photos", "put them there, or into folders by type of defect"))
    return kinds


def _masks_of(folder: Path | None, kind: str) -> dict[str, Path]:
    if folder is None:
        return {}
    listings = [list_folder(place, folder) for place in (folder, folder / kind)]
    return {mask.stem: mask for listing in listings for mask in listing.images}


def _masks_below(folder: Path | None) -> set[Path]:
    if folder is None:
        return set()
    top = list_folder(folder, folder)
    return {*top.images, *(mask for inside in top.folders for mask in list_folder(inside, folder).images)}
