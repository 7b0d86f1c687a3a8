"""A folder in MVTec shape becomes samples, by structure alone: no pixel is decoded here.

``<data>/<category>/train/good/*``, ``test/{good,<defect>}/*`` and, where there are masks,
``ground_truth/<defect>/NAME_mask.png`` or ``NAME.png`` (or another image extension) for
``test/<defect>/NAME.*``. Where experts were in doubt, ``test_uncertain/<group>/*`` holds images that count in no
metric and are reported apart. Hidden and non-image files are ignored, extensions count in any case, the order is
that of the names.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from anomaly_lib.base.errors import InputError, nearest
from anomaly_lib.data.images import SUFFIXES, Problem, is_image_name

GOOD = "good"
UNCERTAIN = "test_uncertain"


@dataclass(frozen=True)
class Sample:
    """One image: its file, split ("train", "test" or "test_uncertain"), folder, and mask where there is one.

    The folder is "good" or the defect type; of uncertain images, how sure the experts were.
    """

    path: Path
    split: str
    defect: str
    mask_path: Path | None

    @property
    def is_anomalous(self) -> bool:
        """Whether the folder, never the mask, says that the image has a defect."""
        return self.defect != GOOD


@dataclass(frozen=True)
class Category:
    """The samples of one category, each split ordered by defect type and file name."""

    name: str
    folder: Path
    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    uncertain: tuple[Sample, ...] = ()

    @property
    def defect_types(self) -> tuple[str, ...]:
        """Names of the defect types that have test images, sorted."""
        return tuple(sorted({sample.defect for sample in self.test if sample.is_anomalous}))

    @property
    def has_masks(self) -> bool:
        """Whether there are anomalous test samples and every one of them has a mask."""
        return bool(self.defect_types) and have_masks(self.test)


@dataclass(frozen=True)
class Listing:
    """What a folder holds, by name, and what is wrong with its links."""

    folders: tuple[Path, ...] = ()
    images: tuple[Path, ...] = ()
    problems: tuple[Problem, ...] = ()


def load_category(data: Path | str, category: str) -> Category:
    """Load the samples of ``<data>/<category>``; without a test folder, ``test`` is empty.

    Raises InputError for what makes training wrong or impossible: an unknown category, no ``train/good``,
    no image in it, another folder beside it, a link that leaves the data folder. ``validate`` finds what
    takes decoding.
    """
    found, problems = scan_category(data, category)
    if problems:
        raise InputError(problems[0])
    return found


def list_categories(data: Path | str) -> tuple[str, ...]:
    """Names of the folders in ``data`` that hold a ``train`` or ``test`` folder, sorted.

    Raises InputError if ``data`` is not a folder.
    """
    return tuple(name for name in _visible_folders(Path(data)) if _has_splits(Path(data) / name))


def scan_category(data: Path | str, category: str) -> tuple[Category, list[Problem]]:
    """Read a category as far as it can be read, and list everything that ``load_category`` refuses.

    Raises InputError only if there is no such category to scan.
    """
    folder, root = _category_folder(Path(data), category), Path(data)
    problems: list[Problem] = []
    train = _scan_train(folder / "train", root, problems)
    test = _scan_groups(folder, "test", root, problems)
    uncertain = _scan_groups(folder, UNCERTAIN, root, problems)
    return Category(category, folder, train, test, uncertain), problems


def have_masks(samples: Iterable[Sample]) -> bool:
    """Whether every anomalous sample has a mask."""
    return all(sample.mask_path is not None for sample in samples if sample.is_anomalous)


def data_hash(category: Category) -> str:
    """Which images a number was measured on: first 16 hex digits of a SHA-256 over all images and masks.

    It changes with any byte or name of the files of a category, and not with where the category lies.
    """
    digest = hashlib.sha256()
    for sample in (*category.train, *category.test, *category.uncertain):
        for file in (sample.path, sample.mask_path):
            if file is not None:
                digest.update(f"{file.relative_to(category.folder).as_posix()}\n".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def list_folder(folder: Path, root: Path) -> Listing:
    """List the visible sub-folders and images of a folder, empty if it does not exist.

    A link that leads out of ``root`` or nowhere is left out and becomes a problem; so does a locked folder, and what
    is named like an image but is no file (a pipe or a device, which would block its reader).
    """
    if not _is_folder(folder):
        return Listing()
    if problem := _link_problem(folder, root):
        return Listing(problems=(problem,))
    try:
        entries = _entries(folder)
    except InputError as error:
        return Listing(problems=(error.args[0],))
    folders = tuple(entry for entry in entries if _is_folder(entry))
    images = [entry for entry in entries if is_image_name(entry) and entry not in folders]
    found = {entry: _image_problem(entry, root) for entry in images}
    problems = tuple(problem for problem in found.values() if problem)
    return Listing(folders, tuple(entry for entry, problem in found.items() if not problem), problems)


def find_mask(image: Path, masks: Mapping[str, Path]) -> Path | None:
    """The mask of an image among masks by stem: ``NAME_mask`` goes before ``NAME``."""
    return masks.get(f"{image.stem}_mask", masks.get(image.stem))


def no_category_remedy(data: Path) -> str:
    """Remedy for a data folder without category: name a folder in it that has some, or say what one is."""
    for name in _visible_folders(data):
        if list_categories(data / name):
            return f"give {data / name}, which has some"
    return "a category is a folder that holds train/good"


def _scan_train(train: Path, root: Path, problems: list[Problem]) -> tuple[Sample, ...]:
    top, good = list_folder(train, root), list_folder(train / GOOD, root)
    problems += top.problems
    for other in top.folders:
        if other.name != GOOD:
            remedy = f"move its images to test/{other.name}, or to train/good if they are normal"
            problems.append(Problem(other, "only normal images may be in train", remedy))
    problems += good.problems
    if not _is_folder(train / GOOD):
        problems.append(Problem(train / GOOD, "no such folder", "put the normal training images there"))
    elif not good.images and not good.problems:
        expected = ", ".join(suffix[1:] for suffix in SUFFIXES)
        problems.append(Problem(train / GOOD, "has no image", f"put normal images there ({expected})"))
    return tuple(Sample(path, "train", GOOD, None) for path in good.images)


def _scan_groups(folder: Path, split: str, root: Path, problems: list[Problem]) -> tuple[Sample, ...]:
    top = list_folder(folder / split, root)
    problems += top.problems
    samples = []
    for group in top.folders:
        images, masks = list_folder(group, root), Listing()
        if split == "test" and group.name != GOOD:
            masks = list_folder(folder / "ground_truth" / group.name, root)
        problems += images.problems + masks.problems
        # Reversed: of two masks with one stem the first by name stays, whatever the extensions.
        by_stem = {mask.stem: mask for mask in reversed(masks.images)}
        samples += [Sample(path, split, group.name, find_mask(path, by_stem)) for path in images.images]
    return tuple(samples)


def _category_folder(data: Path, category: str) -> Path:
    # Only the name of a folder that was listed is accepted, so "..", "a/b" or an absolute path leads nowhere.
    if category in _visible_folders(data):
        if problem := _link_problem(data / category, data):
            raise InputError(problem)
        return data / category
    raise InputError(Problem(data / category, "no such category", _category_remedy(data, category)))


def _category_remedy(data: Path, category: str) -> str:
    names = list_categories(data)
    if _has_splits(data):
        return "the data folder is itself a category: give the folder above it"
    if not names:
        return f"the data folder has no category: {no_category_remedy(data)}"
    return nearest(category, names)


def _visible_folders(data: Path) -> list[str]:
    if not _is_folder(data):
        raise InputError(Problem(data, "no such data folder", "give the folder that holds the categories"))
    return [entry.name for entry in _entries(data) if _is_folder(entry)]


def _has_splits(folder: Path) -> bool:
    return _is_folder(folder / "train") or _is_folder(folder / "test")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:  # inside a folder of somebody else, like lost+found on a mounted disk
        return False


def _entries(folder: Path) -> list[Path]:
    try:
        visible = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except PermissionError as error:
        raise InputError(Problem(folder, "may not be listed", "give yourself read permission")) from error
    return sorted(visible, key=lambda entry: entry.name)


def _image_problem(path: Path, root: Path) -> Problem | None:
    if path.is_symlink() and (problem := _link_problem(path, root)):
        return problem
    return None if path.is_file() else Problem(path, "is not a regular file", "remove it")


def _link_problem(path: Path, root: Path) -> Problem | None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: a loop of links
        return Problem(path, "is a link that leads nowhere", "remove it or put the file in its place")
    if target.is_relative_to(root.resolve()):
        return None
    return Problem(path, "is a link that leaves the data folder", "put a copy of its target in its place")
