"""Writing a file so that nobody ever finds half of it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A temporary path beside ``file``; it becomes ``file`` when the block ends well, and is removed otherwise.

    It keeps the suffix, from which some writers infer a format. Makes the folder. Raises OSError when it cannot be
    written; until the end of the block an older ``file`` stays as it was.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}")
    try:
        yield temporary
        temporary.replace(file)
    finally:
        with suppress(OSError):  # must not hide why the block failed
            temporary.unlink(missing_ok=True)
