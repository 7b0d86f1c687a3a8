"""A small defect on a large photo: squeezed to the model's input, or in tiles? One table, DFR; labels for metrics only.

    python benchmarks/tiling.py --data data/sample --category nut --steps 300

A photo is a tray of 4 x 4 parts, 1024 pixels square, put together from photos of the sample set: training trays from
train/good, test trays from test/good, and in an anomalous one a single part has a defect, 1/16 of the photo or less.
Parts are drawn anew for each tray, so one part can lie on several of its split, never twice on one. DFR is trained on
the fit part of the trays: whole at two input sizes, and cut by ``data tile``. All maps are compared at 512 pixels.
Seconds are wall-clock on this machine, of training and of scoring the test trays.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from anomaly_lib.base.progress import progress_bar
from anomaly_lib.base.reproducibility import derived_seed, make_deterministic
from anomaly_lib.data import Category, Sample, load_category, split_normals
from anomaly_lib.data.images import read_mask, read_rgb
from anomaly_lib.data.tensors import load_images, load_masks
from anomaly_lib.evaluation import evaluate
from anomaly_lib.evaluation.thresholds import calibrate
from anomaly_lib.figures.style import save_figure
from anomaly_lib.methods.dfr.method import Dfr
from anomaly_lib.methods.dfr.params import DfrParams
from anomaly_lib.params import Thresholds
from anomaly_lib.tiling import Tiling
from anomaly_lib.tiling.scoring import resized, score_in_tiles
from anomaly_tools.copying import write_png
from anomaly_tools.tile_copies import tile_category
from harness import run

import numpy as np
import torch
from PIL import Image

SHOWN = ("image_auroc", "pixel_auroc", "aupro_030")
PARTS = 4
"""Along each side of a tray."""
TRAYS = {"train/good": 12, "test/good": 10, "test/defect": 12}
HELD_OUT = 0.2
TILE, OVERLAP = 320, 0.25
"""Not a part's 256 pixels: a tile cuts through parts, as it would in practice."""
COMPARED = 512


@dataclass(frozen=True)
class Scored:
    """The test trays as one way of looking sees them."""

    maps: torch.Tensor
    """(N, 512, 512)."""
    scores: torch.Tensor
    seconds: float
    """Of training and scoring."""


def write_trays(parts: Category, folder: Path, seed: int) -> None:
    """Write a category of trays; the mask of a tray is that of its one defective part."""
    rng = np.random.default_rng([seed, derived_seed(seed, "trays")])
    defects = [sample for sample in parts.test if sample.is_anomalous]
    for place, count in TRAYS.items():
        normals = parts.train if place.startswith("train") else [s for s in parts.test if not s.is_anomalous]
        for number in progress_bar(range(count), description=place, show=sys.stderr.isatty()):
            chosen = [normals[index] for index in rng.permutation(len(normals))[: PARTS**2]]
            if place == "test/defect":
                chosen[rng.integers(PARTS**2)] = defects[rng.integers(len(defects))]
                write_png(_tray([_mask(s) for s in chosen]), folder / f"ground_truth/defect/{number:03d}_mask.png")
            write_png(_tray([read_rgb(s.path) for s in chosen]), folder / place / f"{number:03d}.png")


def _mask(sample: Sample) -> np.ndarray:
    return read_mask(sample.mask_path) if sample.mask_path else np.zeros(read_rgb(sample.path).shape[:2], bool)


def _tray(pictures: list[np.ndarray]) -> np.ndarray:
    rows = [np.concatenate(pictures[start : start + PARTS], axis=1) for start in range(0, len(pictures), PARTS)]
    return np.concatenate(rows)


def fit(normals: tuple[Sample, ...], params: DfrParams, seed: int) -> tuple[Dfr, float]:
    """DFR of some photos, and the seconds of its training."""
    method, images = Dfr(params, seed), load_images(normals, params.image_size)
    start = time.perf_counter()
    method.fit(images, progress=sys.stderr.isatty())
    return method, time.perf_counter() - start


def whole(method: Dfr, test: tuple[Sample, ...], trained_in: float) -> Scored:
    """Score trays squeezed to the method's input."""
    start = time.perf_counter()
    scored = method.score(load_images(test, method.params.image_size))
    maps = torch.stack([torch.from_numpy(resized(one, (COMPARED, COMPARED))) for one in scored.maps])
    return Scored(maps, scored.scores, trained_in + time.perf_counter() - start)


