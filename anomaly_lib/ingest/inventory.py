"""What an archive may hold: the limits, and the list that every member must get on before its content is read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.names import DEPTH, PATH_LENGTH, folded, why_path_is_refused
from anomaly_lib.data.images import Problem

BY_HAND = "look into it, unpack it with your system's own tools and give the folder"
_HOSTILE = "do not use this archive; get it again from its source"
_HARMLESS_BYTES = 1 << 20  # what unpacks to so little is no bomb, whatever its ratio
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Limits:
    """Most that an archive may hold. MVTec AD has 4.9 GB in 7,000 files: the defaults are far above it."""

    total_bytes: int = 200 * 10**9
    """Of all files together."""
    member_bytes: int = 4 * 10**9
    """Of one file."""
    members: int = 100_000
    """Files and folders, with those folders that are only named in a file's path."""
    ratio: float = 200
    """Unpacked bytes per byte of the archive; photos have 1 to 5. Not checked up to 1 MiB unpacked."""
    path_length: int = PATH_LENGTH
    depth: int = DEPTH


@dataclass(frozen=True)
class Member:
    """A file or folder of an archive: its place below the target, and the bytes of content it claims to have."""

    path: PurePosixPath
    size: int
    is_folder: bool = False


@dataclass
class Inventory:
    """The members of one archive so far. Each is admitted, or InputError refuses the whole archive."""

    archive: Path
    limits: Limits
    _bytes: int = 0
    _entries: int = 0
    _places: dict[str, Member] = field(default_factory=dict)  # by folded path

    def admit(self, name: str, size: int, is_folder: bool = False) -> Member:
        """The member under its checked path; a folder's may be ``.``, the target. Raises InputError."""
        self._entries += 1
        self.admit_count(self._entries)
        if reason := why_path_is_refused(name, self.limits.path_length, self.limits.depth):
            raise self.refusal(name, reason)
        member = Member(PurePosixPath(name), size, is_folder)
        if size < 0 or (is_folder and size):
            raise self.refusal(name, "has an impossible size")
        if size > self.limits.member_bytes:
            raise self.refusal(name, f"has more than {self.limits.member_bytes:,} bytes", BY_HAND)
        if not member.path.parts and not is_folder:
            raise self.refusal(name, "has no name")
        self._bytes += size
        if self._bytes > self.limits.total_bytes:
            raise self.problem(f"unpacks to more than {self.limits.total_bytes:,} bytes", BY_HAND)
        if self._bytes > self.most_bytes:
            raise self.bomb()
        for place in (*(Member(parent, 0, is_folder=True) for parent in member.path.parents), member):
            self._place(name, place)
        self.admit_count(len(self._places))
        return member

    def _place(self, name: str, member: Member) -> None:
        other = self._places.setdefault(folded(member.path), member)
        if other.path != member.path:
            what = f"is the same file as '{other.path}' where case or accents do not count"
            raise self.refusal(name, what, BY_HAND)
        if other.is_folder != member.is_folder:
            raise self.refusal(name, f"needs '{other.path}' to be a file and a folder")
        if other is not member and not member.is_folder:
            raise self.refusal(name, "is in it twice")

    def admit_count(self, count: int) -> None:
        """Raise InputError if an archive may not have so many members."""
        if count > self.limits.members:
            raise self.problem(f"holds more than {self.limits.members:,} files and folders", BY_HAND)

    @cached_property
    def most_bytes(self) -> float:
        """Most bytes that an archive of this size may unpack to."""
        return max(_HARMLESS_BYTES, self.limits.ratio * self.archive.stat().st_size)

    def bomb(self) -> InputError:
        """Says that the archive unpacks to far more than its size."""
        return self.problem(f"unpacks to more than {self.limits.ratio:g} times its size, as a bomb does")

    def refusal(self, name: str, reason: str, remedy: str = _HOSTILE) -> InputError:
        """Says why a member, and with it the archive, is refused."""
        shown = name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}…"
        return self.problem(f"member '{shown}' {reason}", remedy)

    def problem(self, message: str, remedy: str = _HOSTILE) -> InputError:
        """Says what is wrong with the archive, in one line."""
        return InputError(Problem(self.archive, message, remedy))


@contextmanager
def reading(archive: Path) -> Iterator[None]:
    """Whatever fails in the block is the archive's fault and becomes an InputError that names it."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # damaged archives raise a dozen types: BadZipFile, EOFError, zlib.error, ValueError, …
        if isinstance(error, OSError) and error.errno:
            raise InputError(Problem(archive, f"cannot be read ({error.strerror})", "check the path")) from None
        remedy = "download or copy it again"
        raise InputError(Problem(archive, f"is truncated or damaged ({error})", remedy)) from error
