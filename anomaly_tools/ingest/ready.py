"""Is the data of a profile there? If not, what to get, and where to put it."""

from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_lib.data.folder import GOOD
from anomaly_lib.data.images import Problem
from anomaly_lib.params import Params, project_root
from anomaly_tools.ingest.guard import SAMPLE
from anomaly_tools.ingest.layouts import LAYOUTS


def require_data(params: Params) -> None:
    """Raise InputError for the first folder of data that a profile names and that is not there.

    The sample set is not asked for: DVC brings it itself, also in the middle of ``dvc repro --pull``.
    """
    places = [(params.data, Path(category) / "train" / GOOD) for category in params.categories]
    for data, inside in [*places, (params.textures, Path())]:
        folder = Path(data) / inside
        if data not in SAMPLE and not (project_root() / folder).is_dir():
            raise InputError(Problem(folder, "no such folder", _remedy(data)))


def _remedy(data: str) -> str:
    """How the data that belongs into a folder gets there."""
    for name, layout in LAYOUTS.items():
        if data == layout.output:
            source = "" if layout.default_source or name == "folder" else " ARCHIVE_OR_FOLDER"
            options = " --good DIR --bad DIR --name CATEGORY" if name == "folder" else ""
            return f"{layout.how_to_get}, then: python -m anomaly_lib data ingest {name}{source}{options}"
    return "put it there in the layout of docs/data.md, or change the profile's params.yaml"
