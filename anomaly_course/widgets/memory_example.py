"""Something for the memory studio to store and to look up, from a category's images."""

import torch

from anomaly_course.widgets.memory import MemoryExample
from anomaly_lib.base.errors import InputError
from anomaly_lib.data import Category
from anomaly_lib.data.tensors import load_images, load_masks
from anomaly_lib.methods.dmad.network import Teacher
from anomaly_lib.methods.dmad.params import DmadParams

SIZE = 256
NORMALS = 8


def memory_example(found: Category) -> MemoryExample:
    """The deepest features of DMAD's teacher: of eight normal images, and of the first defective one with a mask.

    Raises InputError when there is none, and for images that cannot be read.
    """
    defective = [sample for sample in found.test if sample.is_anomalous and sample.mask_path][:1]
    if not defective:
        raise InputError(f"{found.folder}: no anomalous test image has a mask; take a category with masks")
    teacher = Teacher(DmadParams(image_size=SIZE))
    images = [load_images(samples, SIZE) for samples in (found.train[:NORMALS], defective)]
    with torch.no_grad():
        stored, looked_up = (teacher(teacher.backbone.normalise(part))[-1] for part in images)
    return MemoryExample(stored, images[1][0], looked_up[0], load_masks(defective, SIZE)[0])
