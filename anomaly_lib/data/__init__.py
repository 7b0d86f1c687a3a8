"""Data: a folder in MVTec shape becomes samples, samples become arrays. Only tensors and regions load torch."""

from anomaly_lib.base.lazy import lazy_names
from anomaly_lib.data.folder import Category, Sample, data_hash, have_masks, list_categories, load_category
from anomaly_lib.data.images import Problem, read_mask, read_rgb
from anomaly_lib.data.split import split_normals

__getattr__, _ = lazy_names(__name__, tensors="load_images load_masks", regions="find_region")
