"""From a drawn scene to a photograph: light falloff, exposure, white balance, lens blur, sensor noise."""

import numpy as np
from scipy import ndimage

from .canvas import SIZE, downsample


def _falloff(rng: np.random.Generator) -> np.ndarray:
    """Light (256, 256) that comes a little more from one side and fades towards the corners."""
    y, x = np.meshgrid(np.linspace(-1, 1, SIZE), np.linspace(-1, 1, SIZE), indexing="ij")
    angle = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0.02, 0.07) * (np.cos(angle) * x + np.sin(angle) * y)
    return 1.0 + slope - rng.uniform(0.02, 0.06) * (x * x + y * y)


def photograph(rng: np.random.Generator, scene: np.ndarray) -> np.ndarray:
    """Scene (512, 512, 3) in [0, 1] -> photograph uint8 (256, 256, 3).

    Exposure, focus and sensor gain change from shot to shot, as they do on a line without a locked camera:
    neither the brightness nor the file size of a photograph may tell whether the object is defective.
    """
    light = _falloff(rng) * rng.uniform(0.93, 1.07)
    balance = 1.0 + 0.006 * rng.standard_normal(3)
    focus, gain = rng.uniform(0.40, 0.65), rng.uniform(0.008, 0.016)
    image = downsample(scene) * light[..., None] * balance
    image = ndimage.gaussian_filter(image, (focus, focus, 0))
    shot_noise = gain * np.sqrt(np.clip(image, 0.02, 1.0))  # the variance of photon noise grows with the light
    image = image + (shot_noise + 0.003) * rng.standard_normal(image.shape)
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
