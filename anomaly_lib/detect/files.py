"""Which photos ``detect`` looks at, and under which names it writes what it finds."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.files import replacing
from anomaly_lib.data.folder import list_folder
from anomaly_lib.data.images import SUFFIXES, Problem, printable


@dataclass(frozen=True)
class Photos:
    """The files to look at, and what keeps others from being looked at."""

    root: Path
    """The folder that was given, or the folder of the single file."""
    files: tuple[Path, ...]
    """Below ``root``, in the order of their names; paths as they can be opened."""
    problems: tuple[Problem, ...] = ()

    def name(self, file: Path) -> str:
        """The file's path below the root, printable."""
        return printable(file.relative_to(self.root).as_posix())


def find_photos(source: Path, output: Path) -> Photos:
    """A single file, or all images of a folder and its sub-folders, without those in ``output``.

    Hidden and other files are left out, links to folders are not followed. Raises InputError when there is no image.
    """
    if not source.exists():
        raise InputError(f"{printable(str(source))}: no such image or folder; check the path")
    if not source.is_dir():
        return Photos(source.parent, (source,))
    if source.resolve() == output.resolve():
        raise InputError(f"{printable(str(output))}: is the folder of the images; choose another --output")
    problems: list[Problem] = []
    files = tuple(_walk(source, source, output.resolve(), problems))
    if not files and not problems:
        expected = ", ".join(suffix[1:] for suffix in SUFFIXES)
        raise InputError(f"{printable(str(source))}: holds no image ({expected}), nor does a folder in it")
    return Photos(source, files, tuple(problems))


def _walk(folder: Path, root: Path, skip: Path, problems: list[Problem]) -> Iterator[Path]:
    listing = list_folder(folder, root)
    problems += listing.problems
    yield from listing.images
    for below in listing.folders:
        if below.is_symlink():
            problems.append(Problem(below, "is a link to a folder, which is not followed", "give that folder itself"))
        elif below.resolve() != skip:
            yield from _walk(below, root, skip, problems)


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
        raise InputError(f"{printable(str(file))}: cannot be written ({error.strerror or error})") from None
