"""Keep real data out of the store inside the repository, and the sample set in ``data/``.

``data.dvc`` names the remote of all of ``data/``: ``store``, which lies in the repository and holds the sample set.
After an ingest it names ``mine``, whose path in ``.dvc/config`` is below a file and thus never writable: a push fails
until the user gives it another path, while pull and checkout work as before.

The ``dvc add data`` that follows records the present content. Without the sample set, its textures, which every
pipeline reads, would drop out of ``data.dvc`` and could not be pulled any more: the sample set comes first.
"""

from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.files import replacing
from anomaly_lib.data.images import Problem

STORE, OWN = "store", "mine"
TRACKED = Path("data.dvc")
SAMPLE = ("data/sample", "data/textures")
"""What ``dvc pull data`` brings in a fresh clone."""


def guard_store(target: Path, only_check: bool = False) -> bool:
    """Turn ``data.dvc`` away from the store if it tracks the folder that ``target`` lies in; whether it had to be.

    ``only_check`` leaves it as it is. Raises InputError where the sample set, which ``data.dvc`` names until then, has
    not been brought yet.
    """
    for root in target.parents:
        file = root / TRACKED
        if file.is_file() and target.is_relative_to(root / TRACKED.stem):
            before = file.read_text(encoding="utf-8")
            after = before.replace(f"remote: {STORE}\n", f"remote: {OWN}\n")
            if after == before:
                return False
            _require_sample(root)
            if not only_check:
                with replacing(file) as temporary:
                    temporary.write_text(after, encoding="utf-8")
            return True
    return False


def _require_sample(root: Path) -> None:
    for name in SAMPLE:
        if not (root / name).is_dir():
            remedy = "run 'make data' first, or 'dvc add data' would record data/ without the sample set"
            raise InputError(Problem(Path(name), "no such folder", remedy))
