"""Bundles against the trained models that they come from: parity, sizes, latency, start.

    python benchmarks/export.py                     # all trained models of the root profile
    python benchmarks/export.py --categories nut --bundles build/bundles/sample    # those of 'make live'

One thread on both sides. Parity is over all test photos: the largest difference of maps and scores as a share of the
category's largest, of a score also as a share of itself, and how many images and pixels are decided otherwise. Latency
is the median over single photos, from pixels to map and score; start is a whole ``detect PHOTO --no-pictures``, process
and all; both for the first category alone.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import anomaly_lib  # noqa: F401  chooses numerics before NumPy and torch load

# isort: split
from anomaly_lib.base.reproducibility import make_deterministic
from anomaly_lib.data import load_category
from anomaly_lib.evaluation import is_anomalous
from anomaly_lib.export.bundle import MODEL, load_bundle
from anomaly_lib.export.verify import BOUND, verify
from anomaly_lib.export.write import export
from anomaly_lib.methods.checkpoints import load_model
from anomaly_lib.params import load_profile, project_root
from anomaly_lib.pipeline.runs import find_model
from anomaly_lib.registry import METHODS
from anomaly_lib.reporting.tables import markdown_table
from harness import latency, process_seconds, run

import numpy as np
import onnxruntime

REPEATS, STARTS = 15, 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--profile")
    parser.add_argument("--methods", nargs="+")
    parser.add_argument("--categories", nargs="+")
    parser.add_argument("--bundles", type=Path, help="folder of bundles that were exported before")
    options = parser.parse_args()
    params = load_profile(options.profile)
    make_deterministic(threads=1)
    methods = options.methods or [name for name in params.methods if METHODS[name].role == "method"]
    categories = options.categories or params.categories
    parity, cost = [], []
    with TemporaryDirectory() as folder:
        for method in methods:
            for category in categories:
                place = (options.bundles or Path(folder)) / f"{method}-{category}"
                model, found, bundle = both(params, method, category, place)
                images = model.method.images(found.test).numpy()
                parity.append(compared(model, bundle, images) | {"verify": "; ".join(verify(place)) or "fine"})
                if category == categories[0]:
                    trained = ["--model", str(find_model(params, method, category))]
                    cost.append(costs(model, bundle, images, found.test[0].path, [trained, ["--bundle", str(place)]]))
                print(f"{method} {category} done", file=sys.stderr, flush=True)
    print(markdown_table(parity), markdown_table(cost), sep="\n\n")
    return 0


def both(params, method: str, category: str, folder: Path):
    """The trained model, its category, and its bundle, which is exported where it is missing."""
    model, found = (
        load_model(find_model(params, method, category)),
        load_category(project_root() / params.data, category),
    )
    if not folder.is_dir():
        export(model, found.folder, folder, params.evaluation.region_of_interest)
    bundle = load_bundle(folder)
    one_thread(bundle.method, folder)
    return model, found, bundle


def compared(model, bundle, images: np.ndarray) -> dict:
    """One row of the first table."""
    (maps, scores, _), (found_maps, found_scores, _) = (one.see(images) for one in (model.method, bundle.method))
    image, pixel = (
        sum(map(int, np.ravel(is_anomalous(a, model.thresholds[level]) != is_anomalous(b, model.thresholds[level]))))
        for level, a, b in (("image", scores, found_scores), ("pixel", maps, found_maps))
    )
    apart = np.abs(maps - found_maps).max(axis=(1, 2)) / np.abs(maps).max()
    return {
        "method": model.method.title,
        "category": model.category,
        "map": f"{apart.max():.1e}",
        "maps beyond 1e-4": f"{(apart > BOUND).sum()} of {len(maps)}",
        "score": f"{np.abs(scores - found_scores).max() / np.abs(scores).max():.1e}",
        "score, of itself": f"{(np.abs(scores - found_scores) / np.abs(scores)).max():.1e}",
        "decided otherwise: images, pixels": f"{image} of {len(scores)}, {pixel} of {maps.size:,}",
    }


def costs(model, bundle, images: np.ndarray, photo: Path, ways: list[list[str]]) -> dict:
    """One row of the second table; ``ways``: how ``detect`` is told of the model, and of the bundle."""
    single = [image[None] for image in images[: REPEATS + 1]]
    times = [latency(one.method.see, single) for one in (model, bundle)]
    starts = [start([str(photo), *how]) for how in ways]
    return {
        "method": model.method.title,
        "MB": f"{(Path(ways[1][1]) / MODEL).stat().st_size / 1e6:.1f}",
        "ms a photo, torch / bundle": " / ".join(f"{1000 * seconds:.0f}" for seconds in times),
        "start in s, torch / bundle": " / ".join(f"{seconds:.1f}" for seconds in starts),
    }


def one_thread(detector, folder: Path) -> None:
    """As torch runs here; a bundle takes all cores otherwise."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    detector.__dict__["_session"] = onnxruntime.InferenceSession(folder / MODEL, options)


def start(arguments: list[str]) -> float:
    """Least CPU seconds of a whole command."""
    with TemporaryDirectory() as output:
        return process_seconds(["-m", "anomaly_lib", "detect", *arguments, "--no-pictures", "--output", output], STARTS)


if __name__ == "__main__":
    run(main)
