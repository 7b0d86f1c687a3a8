"""Synthetic anomalies: ours, a plain per-image NumPy and Pillow version, and anomalib's, side by side in one process.

    OMP_NUM_THREADS=1 python benchmarks/synthesis.py [--rounds 15] [--size 256] [--batch 16]

A sample is: Perlin noise of 2^k cells an axis (k from 0 to 5), its rotation, the mask, a texture with three operations,
and the blend. No image is turned, because anomalib does not turn them. Textures are in memory for us and for the plain
version; anomalib decodes one from its folder for each sample, or makes up one from Perlin noise where it has no folder.
Two shares are measured: all samples anomalous, and half of them clean, as in training; everybody skips the work for
clean ones. In every round all contenders run once, one after the other, on one thread; the median of their CPU seconds
is printed, and the median over the rounds of the ratio to ours, so that a busy machine disturbs all alike.
Without anomalib (the extra `bench`) its lines are left out.
"""

import argparse
import platform
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from anomaly_lib.base.reproducibility import generator
from anomaly_lib.params import SynthesisRecipe
from anomaly_lib.synthesis import load_textures, perlin_noise, synthesize
from anomaly_lib.synthesis.perlin import random_cells

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps

WARM_UP = 3


def plain_noise(rng: np.random.Generator, size: int) -> np.ndarray:
    """Perlin noise (size, size), one image at a time, in the way most NumPy versions go: four corners of a cell."""
    cells = 2 ** rng.integers(0, 6, 2)
    angles = rng.uniform(0, 2 * np.pi, cells + 1)
    gradients = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    y, x = np.meshgrid(*(np.arange(size) * count / size for count in cells), indexing="ij")
    top, left = y.astype(int), x.astype(int)
    v, u = y - top, x - left

    def corner(down: int, right: int) -> np.ndarray:
        gradient = gradients[top + down, left + right]
        return gradient[..., 0] * (v - down) + gradient[..., 1] * (u - right)

    fade_v, fade_u = (t * t * t * (t * (t * 6 - 15) + 10) for t in (v, u))
    upper = corner(0, 0) + fade_u * (corner(0, 1) - corner(0, 0))
    lower = corner(1, 0) + fade_u * (corner(1, 1) - corner(1, 0))
    return np.sqrt(2) * (upper + fade_v * (lower - upper))


