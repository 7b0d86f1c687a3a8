"""What does each switch of a method change? One line a variant: metrics and seconds, on any data folder.

    python benchmarks/ablation.py dfr --data data/sample --category nut --category wood \
        --change feature_space=standardised --change location_prior=null

The first line is the base: the profile's settings. Each ``--change`` is one variant; several keys in one variant are
joined by commas. Trains on the fit part of train/good, last step; test labels are used for the metrics only. Thresholds
play no part. Seconds are wall-clock on this machine, and only comparable within one run.
"""

import argparse
import re
import statistics
import sys
import time
from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.reproducibility import derived_seed, make_deterministic
from anomaly_lib.data import load_category, split_normals
from anomaly_lib.data.tensors import load_masks
from anomaly_lib.evaluation import evaluate
from anomaly_lib.params import load_params
from anomaly_lib.registry import method_class, params_class
from harness import run, spread

import yaml

SHOWN = ("image_auroc", "pixel_auroc", "pixel_ap", "aupro_030")


def measure(method: str, settings: dict, data: Path, category: str, seed: int, held_out: float) -> dict[str, float]:
    """Metrics and seconds of one training."""
    params = params_class(method).model_validate(settings)
    found = load_category(data, category)
    fit, _ = split_normals(found.train, held_out, derived_seed(seed, "split"))
    detector = method_class(method)(params, seed)
    normals, images = detector.images(fit), detector.images(found.test)
    start = time.perf_counter()
    detector.fit(normals, work=Path("build/ablation"), progress=sys.stderr.isatty())
    fitted = time.perf_counter()
    scored = detector.score(images)
    done = time.perf_counter()
    labels = [sample.is_anomalous for sample in found.test]
    masks = load_masks(found.test, detector.image_size) if found.has_masks else None
    metrics = evaluate(scored.scores, labels, scored.maps, masks)
    return {key: metrics[key] for key in SHOWN} | {"fit_s": fitted - start, "score_s": done - fitted}


def variants(base: dict, changes: list[str]) -> dict[str, dict]:
    """{label: settings}, the base first. Raises InputError for a change that is not key=value."""
    found = {"base": base}
    for change in changes:
        pairs = [pair.partition("=") for pair in re.split(r",(?![^\[]*\])", change)]  # not inside a list
        if not all(equals for _, equals, _ in pairs):
            raise InputError(f"--change {change}: write key=value, several joined by commas")
        found[change] = base | {key: yaml.safe_load(value) for key, _, value in pairs}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("method")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--category", action="append", required=True)
    parser.add_argument("--seed", type=int, action="append", help="may be repeated; default: 0")
    parser.add_argument("--params", default="params.yaml", help="profile whose settings are the base")
    parser.add_argument("--change", action="append", default=[], metavar="KEY=VALUE[,KEY=VALUE]")
    options = parser.parse_args()
    params = load_params(options.params)
    make_deterministic(params.threads)
    base = params.methods[options.method].model_dump(exclude_unset=True)
    seeds = options.seed or [0]
    print(f"| variant | category | seeds | {' | '.join(SHOWN)} | fit s | score s |")
    print("|" + "---|" * (5 + len(SHOWN)))
    for label, settings in variants(base, options.change).items():
        for category in options.category:
            runs = [measure(options.method, settings, options.data, category, s, params.split.held_out) for s in seeds]
            cells = [spread([run[key] for run in runs]) for key in SHOWN]
            times = [f"{statistics.fmean(run[key] for run in runs):.0f}" for key in ("fit_s", "score_s")]
            print(" | ".join([f"| {label}", category, str(len(seeds)), *cells, *times]) + " |", flush=True)
    return 0


if __name__ == "__main__":
    run(main)
