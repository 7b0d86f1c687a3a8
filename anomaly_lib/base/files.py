"""Atomic file writes."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A temporary path beside ``file``; it becomes ``file`` when the block ends well, and is removed otherwise.

    It keeps the suffix, from which some writers infer a format. Makes the folder. Raises OSError, naming ``file``, when
    it cannot be written; until the end of the block an older ``file`` stays as it was.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}")
    try:
        yield temporary
        temporary.replace(file)
    except OSError as error:
        if error.filename in (None, str(temporary), temporary):  # a full disk has no name
            error.filename = str(file)
        raise
    finally:
        with suppress(OSError):  # must not hide why the block failed
            temporary.unlink(missing_ok=True)