def plain_hue_saturation(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    turn, shift = rng.integers(-50, 51, 2)
    hue = hue.point([(level + turn) % 256 for level in range(256)])
    saturation = saturation.point([min(max(level + shift, 0), 255) for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def plain_gamma(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    powers = rng.uniform(0.5, 2, 3)
    return image.point([round(255 * (level / 255) ** power) for power in powers for level in range(256)])


def plain_brightness(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    factor, shift = rng.uniform(0.8, 1.2), rng.uniform(-30, 30)
    return image.point([min(max(round(level * factor + shift), 0), 255) for level in range(256)] * 3)


PLAIN_OPERATIONS: tuple[Callable[[Image.Image, np.random.Generator], Image.Image], ...] = (
    plain_gamma,
    plain_brightness,
    lambda image, rng: ImageEnhance.Sharpness(image).enhance(rng.uniform(0, 2)),
    plain_hue_saturation,
    lambda image, rng: ImageOps.solarize(image, int(rng.integers(32, 129))) if rng.random() < 0.5 else image,
    lambda image, rng: ImageOps.posterize(image, int(rng.integers(1, 9))),
    lambda image, rng: ImageOps.invert(image),
    lambda image, rng: ImageOps.autocontrast(image, cutoff=rng.uniform(0, 20)),
    lambda image, rng: ImageOps.equalize(image),
    lambda image, rng: image.rotate(rng.uniform(-45, 45), Image.Resampling.BILINEAR),
)


def plain_sample(
    normal: np.ndarray, textures: list[Image.Image], rng: np.random.Generator, clean: float
) -> tuple[np.ndarray, np.ndarray]:
    """One image (3, S, S) and its mask (S, S), with NumPy and Pillow."""
    size = normal.shape[1]
    if rng.random() < clean:
        return normal, np.zeros((size, size), np.float32)
    noise = Image.fromarray(plain_noise(rng, size).astype(np.float32))
    mask = np.asarray(noise.rotate(rng.uniform(-90, 90), Image.Resampling.BILINEAR)) > 0.5
    texture = textures[rng.integers(len(textures))]
    for index in rng.choice(len(PLAIN_OPERATIONS), 3, replace=False):
        texture = PLAIN_OPERATIONS[index](texture, rng)
    opacity = rng.uniform(0.2, 1)
    levels = np.asarray(texture, np.float32).transpose(2, 0, 1) / 255
    return np.where(mask, (1 - opacity) * normal + opacity * levels, normal).astype(np.float32), mask.astype(np.float32)


def plain_batch(normals: np.ndarray, textures: list[Image.Image], rng: np.random.Generator, clean: float) -> tuple:
    samples = [plain_sample(normal, textures, rng, clean) for normal in normals]
    return tuple(torch.from_numpy(np.stack(part)) for part in zip(*samples, strict=True))


def anomalib_contenders(normals: torch.Tensor, folder: Path, clean: float) -> dict[str, Callable[[], object]]:
    """Anomalib's generator through its public class, with and without texture files; empty where it is missing."""
    try:
        from anomalib.data.utils.generators.perlin import PerlinAnomalyGenerator
    except ImportError:
        print("anomalib is not installed, so its lines are left out: pip install -e '.[bench]'")
        return {}
    options = {"probability": 1 - clean, "blend_factor": (0.2, 1.0)}
    files = PerlinAnomalyGenerator(anomaly_source_path=folder, **options)
    made_up = PerlinAnomalyGenerator(**options)
    return {"anomalib, texture files": lambda: files(normals), "anomalib, no textures": lambda: made_up(normals)}


def compare(title: str, contenders: dict[str, Callable[[], object]], images: int, rounds: int) -> None:
    """Print a table; the first contender is ours."""
    seconds = {name: [] for name in contenders}
    for round_ in range(-WARM_UP, rounds):
        for name, run in contenders.items():
            start = time.process_time()
            run()
            if round_ >= 0:
                seconds[name].append(time.process_time() - start)
    ours = next(iter(seconds.values()))
    print(f"\n{title}\n\n| version | ms an image, median | best | times ours, median (least to most) |")
    print("|---|---|---|---|")
    for name, taken in seconds.items():
        ratios = [theirs / mine for theirs, mine in zip(taken, ours, strict=True)]
        milliseconds = [1000 * value / images for value in (statistics.median(taken), min(taken))]
        shown = f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})" if taken is not ours else ""
        print(f"| {name} | {milliseconds[0]:.2f} | {milliseconds[1]:.2f} | {shown} |")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--textures", type=Path, default=Path("data/textures"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    random.seed(0)
    torch.manual_seed(0)  # anomalib draws from the global generators
    size, count = options.size, options.batch
    print(f"{platform.machine()}, torch {torch.__version__}, one thread, {count} images of {size} pixels")
    rng, draw = np.random.default_rng(0), generator(0, "benchmark")
    noises = {
        "ours": lambda: perlin_noise(random_cells(count, draw), (size, size), draw),
        "NumPy, image by image": lambda: [plain_noise(rng, size) for _ in range(count)],
    }
    compare("Perlin noise alone", noises, count, options.rounds)
    normals = torch.rand(count, 3, size, size, generator=draw)
    textures = load_textures(options.textures, size)
    pictures = [Image.fromarray(texture.movedim(0, -1).numpy()) for texture in textures]
    for clean, title in ((0.0, "All samples anomalous"), (0.5, "Half of the samples clean")):
        recipe = SynthesisRecipe(clean_probability=clean, rotation_probability=0.0)
        contenders = {
            "ours": lambda recipe=recipe: synthesize(normals, textures, draw, recipe, keep_steps=False),
            "NumPy and Pillow": lambda clean=clean: plain_batch(normals.numpy(), pictures, rng, clean),
        }
        compare(title, contenders | anomalib_contenders(normals, options.textures, clean), count, options.rounds)


if __name__ == "__main__":
    main()
