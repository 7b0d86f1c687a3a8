"""Seconds and memory of everything that is computed of one benchmark's worth of maps.

    OMP_NUM_THREADS=1 python benchmarks/evaluation.py [--categories 15] [--images 115] [--size 256] [--workers 1]

MVTec AD has 15 categories and 1,725 test images. The maps are simulated (`benchmarks/metrics.py`): smooth noise, with
ellipses on three of four images. Each category is evaluated with all metrics, intervals, tables by
defect type (five) and size, and the curves, as notebook 04_evaluate does. Making the maps is not timed. Times are
clock seconds of the whole and CPU seconds of each part; memory is the highest resident set of a process.
"""

import argparse
import resource
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from anomaly_lib import evaluation
from metrics import simulate

import numpy as np
import torch


def one_category(seed: int, images: int, size: int) -> tuple[dict[str, float], float, int]:
    """CPU seconds of each part, clock seconds of all, and the process's highest memory so far in KiB."""
    torch.set_num_threads(1)
    maps, masks = simulate(images, size, seed)
    scores, labels = maps.max(axis=(1, 2)), masks.any(axis=(1, 2))
    types = np.array(["a", "b", "c", "d", "e"])[np.arange(images) % 5]
    parts = {
        "evaluate": lambda: evaluation.evaluate(scores, labels, maps, masks, image_threshold=4.0, pixel_threshold=2.0),
        "image intervals": lambda: evaluation.image_intervals(scores, labels, seed),
        "pixel intervals": lambda: evaluation.pixel_intervals(maps, masks, labels, seed),
        "by defect type": lambda: evaluation.by_defect_type(scores, labels, maps, masks, types, image_threshold=4.0),
        "by defect size": lambda: evaluation.by_defect_size(maps, masks, pixel_threshold=2.0),
        "image curves": lambda: (
            evaluation.roc_points(scores, labels),
            evaluation.precision_recall_points(scores, labels),
        ),
        "PRO curve": lambda: evaluation.pro_points(maps, masks),
    }
    start, seconds = time.perf_counter(), {}
    for name, function in parts.items():
        before = time.process_time()
        function()
        seconds[name] = time.process_time() - before
    return seconds, time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--categories", type=int, default=15)
    parser.add_argument("--images", type=int, default=115, help="test images of a category")
    parser.add_argument("--size", type=int, default=256, help="edge of the maps in pixels")
    parser.add_argument("--workers", type=int, default=1, help="processes, one thread each")
    options = parser.parse_args()
    work = partial(one_category, images=options.images, size=options.size)
    if options.workers == 1:
        results = [work(seed) for seed in range(options.categories)]
    else:
        with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
            results = list(pool.map(work, range(options.categories)))
    total = Counter()
    for seconds, _, _ in results:
        total.update(seconds)
    for name, value in total.items():
        print(f"{name:<20}{value:>8.1f} s")
    clock = sum(elapsed for _, elapsed, _ in results) / options.workers
    memory = max(kibibytes for _, _, kibibytes in results) / 2**20
    print(f"{'CPU':<20}{total.total():>8.1f} s\n{'clock':<20}{clock:>8.1f} s, {options.workers} worker(s)")
    print(f"{'memory':<20}{memory:>8.2f} GiB a worker")


if __name__ == "__main__":
    main()
