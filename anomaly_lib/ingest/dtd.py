"""DTD, the textures that DRAEM pastes in (Cimpoi et al., CVPR 2014): ``images/CLASS/CLASS_NNNN.jpg``."""

from pathlib import Path, PurePosixPath

from anomaly_lib.data.folder import list_folder
from anomaly_lib.ingest.plan import Item, Plan, Request

NOTE = "textures for synthetic anomalies: name this folder under 'textures' in params.yaml"


def is_dtd(folder: Path) -> bool:
    """Whether ``images`` holds folders whose images begin with the folder's name."""
    groups = list_folder(folder / "images", folder).folders
    if not groups:
        return False
    images = list_folder(groups[0], folder).images
    return bool(images) and images[0].name.startswith(f"{groups[0].name}_")


def plan_dtd(folders: list[Path], request: Request) -> Plan:
    """The folders of textures, without the labels and splits that classification needs."""
    return Plan(
        tuple(
            Item(PurePosixPath(group.name, image.name), (image,))
            for folder in folders
            for group in list_folder(folder / "images", folder).folders
            for image in list_folder(group, folder).images
        ),
        (NOTE,),
    )
