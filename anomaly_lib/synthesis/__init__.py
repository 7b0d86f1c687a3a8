"""Synthetic anomalies: Perlin noise chooses where, a texture image what, and a blend how strongly (DRAEM)."""

from anomaly_lib.synthesis.blend import Synthesised, mask_coverage, synthesize
from anomaly_lib.synthesis.perlin import perlin_noise
from anomaly_lib.synthesis.textures import load_textures

__all__ = ["Synthesised", "load_textures", "mask_coverage", "perlin_noise", "synthesize"]
