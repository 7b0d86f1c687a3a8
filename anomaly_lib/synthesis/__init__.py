"""Synthetic anomalies: Perlin noise chooses where, a texture image what, and a blend how strongly (DRAEM)."""

from anomaly_lib.synthesis.batches import SyntheticBatches
from anomaly_lib.synthesis.blend import Synthesised, synthesize
from anomaly_lib.synthesis.mask import mask_coverage
from anomaly_lib.synthesis.perlin import perlin_noise
from anomaly_lib.synthesis.textures import load_textures
