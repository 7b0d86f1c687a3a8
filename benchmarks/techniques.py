"""What do region of interest, alignment and smoothing change? One table, DFR, test labels for metrics only.

    python benchmarks/techniques.py --data data/sample --category capsule --steps 300

The category is moved at random (``data move``), aligned again (``data align``), and DFR is trained on the fit part of
each copy's train/good. Smoothing and regions need no training of their own. Pixel metrics of different rows are over
different pixels: with a region only those inside, in moved copies those of moved photos. Seconds are wall-clock on this
machine, of the alignment, the training and the scoring.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from anomaly_lib.base.reproducibility import derived_seed, make_deterministic
from anomaly_lib.data import Category, load_category, split_normals
from anomaly_lib.data.regions import load_region, save_region
from anomaly_lib.data.tensors import load_images, load_masks
from anomaly_lib.evaluation import evaluate
from anomaly_lib.methods.dfr.method import Dfr
from anomaly_lib.methods.dfr.params import DfrParams
from anomaly_tools.alignment import align_category, load_valid_areas, move_category
from anomaly_tools.disk import bytes_in
from harness import run, spread

import torch

SHOWN = ("image_auroc", "pixel_auroc", "aupro_030")
SIGMAS = (0.0, 2.0, 4.0)
HELD_OUT = 0.2
ROUND_THE_CAPSULE = [[0.02, 0.2], [0.98, 0.2], [0.98, 0.8], [0.02, 0.8]]
"""By hand, from a look at normal training images: the part in all its places, and little of the table."""


@dataclass(frozen=True)
class Trained:
    """DFR of one copy of the category, what it cost, and the test images to score."""

    method: Dfr
    category: Category
    images: torch.Tensor
    masks: torch.Tensor
    seconds: float
    """Of training, and of making the copy where there is one."""


def fit(folder: Path, steps: int, seed: int, made_in: float = 0.0) -> Trained:
    """Train DFR's default, with fewer steps, on a category folder."""
    category = load_category(folder.parent, folder.name)
    method = Dfr(DfrParams(steps=steps), seed)
    normals, _ = split_normals(category.train, HELD_OUT, derived_seed(seed, "split"))
    size = method.params.image_size
    images = load_images(normals, size)
    start = time.perf_counter()
    method.fit(images, progress=sys.stderr.isatty())
    seconds = made_in + time.perf_counter() - start
    return Trained(method, category, load_images(category.test, size), load_masks(category.test, size), seconds)


def measure(trained: Trained, region: torch.Tensor | None = None, sigma: float | None = None) -> dict[str, float]:
    """Metrics, seconds and megabytes of the category's folder; ``sigma`` other than DFR's own smooths otherwise."""
    method, usual = trained.method, trained.method.params
    if sigma is not None:
        method.params = usual.model_copy(update={"smoothing_sigma": sigma})
    start = time.perf_counter()
    scored = method.score(trained.images, region=region)
    seconds = trained.seconds + time.perf_counter() - start
    method.params = usual
    labels = [sample.is_anomalous for sample in trained.category.test]
    metrics = evaluate(scored.scores, labels, scored.maps, trained.masks, region=region)
    size = bytes_in(trained.category.folder) / 1e6
    return {key: metrics[key] for key in SHOWN} | {"seconds": seconds, "megabytes": size}


def rows(source: Path, steps: int, seed: int, folder: Path) -> dict[str, dict[str, float]]:
    """{technique: measurements} of one seed."""
    moved_folder, aligned_folder, region_file = folder / "moved", folder / "aligned", folder / "region.json"
    still = fit(source, steps, seed)
    found = {f"unmoved, sigma {sigma:g}": measure(still, sigma=sigma) for sigma in SIGMAS}
    save_region(region_file, [ROUND_THE_CAPSULE])
    region = load_region(region_file, still.method.params.image_size)
    found["unmoved, region of interest"] = measure(still, region)
    move_category(source, moved_folder, seed, progress=False)
    found["moved, as it is"] = measure(fit(moved_folder, steps, seed))
    start = time.perf_counter()
    print(align_category(moved_folder, aligned_folder, progress=sys.stderr.isatty()), file=sys.stderr)
    aligned = fit(aligned_folder, steps, seed, time.perf_counter() - start)
    found["moved, aligned"] = measure(aligned)
    valid = load_valid_areas(aligned_folder, aligned.category.test, aligned.method.params.image_size)
    found["moved, aligned, valid area only"] = measure(aligned, valid)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/sample"))
    parser.add_argument("--category", default="capsule", help="the region of interest is drawn for capsule")
    parser.add_argument("--steps", type=int, default=300, help="of DFR; its default is 1000")
    parser.add_argument("--seed", type=int, action="append", help="may be repeated; default: 0")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the copies of the first seed there to look at")
    options = parser.parse_args()
    make_deterministic(threads=1)
    measured = []
    for seed in options.seed or [0]:
        with tempfile.TemporaryDirectory() as temporary:
            folder = options.keep if options.keep and not measured else Path(temporary)
            measured.append(rows((options.data / options.category).resolve(), options.steps, seed, folder))
    print("| technique | seeds | image AUROC | pixel AUROC | AUPRO 0.3 | seconds | megabytes |")
    print("|" + "---|" * 7)
    for name in measured[0]:
        cells = [spread([run[name][key] for run in measured]) for key in SHOWN]
        cells += [spread([run[name][key] for run in measured], digits=0) for key in ("seconds", "megabytes")]
        print(f"| {name} | {len(measured)} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    run(main)
