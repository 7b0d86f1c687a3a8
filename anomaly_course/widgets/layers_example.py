"""Something for DFR's two widgets to show, from a category's images."""

from anomaly_course.widgets.features import FeatureExample, feature_example
from anomaly_lib.base.errors import InputError
from anomaly_lib.data import Category
from anomaly_lib.data.tensors import load_images, load_masks
from anomaly_lib.methods.dfr.features import RegionalFeatures
from anomaly_lib.methods.dfr.method import Dfr
from anomaly_lib.methods.dfr.params import DfrParams

SIZE, GRID = 128, 32
NORMALS, HELD_OUT, DEFECTS = 16, 8, 3


def dfr_features() -> RegionalFeatures:
    """DFR's default layers, for small photos: a projector's audience does not wait."""
    return Dfr(DfrParams(image_size=SIZE, feature_size=GRID)).features


def layers_example(found: Category, features: RegionalFeatures) -> tuple[FeatureExample, list[str]]:
    """A few normal images of the category, and one image of each of its first three types of defect with their names.

    Raises InputError when none has a mask, and for images that cannot be read.
    """
    first = {sample.defect: sample for sample in reversed(found.test) if sample.is_anomalous and sample.mask_path}
    defective = sorted(first.values(), key=lambda sample: sample.defect)[:DEFECTS]
    if not defective:
        raise InputError(f"{found.folder}: no anomalous test image has a mask; take a category with masks")
    normals = features(load_images(found.train[: NORMALS + HELD_OUT], SIZE))
    pictures, masks = load_images(defective, SIZE), load_masks(defective, SIZE)
    example = feature_example(features, normals[:NORMALS], normals[NORMALS:], pictures, masks)
    return example, [sample.defect for sample in defective]
