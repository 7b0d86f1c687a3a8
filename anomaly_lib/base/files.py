"""Atomic file writes."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A temporary path beside ``file``; it becomes ``file`` when the block ends well, and is removed otherwise.

    It keeps the suffix, from which some writers infer a format. Makes the folder. Raises OSError, with the name of
    ``file``, when it cannot be written; until the end of the block an older ``file`` stays as it was.
    """
    temporary = file.with_name(f".{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(file)
    except OSError as error:
        error.filename, error.filename2 = str(file), None  # the temporary name says nothing to people
        raise
    finally:
        with suppress(OSError):  # must not hide why the block failed
            temporary.unlink(missing_ok=True)