def tiled(method: Dfr, test: tuple[Sample, ...], trained_in: float, tiling: Tiling) -> Scored:
    """Score trays in tiles."""
    start = time.perf_counter()
    bar = progress_bar(test, description="tiles", show=sys.stderr.isatty())
    found = [score_in_tiles(method, read_rgb(sample.path), tiling) for sample in bar]
    maps = torch.stack([torch.from_numpy(resized(torch.from_numpy(f.map), (COMPARED, COMPARED))) for f in found])
    return Scored(maps, torch.tensor([f.score for f in found]), trained_in + time.perf_counter() - start)


def compare(folder: Path, steps: int, seed: int) -> tuple[dict[str, Scored], float]:
    """{way of looking: what it saw}, and the image threshold of the model of tiles."""
    trays = load_category(folder.parent, folder.name)
    normals, _ = split_normals(trays.train, HELD_OUT, derived_seed(seed, "split"))
    small, seconds = fit(normals, DfrParams(steps=steps), seed)
    size = small.params.image_size
    found = {f"whole, squeezed to {size}": whole(small, trays.test, seconds)}
    found[f"tiles of {TILE}, model of whole trays"] = tiled(small, trays.test, seconds, Tiling(TILE, OVERLAP))
    large, seconds = fit(normals, DfrParams(steps=steps, image_size=2 * size, feature_size=128), seed)
    found[f"whole, squeezed to {2 * size}"] = whole(large, trays.test, seconds)
    tile_category(folder, folder.with_name("tiles"), Tiling(TILE), train_only=True, progress=sys.stderr.isatty())
    cut = load_category(folder.parent, "tiles").train
    names = {sample.path.stem for sample in normals}
    # split by tray: tiles of one tray are too alike to be held out from each other
    ours, held_out = ([s for s in cut if (s.path.stem.split("_r")[0] in names) == is_fit] for is_fit in (True, False))
    method, seconds = fit(ours, DfrParams(steps=steps), seed)
    for overlap in (0.0, OVERLAP):
        how = Tiling(TILE, overlap)
        found[f"tiles of {TILE}, overlap {overlap:.0%}"] = tiled(method, trays.test, seconds, how)
    unseen = method.score(load_images(held_out, size))
    return found, calibrate(unseen.scores, unseen.maps, Thresholds())["image"]


def draw(found: dict[str, Scored], test: tuple[Sample, ...], index: int, file: Path) -> None:
    """The tray ``index`` and what each way of looking makes of it, each map between its own quantiles of good trays."""
    from matplotlib.figure import Figure

    good = [not sample.is_anomalous for sample in test]
    figure = Figure((12, 9), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    photo = Image.fromarray(read_rgb(test[index].path)).resize((COMPARED, COMPARED), Image.Resampling.BILINEAR)
    mask = load_masks([test[index]], COMPARED)[0].numpy()
    axes[0].imshow(photo)
    axes[0].contour(mask, [0.5], colors="cyan", linewidths=1)
    axes[0].set_title("tray; the defect is outlined")
    for axis, (name, seen) in zip(axes[1:], found.items(), strict=True):
        low, high = (float(np.quantile(seen.maps[good].numpy(), q)) for q in (0.5, 0.9999))
        axis.imshow((seen.maps[index] - low) / (high - low), cmap="magma", vmin=0, vmax=2)
        axis.set_title(name)
    for axis in axes:
        axis.set_axis_off()
    figure.supxlabel("0: median of good trays, dark; 1: their 99.99 % quantile; bright: 2 and more", fontsize=10)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/sample"))
    parser.add_argument("--category", default="nut")
    parser.add_argument("--steps", type=int, default=300, help="of DFR; its default is 1000")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, metavar="FILE", help="the first anomalous tray, as each way sees it")
    options = parser.parse_args()
    make_deterministic(threads=1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "trays"
        write_trays(load_category(options.data, options.category), folder, options.seed)
        found, threshold = compare(folder, options.steps, options.seed)
        test = load_category(folder.parent, folder.name).test
        labels, masks = [sample.is_anomalous for sample in test], load_masks(test, COMPARED)
        if options.picture:
            draw(found, test, labels.index(True), options.picture)
    print("| looked at | image AUROC | pixel AUROC | AUPRO 0.3 | seconds |")
    print("|" + "---|" * 5)
    for name, seen in found.items():
        metrics = evaluate(seen.scores, labels, seen.maps, masks)
        print(f"| {name} | {' | '.join(f'{metrics[key]:.3f}' for key in SHOWN)} | {seen.seconds:.0f} |")
    flagged = (seen.scores >= threshold)[~torch.tensor(labels)]
    print(f"\nthe threshold of single tiles flags {int(flagged.sum())} of {len(flagged)} good trays")
    return 0


if __name__ == "__main__":
    run(main)
