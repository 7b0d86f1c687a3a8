"""Exact AUPRO and pixel AUROC against anomalib 2.7.0, side by side in one process.

    pip install -e ".[bench]"
    OMP_NUM_THREADS=1 python benchmarks/metrics.py [--images 83] [--size 256] [--repeats 3]

Both sides get the same float32 maps and bool masks, simulated and seeded: defects of several sizes seen
through smooth noise, once as a map that saturates like DRAEM's softmax and once unbounded like DFR's
distances. Anomalib scales its maps to [0, 1] before it measures them, so the unbounded maps are given
to it twice, scaled by minimum and maximum over the split, and as they are.
Times are CPU seconds, the best of the repeats (on one thread: what a calm machine's clock would show);
memory is the rise of the process's resident set (Linux only).
The last table measures `evaluate` and each function on the average MVTec AD test split, 117 images.
"""

import argparse
import ctypes
import gc
import platform
import sys
import time
from pathlib import Path

from anomaly_lib import evaluation

import numpy as np
import torch
from scipy import ndimage

MEBIBYTE = 2**20


def simulate(images: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Evidence (N, H, W) float32 of mean 0 and deviation 1 plus a bump on defects, and masks (N, H, W) bool.

    Every fourth image is normal; the others carry one to four ellipses, some too faint to be found.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    masks = np.zeros((images, size, size), dtype=bool)
    evidence = np.empty(masks.shape, dtype=np.float32)
    for index in range(images):
        noise = ndimage.gaussian_filter(rng.normal(size=(size, size)), 4)
        evidence[index] = noise / noise.std()
        for _ in range(rng.integers(1, 5) if index % 4 else 0):
            (y, x), (a, b) = rng.uniform(0, size, 2), rng.uniform(size / 64, size / 10, 2)
            ellipse = ((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 < 1
            masks[index] |= ellipse
            evidence[index] += rng.uniform(0.5, 6) * ndimage.gaussian_filter(ellipse.astype(np.float32), 3)
    return evidence, masks


def timed(function, repeats: int):
    """(value, best CPU seconds, peak memory in MiB above the start)."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        value = function()
        seconds.append(time.process_time() - start)
    return value, min(seconds), peak_memory(function)


def peak_memory(function) -> float:
    """Rise of the resident set's high-water mark while the function runs once, in MiB; nan off Linux."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not (status.exists() and reset.exists()):
        return float("nan")

    def kilobytes(field: str) -> int:
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(field))

    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)  # or memory freed before would be used again, unseen
    reset.write_text("5")  # the high-water mark starts again from here
    before = kilobytes("VmRSS")
    function()
    return (kilobytes("VmHWM") - before) / 1024


def anomalib_metrics(maps: np.ndarray, masks: np.ndarray) -> dict:
    """Functions that compute anomalib's AUPRO and pixel AUROC through its public classes."""
    try:
        from anomalib.data import ImageBatch
        from anomalib.metrics import AUPRO, AUROC
    except ImportError as error:
        sys.exit(f'anomalib is missing ({error}); install it with: pip install -e ".[bench]"')
    batch = ImageBatch(
        image=torch.zeros(1, 1, 1, 1).expand(len(maps), 3, *maps.shape[1:]),  # demanded, unused, no memory
        anomaly_map=torch.from_numpy(maps),
        gt_mask=torch.from_numpy(masks),
    )

    def run(metric_class, **options):
        metric = metric_class(fields=["anomaly_map", "gt_mask"], **options)
        metric.update(batch)
        return float(metric.compute())

    return {"AUPRO 0.3": lambda: run(AUPRO, fpr_limit=0.3), "pixel AUROC": lambda: run(AUROC)}


def compare(name: str, maps: np.ndarray, theirs_maps: np.ndarray, masks: np.ndarray, repeats: int) -> None:
    """Print one line for each metric: values, difference, times, ratio, memory."""
    ours = {
        "AUPRO 0.3": lambda: evaluation.aupro(maps, masks),
        "pixel AUROC": lambda: evaluation.pixel_auroc(maps, masks),
    }
    theirs = anomalib_metrics(theirs_maps, masks)
    for metric, function in ours.items():
        value, seconds, memory = timed(function, repeats)
        other, other_seconds, other_memory = timed(theirs[metric], repeats)
        print(
            f"{name:<26}{metric:<13}{value:>10.6f}{other:>10.6f}{abs(value - other):>10.1e}"
            f"{seconds:>8.2f}{other_seconds:>9.2f}{other_seconds / seconds:>7.1f}x"
            f"{memory:>8.0f}{other_memory:>10.0f}"
        )


def own_costs(images: int, size: int, repeats: int) -> None:
    """Print seconds and bytes a pixel of every function on one split."""
    maps, masks = simulate(images, size, seed=1)
    scores, labels = maps.max(axis=(1, 2)), masks.any(axis=(1, 2))
    functions = {
        "aupro": lambda: evaluation.aupro(maps, masks),
        "pixel_auroc": lambda: evaluation.pixel_auroc(maps, masks),
        "average_precision": lambda: evaluation.average_precision(maps, masks),
        "f1_max": lambda: evaluation.f1_max(maps, masks),
        "f1_at": lambda: evaluation.f1_at(maps, masks, 2.0),
        "quantile_threshold": lambda: evaluation.quantile_threshold(maps, 0.005),
        "evaluate": lambda: evaluation.evaluate(scores, labels, maps, masks, image_threshold=4.0, pixel_threshold=2.0),
    }
    print(f"\n{images} x {size} x {size} float32 maps, {maps.nbytes / MEBIBYTE:.0f} MiB")
    print(f"{'function':<20}{'seconds':>9}{'peak MiB':>10}{'bytes/pixel':>13}{'x maps':>8}")
    for name, function in functions.items():
        _, seconds, memory = timed(function, repeats)
        per_pixel = memory * MEBIBYTE / maps.size
        print(f"{name:<20}{seconds:>9.2f}{memory:>10.0f}{per_pixel:>13.1f}{per_pixel / 4:>8.1f}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=83, help="size of the side-by-side split")
    parser.add_argument("--size", type=int, default=256, help="edge of the maps in pixels")
    parser.add_argument("--repeats", type=int, default=3, help="best of so many")
    parser.add_argument("--own", action="store_true", help="only our own costs, without anomalib")
    options = parser.parse_args(arguments)
    print(f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} thread(s)")
    if not options.own:
        evidence, masks = simulate(options.images, options.size)
        softmax = 1 / (1 + np.exp(-8 * (evidence - 2.5)))  # float32: exactly 1 where it saturates
        unbounded = np.exp(evidence) * 10  # like a sum of squared distances: heavy tail, 0.03 to 2e7
        scaled = (unbounded - unbounded.min()) / (unbounded.max() - unbounded.min())
        anomalib_metrics(softmax[:1], masks[:1])  # fail early if it is missing; import outside the timing
        print(
            f"{'maps':<26}{'metric':<13}{'ours':>10}{'anomalib':>10}{'differ':>10}"
            f"{'ours s':>8}{'theirs s':>9}{'ratio':>8}{'MiB':>8}{'their MiB':>10}"
        )
        compare("softmax-like", softmax, softmax, masks, options.repeats)
        compare("unbounded, they scaled", unbounded, scaled, masks, options.repeats)
        compare("unbounded, both raw", unbounded, unbounded, masks, options.repeats)
    own_costs(117, options.size, options.repeats)


if __name__ == "__main__":
    main()
