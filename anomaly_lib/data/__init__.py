"""Data: a folder in MVTec shape becomes samples, samples become arrays.

Everything here works without torch; only ``anomaly_lib.data.tensors`` imports it. The functions
``validate`` and ``describe`` live in the modules of the same names.
"""

from anomaly_lib.data.folder import Category, Sample, list_categories, load_category
from anomaly_lib.data.images import Problem, read_mask, read_rgb
from anomaly_lib.data.split import split_normals

__all__ = [
    "Category",
    "Problem",
    "Sample",
    "list_categories",
    "load_category",
    "read_mask",
    "read_rgb",
    "split_normals",
]
