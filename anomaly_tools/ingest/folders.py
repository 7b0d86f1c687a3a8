"""Layouts that are told by their folders: MVTec AD, MVTec AD 2, MVTec LOCO AD, BTAD, and the textures of DTD.

The first four have a folder per category. They differ in the names of folders and in how a mask finds its image; each
function here turns one into the same plan. DTD (Cimpoi et al., CVPR 2014) has ``images/CLASS/CLASS_NNNN.jpg``.
"""

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from anomaly_lib.base.errors import InputError
from anomaly_lib.data.folder import GOOD, Listing, list_folder
from anomaly_lib.data.images import printable
from anomaly_tools.ingest.paths import composed
from anomaly_tools.ingest.plan import Item, Plan, Request, image_item, mask_item, masks_of

VALIDATION_PREFIX = "validation_"
"""Normal images of a validation split join ``train/good``; their numbers start at 000 again."""
_VALIDATION_NOTE = (
    f"validation/good is in train/good, its names begin with {VALIDATION_PREFIX}: thresholds come from a share of "
    "train/good that is held out (split.held_out)"
)
_NONE_PRIVATE = "private test sets: none here"
_TEXTURES_NOTE = "textures for synthetic anomalies: name this folder under 'textures' in params.yaml"


def _has(*inside: str, no: str | None = None) -> Callable[[Path], bool]:
    """Says of a folder whether it has all of these folders, and not the other one."""
    return lambda folder: all((folder / name).is_dir() for name in inside) and not (no and (folder / no).is_dir())


is_mvtec_ad = _has("train/good", "test", no="validation")
"""MVTec AD; also what ``data ingest`` writes."""
is_mvtec_ad_2 = _has("train/good", "test_public")
"""MVTec AD 2: the only one with a public and private test sets."""
is_mvtec_loco = _has("validation/good", "test")
"""MVTec LOCO AD: a validation split, and a test split by kinds of anomaly."""
is_btad = _has("train/ok", "test")
"""BTAD: "ok" instead of "good"."""


def plan_mvtec_ad(folders: list[Path], request: Request) -> Plan:
    """As it is: the layout is MVTec AD's."""
    return Plan(tuple(item for folder in folders for item in _plain(folder)))


def plan_mvtec_loco(folders: list[Path], request: Request) -> Plan:
    """Masks of an image lie in a folder of its name, one per defect: they become one."""
    items = [item for folder in folders for item in (*_plain(folder), *_validation(folder))]
    notes = (
        _VALIDATION_NOTE,
        "an image's masks are one mask now: sPRO, which needs them apart, cannot be computed",
    )
    return Plan(tuple(items), notes)


def plan_mvtec_ad_2(folders: list[Path], request: Request) -> Plan:
    """Only the public test set has labels."""
    items: list[Item] = []
    for folder in folders:
        public = folder / "test_public"
        items += [*_train(folder), *_validation(folder)]
        for group in _listed(public, folder).folders:
            if group.name != "ground_truth":
                items += _test_group(folder, group, public / "ground_truth" / group.name)
    private = sorted({path.name for folder in folders for path in folder.glob("test_private*")})
    left_out = f"left out, as they have no labels: {printable(', '.join(private))}" if private else _NONE_PRIVATE
    return Plan(tuple(items), (_VALIDATION_NOTE, left_out))


def plan_btad(folders: list[Path], request: Request) -> Plan:
    """``ok`` becomes ``good``; the type of defect stays ``ko``. A mask has its image's name, with any suffix."""
    items: list[Item] = []
    for folder in folders:
        items += [image_item(folder.name, "train", GOOD, image) for image in _images(folder / "train/ok", folder)]
        items += [image_item(folder.name, "test", GOOD, image) for image in _images(folder / "test/ok", folder)]
        items += _test_group(folder, folder / "test/ko", folder / "ground_truth/ko")
    return Plan(tuple(items))


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
            for group in _listed(folder / "images", folder).folders
            for image in _images(group, folder)
        ),
        (_TEXTURES_NOTE,),
    )


def _plain(folder: Path) -> Iterator[Item]:
    yield from _train(folder)
    for group in _listed(folder / "test", folder).folders:
        yield from _test_group(folder, group, folder / "ground_truth" / group.name)


def _train(folder: Path) -> Iterator[Item]:
    for image in _images(folder / "train" / GOOD, folder):
        yield image_item(folder.name, "train", GOOD, image)


def _validation(folder: Path) -> Iterator[Item]:
    for image in _images(folder / "validation" / GOOD, folder):
        yield image_item(folder.name, "train", GOOD, image, f"{VALIDATION_PREFIX}{image.name}")


def _test_group(folder: Path, group: Path, truth: Path) -> Iterator[Item]:
    """Images of one folder of the test split, and their masks: a file each, or a folder of files each."""
    masks = _listed(truth, folder)
    by_name = {composed(inside.name): _images(inside, folder) for inside in masks.folders}
    by_name |= {composed(mask.stem): [mask] for mask in masks.images}
    for image in _images(group, folder):
        yield image_item(folder.name, "test", group.name, image)
        if group.name == GOOD:
            continue
        if found := masks_of(image, by_name):
            yield mask_item(folder.name, group.name, image.stem, found)


def _images(folder: Path, root: Path) -> list[Path]:
    return list(_listed(folder, root).images)


def _listed(folder: Path, root: Path) -> Listing:
    """Images and folders in a folder. A link that leaves ``root`` raises InputError: its file must not get lost."""
    listing = list_folder(folder, root)
    if listing.problems:
        raise InputError(listing.problems[0])
    return listing
