"""Find everything wrong with a data folder: structure, and what only decoding every file can show.

Images that equal another one, of the other split or the other label, are found by their decoded pixels, so a copy in
another format is found too.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.names import why_name_is_refused
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.data.folder import (
    GOOD,
    Category,
    Listing,
    Sample,
    list_categories,
    list_folder,
    no_category_remedy,
    scan_category,
)
from anomaly_lib.data.images import Problem, printable, read_header, read_mask, read_rgb
from anomaly_lib.data.split import too_few

LARGEST_SHARE = 0.9
"""Of the image: a mask that marks more is taken for an inverted one."""


def validate(data: Path | str, categories: Iterable[str] | None = None, progress: bool = False) -> list[Problem]:
    """All problems of the named categories, by default of all in ``data``; empty if all is well."""
    try:
        names = list_categories(data) if categories is None else tuple(categories)
    except InputError as error:
        return [error.args[0]]
    if not names:
        return [Problem(Path(data), "has no category", no_category_remedy(Path(data)))]
    return [problem for name in names for problem in validate_category(data, name, progress)]


def validate_category(data: Path | str, category: str, progress: bool = False) -> list[Problem]:
    """All problems of one category, structure first; empty if all is well.

    Decodes every image and mask; ``progress`` shows a bar.
    """
    try:
        found, problems = scan_category(data, category)
    except InputError as error:
        return [error.args[0]]
    problems += _layout_problems(found, Path(data))
    digests: dict[Path, bytes] = {}
    for sample in progress_bar(
        found.train + found.test + found.uncertain, description=printable(category), show=progress
    ):
        try:
            image = read_rgb(sample.path)
        except InputError as error:
            problems.append(error.args[0])
            continue
        digests[sample.path] = _digest(image)
        if sample.mask_path is not None:
            problems += _mask_problems(sample, sample.mask_path, image.shape[:2])
    problems += _leaks(found, digests)
    return list(dict.fromkeys(problems))  # a shared mask or a link seen from two sides is one problem


def _layout_problems(found: Category, root: Path) -> Iterator[Problem]:
    """What names and folders alone show, beyond what ``scan_category`` refuses."""
    if reason := why_name_is_refused(found.name):
        yield Problem(found.folder, reason, "rename the folder: commands and tables use the name of a category")
    if len(found.train) == 1:
        yield too_few(found.train)
    train, test, truth = (list_folder(found.folder / name, root) for name in ("train", "test", "ground_truth"))
    yield from truth.problems
    for listing, place in ((train, "train/good"), (test, "test/<type>"), (truth, "ground_truth/<type>")):
        for image in listing.images:
            yield Problem(image, "lies where only folders are read", f"move it to {place}")
    yield from _test_problems(found, test)
    for group in (found.folder / "train" / GOOD, *test.folders, *truth.folders):
        yield from _group_problems(group, list_folder(group, root))
    for group in truth.folders:
        samples = [sample for sample in found.test if sample.defect == group.name]
        masks = list_folder(group, root).images
        yield from _good_mask_problems(masks) if group.name == GOOD else _missing_mask_problems(samples)
        yield from _unused_mask_problems(masks, samples)


def _test_problems(found: Category, listing: Listing) -> Iterator[Problem]:
    folder = found.folder / "test"
    for group in listing.folders:
        if group.name not in (GOOD, *found.defect_types):
            yield Problem(group, "has no image", "put images of this defect type there or remove the folder")
    normal = [sample for sample in found.test if not sample.is_anomalous]
    if not found.test:
        yield Problem(folder, "has no image", "to evaluate, put images into test/good and test/<defect type>")
    elif not normal:
        yield Problem(folder / GOOD, "has no image", "put normal images there: evaluation needs both")
    elif len(normal) == len(found.test):
        yield Problem(folder, "has no anomalous image", "put some into test/<defect type>: evaluation needs both")


def _group_problems(group: Path, listing: Listing) -> Iterator[Problem]:
    yield from listing.problems
    for folder in listing.folders:
        yield Problem(folder, "is a folder where only images are read", "move its images one folder up")
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for image in listing.images:
        by_stem[image.stem].append(image)
    for first, *others in by_stem.values():
        for other in others:
            message = f"has the name of {first.name} but for the extension"
            yield Problem(other, message, "rename or remove one: image and mask are paired by name")


def _missing_mask_problems(samples: Sequence[Sample]) -> Iterator[Problem]:
    if all(sample.mask_path is None for sample in samples):
        return  # a defect type without any mask is allowed
    for sample in samples:
        if sample.mask_path is None:
            remedy = f"put it at ground_truth/{sample.defect}/{sample.path.stem}_mask.png"
            yield Problem(sample.path, "has no mask, though others of its defect type have one", remedy)


def _unused_mask_problems(masks: Sequence[Path], samples: Sequence[Sample]) -> Iterator[Problem]:
    images = {sample.path.stem: sample for sample in samples}
    used = {sample.mask_path.stem for sample in samples if sample.mask_path is not None}
    for mask in masks:
        owner = images.get(mask.stem, images.get(mask.stem.removesuffix("_mask")))
        if owner is None:
            yield Problem(
                mask,
                "is a mask without image",
                f"put its image into test/{mask.parent.name} or remove it",
            )
        elif owner.mask_path is not None and mask.stem not in used:
            yield Problem(mask, f"is a second mask of {owner.path.name}", "remove one of the two")


def _good_mask_problems(masks: Sequence[Path]) -> Iterator[Problem]:
    for mask in masks:
        try:
            if read_mask(mask).any():
                yield Problem(
                    mask,
                    "marks a defect in a good image",
                    "move the image to its defect type or empty the mask",
                )
        except InputError as error:
            yield error.args[0]


def _mask_problems(sample: Sample, path: Path, image_shape: tuple[int, ...]) -> Iterator[Problem]:
    try:
        mask, header, image = read_mask(path), read_header(path), read_header(sample.path)
    except InputError as error:
        yield error.args[0]
        return
    stored_shape = image_shape[::-1] if image.orientation >= 5 else image_shape
    if image.orientation != header.orientation == 1 and mask.shape == stored_shape:
        remedy = f"make sure that it fits the upright photo, and save {sample.path.name} upright, without EXIF"
        yield Problem(path, "is not turned, but EXIF turns its photo", remedy)
    elif mask.shape != image_shape:
        sizes = f"{mask.shape[1]} x {mask.shape[0]} pixels, its image {image_shape[1]} x {image_shape[0]}"
        yield Problem(path, f"is a mask of {sizes}", "make both the same size")
    elif mask.mean() > LARGEST_SHARE:
        message = f"marks {mask.mean():.0%} of the image, as inverted masks do"
        yield Problem(path, message, "invert it: 0 is normal, any other value is defect")
    if not mask.any():
        yield Problem(path, "is an empty mask", "mark the defect or move the image to test/good")
    if header.format in ("JPEG", "MPO"):
        yield Problem(
            path,
            "is a mask in JPEG, whose noise turns normal pixels into defect",
            "save black and white as PNG",
        )


def _leaks(found: Category, digests: dict[Path, bytes]) -> Iterator[Problem]:
    """Images with the same pixels as a test image, in train or among the tests of the other label.

    Images that could not be decoded have no digest.
    """
    train: dict[bytes, list[Path]] = defaultdict(list)
    defects: dict[bytes, list[Path]] = defaultdict(list)
    for group, samples in ((train, found.train), (defects, [one for one in found.test if one.is_anomalous])):
        for sample in samples:
            if sample.path in digests:
                group[digests[sample.path]].append(sample.path)
    for sample in found.test + found.uncertain:
        kind = "anomalous" if sample.is_anomalous else "good"
        message = f"has the same pixels as the {kind} test image {sample.path.relative_to(found.folder)}"
        digest = digests.get(sample.path, b"")
        yield from (Problem(path, message, "remove one of the two") for path in train.get(digest, ()))
        if sample.split == "test" and kind == "good":
            remedy = "remove the wrong one of the two: an image is either good or has a defect"
            yield from (Problem(path, message, remedy) for path in defects.get(digest, ()))


def _digest(image: np.ndarray) -> bytes:
    return hashlib.blake2b(repr(image.shape).encode() + image.tobytes(), digest_size=16).digest()
