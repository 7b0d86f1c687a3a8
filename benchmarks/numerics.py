"""What portable numerics cost: CPU milliseconds per training step and per scored photo, beside native ones.

    python benchmarks/numerics.py [--rounds 3]

Each method with the root profile's settings on the sample's nut, in processes of their own that take turns; the median
over all steps of all rounds counts. In native numerics DRAEM trains in bfloat16 where the processor has it, so its
float32 step is there as well.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import anomaly_lib.methods.training as loop
from anomaly_lib.base.numerics import MODE, PORTABLE, processor
from anomaly_lib.base.reproducibility import derived_seed, make_deterministic
from anomaly_lib.data import Category, load_category, split_normals
from anomaly_lib.methods.base import Method
from anomaly_lib.params import load_params, project_root
from anomaly_lib.registry import method_class, params_class

from torch import Tensor

STEPS = {"draem": 8, "dfr": 40, "dmad": 30}
SCORED = 16


def untrained(name: str, category: str, **settings: object) -> tuple[Method, Tensor, Category]:
    """A method with the root profile's settings but for ``settings``, the images to fit, and the sample's category."""
    params = load_params()
    make_deterministic(1)
    found = load_category(project_root() / params.data, category)
    normals, _ = split_normals(found.train, params.split.held_out, derived_seed(0, "split"))
    written = params.methods[name].model_dump(exclude_unset=True) | settings
    method = method_class(name)(params_class(name).model_validate(written), 0)
    return method, method.images(normals), found


def measure(name: str, settings: dict) -> dict[str, list[float]]:
    """CPU milliseconds of each training step, and of one photo's scoring, in this process."""
    method, images, category = untrained(name, "nut", **{"steps": STEPS[name]} | settings)
    steps, optimise = [], loop._optimise

    def timed(task, step):
        start = time.process_time()
        losses = optimise(task, step)
        steps.append(1000 * (time.process_time() - start))
        return losses

    loop._optimise = timed
    method.fit(images, progress=False)
    photos = method.images(category.test[:SCORED])
    start = time.process_time()
    method.score(photos)
    return {"step": steps, "photo": [1000 * (time.process_time() - start) / SCORED]}


def in_process(mode: str, name: str, settings: dict) -> dict[str, list[float]]:
    """``measure`` in a new process with these numerics."""
    environment = {k: v for k, v in os.environ.items() if k not in PORTABLE} | {MODE: mode, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--method", name, "--settings", json.dumps(settings)]
    return json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Print the table, or with --method the measurements of one process."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each variant; default: 3")
    parser.add_argument("--method", help=argparse.SUPPRESS)
    parser.add_argument("--settings", type=json.loads, default={}, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.method:
        print(json.dumps(measure(options.method, options.settings)))
        return
    variants = [("native", {}), ("native", {"precision": "float32"}), ("portable", {})]
    found: dict[tuple, dict[str, list[float]]] = {}
    for _ in range(options.rounds):
        for name in STEPS:
            for mode, settings in variants:
                if settings and name != "draem":
                    continue
                kept = found.setdefault((name, mode, *settings.values()), {"step": [], "photo": []})
                for key, values in in_process(mode, name, settings).items():
                    kept[key] += values
    print(f"{processor()}, one thread, median CPU milliseconds of {options.rounds} rounds\n")
    print("| method | numerics | per step | ratio | per scored photo | ratio |\n|---|---|---|---|---|---|")
    for (name, *variant), times in found.items():
        median, native = ({k: statistics.median(v) for k, v in t.items()} for t in (times, found[name, "native"]))
        cells = [f"{median[k]:.0f} | {median[k] / native[k]:.2f}" for k in ("step", "photo")]
        print(f"| {name} | {', '.join(variant)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
