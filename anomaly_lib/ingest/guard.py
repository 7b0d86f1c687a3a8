"""Keep real data out of the store inside the repository.

``data.dvc`` names the remote of all of ``data/``: ``store``, which lies in the repository and holds the sample set.
After an ingest it names ``mine``, whose place in ``.dvc/config`` is below a file: nobody can write there, not even
root, so that a push fails until somebody gives it another place, while pull and checkout work as before.
"""

from pathlib import Path

from anomaly_lib.files import replacing

STORE, OWN = "store", "mine"
TRACKED = Path("data.dvc")


def guard_store(target: Path) -> bool:
    """Turn ``data.dvc`` away from the store if it tracks the folder that ``target`` lies in; whether it had to be."""
    for root in target.parents:
        file = root / TRACKED
        if file.is_file() and target.is_relative_to(root / TRACKED.stem):
            before = file.read_text(encoding="utf-8")
            after = before.replace(f"remote: {STORE}\n", f"remote: {OWN}\n")
            if after == before:
                return False
            with replacing(file) as temporary:
                temporary.write_text(after, encoding="utf-8")
            return True
    return False
