"""Which photos ``detect`` looks at, and under which names it writes what it finds."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from anomaly_lib.base.errors import InputError, refused
from anomaly_lib.base.files import replacing
from anomaly_lib.data.images import Problem, printable
from anomaly_lib.data.photos import PICTURES, READ, LeftOut, is_of_the_system, is_readable_name


@dataclass
class Photos:
    """The files to look at, and everything else that was found."""

    root: Path
    """The folder that was given, or the folder of the single file."""
    files: list[Path] = field(default_factory=list)
    """Below ``root``, in the order of their names; paths as they can be opened."""
    problems: list[Problem] = field(default_factory=list)
    """Photos that cannot be looked at, and what may hold photos and is not entered."""
    left_out: LeftOut = field(default_factory=dict)
    """Files that are hidden or not named as photos: reason -> files."""

    def name(self, path: Path) -> str:
        """A path below the root, printable."""
        return printable(path.relative_to(self.root).as_posix())


def find_photos(source: Path, output: Path) -> Photos:
    """A single file, or all photos of a folder and its sub-folders, without those in ``output``.

    Nothing is passed over silently: a photo of a type that is not read, a link that leads nowhere or out of the folder,
    and a link to a folder are problems; hidden files and those not named as photos are left out. Raises InputError when
    there is no photo.
    """
    if not source.exists():
        raise InputError(f"{printable(str(source))}: no such image or folder; check the path")
    if not source.is_dir():
        return Photos(source.parent, [source])
    if source.resolve() == output.resolve():
        raise InputError(f"{printable(str(output))}: is the folder of the images; choose another --output")
    photos = Photos(source)
    _walk(source, output.resolve(), photos)
    if not photos.files and not photos.problems:
        raise InputError(f"{printable(str(source))}: holds no image ({READ}), nor does a folder in it")
    return photos


def _walk(folder: Path, output: Path, photos: Photos) -> None:
    """Sort what a folder holds: photos of this folder first, then sub-folders, each by name."""
    below = []
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        photos.problems.append(Problem(folder, f"may not be listed ({error.strerror})", "give yourself permission"))
        return
    for entry in entries:
        if is_of_the_system(entry):
            continue
        if problem := _problem(entry, photos.root):
            photos.problems.append(problem)
        elif entry.name.startswith("."):
            photos.left_out.setdefault("hidden", []).append(photos.name(entry))
        elif entry.is_dir():
            below.append(entry)
        elif is_readable_name(entry):
            photos.files.append(entry)
        else:
            photos.left_out.setdefault("not named as photos", []).append(photos.name(entry))
    for entry in below:
        if entry.resolve() != output:
            _walk(entry, output, photos)


def _problem(entry: Path, root: Path) -> Problem | None:
    """Why something that is, or may hold, a photo cannot be looked at."""
    is_photo = entry.suffix.lower() in PICTURES
    if entry.is_symlink():
        if not entry.exists():
            return Problem(entry, "is a link that leads nowhere", "remove it or put the file in its place")
        if entry.is_dir():
            return Problem(entry, "is a link to a folder, which is not followed", "give that folder itself")
        if is_photo and not entry.resolve().is_relative_to(root.resolve()):
            return Problem(entry, "is a link that leaves the folder", "put a copy of its target in its place")
    if not is_photo or entry.is_dir():
        return None
    if not entry.is_file():
        return Problem(entry, "is not a regular file", "remove it")
    if entry.name.startswith(".") or is_readable_name(entry):
        return None
    return Problem(entry, f"is of a type that is not read ({READ})", "convert it to PNG or JPEG")


def output_stems(photos: Photos) -> dict[Path, Path]:
    """{file: its place in the output, without suffix}.

    The file's name without its suffix; in a folder where two would share one, all keep their suffixes.
    """
    places = {file: file.relative_to(photos.root).with_suffix("") for file in photos.files}
    # two names that differ in case alone are one file on some systems
    shared = Counter(str(place).casefold() for place in places.values())
    crowded = {file.parent for file, place in places.items() if shared[str(place).casefold()] > 1}
    return {file: place.with_name(file.name) if file.parent in crowded else place for file, place in places.items()}


def refuse_overwriting(targets: Sequence[Path], photos: Photos) -> None:
    """Raise InputError if one of the files to write is one of the photos."""
    sources = {file.resolve() for file in photos.files}
    for target in targets:
        if target.resolve() in sources:
            raise InputError(f"{printable(str(target))}: would replace a photo; choose another --output")


@contextmanager
def written_at_once(file: Path) -> Iterator[Path]:
    """``replacing``, which raises InputError when ``file`` cannot be written."""
    try:
        with replacing(file) as temporary:
            yield temporary
    except OSError as error:
        raise refused(error, printable(str(file)), "cannot be written") from None
