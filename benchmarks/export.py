"""Bundles against the trained models that they come from: parity, sizes, latency, start.

    python benchmarks/export.py                     # all trained models of the root profile
    python benchmarks/export.py --categories nut --bundles build/bundles/sample    # those of 'make live'

One thread on both sides. Parity is over all test photos: the largest difference of maps and scores as a share of the
largest value (maps) or of the score itself, and how many images and pixels are decided otherwise. Latency is the median
over single photos, from pixels to map and score. Start is a whole ``detect PHOTO --no-pictures``, process and all.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import anomaly_lib  # noqa: F401  chooses numerics before NumPy and torch load

# isort: split
from anomaly_lib.base.reproducibility import make_deterministic
from anomaly_lib.data import load_category
from anomaly_lib.data.tensors import load_images
from anomaly_lib.evaluation import is_anomalous
from anomaly_lib.export.bundle import MODEL, load_bundle
from anomaly_lib.export.verify import verify
from anomaly_lib.export.write import export
from anomaly_lib.methods.checkpoints import load_model
from anomaly_lib.params import load_profile, project_root
from anomaly_lib.pipeline.runs import find_model
from anomaly_lib.registry import METHODS
from anomaly_lib.reporting.tables import markdown_table
from harness import run

import numpy as np
import onnxruntime

REPEATS, STARTS = 15, 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--profile")
    parser.add_argument("--methods", nargs="+")
    parser.add_argument("--categories", nargs="+")
    parser.add_argument("--bundles", type=Path, help="folder of bundles that were exported before")
    options = parser.parse_args()
    params = load_profile(options.profile)
    make_deterministic(threads=1)
    with TemporaryDirectory() as folder:
        rows = [
            compared(params, method, category, (options.bundles or Path(folder)) / f"{method}-{category}")
            for method in options.methods or [name for name in params.methods if METHODS[name].role == "method"]
            for category in options.categories or params.categories
        ]
    print(markdown_table(rows))
    return 0


def compared(params, method: str, category: str, folder: Path) -> dict:
    """One row of the table."""
    trained = find_model(params, method, category)
    model, found = load_model(trained), load_category(project_root() / params.data, category)
    if not folder.is_dir():
        export(model, found.folder, folder, params.evaluation.region_of_interest)
    bundle, problems = load_bundle(folder), verify(folder)
    one_thread(bundle.method, folder)
    images = load_images(found.test, model.method.image_size).numpy()
    (maps, scores, _), (found_maps, found_scores, _) = (one.see(images) for one in (model.method, bundle.method))
    image, pixel = (
        sum(map(int, np.ravel(is_anomalous(a, model.thresholds[level]) != is_anomalous(b, model.thresholds[level]))))
        for level, a, b in (("image", scores, found_scores), ("pixel", maps, found_maps))
    )
    times = [latency(one, images) for one in (model.method, bundle.method)]
    photo = str(found.test[0].path)
    starts = [start([photo, *how]) for how in (["--model", str(trained)], ["--bundle", str(folder)])]
    return {
        "method": model.method.title,
        "category": category,
        "map, largest difference": f"{np.abs(maps - found_maps).max() / np.abs(maps).max():.1e}",
        "score": f"{(np.abs(scores - found_scores) / np.abs(scores)).max():.1e}",
        "images, pixels decided otherwise": f"{image} of {len(scores)}, {pixel} of {maps.size:,}",
        "verify": "; ".join(problems) or "fine",
        "MB": f"{(folder / MODEL).stat().st_size / 1e6:.1f}",
        "ms a photo, torch / bundle": " / ".join(f"{1000 * seconds:.0f}" for seconds in times),
        "start in s, torch / bundle": " / ".join(f"{seconds:.1f}" for seconds in starts),
    }


def one_thread(detector, folder: Path) -> None:
    """As torch runs here; a bundle takes all cores otherwise."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    detector.__dict__["_session"] = onnxruntime.InferenceSession(folder / MODEL, options)


def latency(detector, images: np.ndarray) -> float:
    """Median CPU seconds of a single photo, after one to warm up."""
    seconds = []
    for image in images[: REPEATS + 1]:
        began = time.process_time()
        detector.see(image[None])
        seconds.append(time.process_time() - began)
    return statistics.median(seconds[1:])


def start(arguments: list[str]) -> float:
    """Least CPU seconds of a whole command, from the start of the process to its end."""
    command = [sys.executable, "-m", "anomaly_lib", "detect", *arguments, "--no-pictures", "--output"]
    seconds = []
    with TemporaryDirectory() as output:
        for _ in range(STARTS):
            before = children()
            subprocess.run([*command, output], check=True, capture_output=True)
            seconds.append(children() - before)
    return min(seconds)


def children() -> float:
    """CPU seconds of all processes that this one has waited for."""
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    run(main)
