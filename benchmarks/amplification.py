"""What becomes of last bits in a training: portable against native numerics of this processor, step by step.

    python -m anomaly_lib data sample --seed 7 --output build/development
    python benchmarks/amplification.py --data build/development/sample [--category nut] [--method draem]

Both trainings have the same settings (the root profile's, and variants of them), seed, data and number format; only the
code that the processor runs differs, as between two processors. Printed: the relative difference of the loss after some
steps, of weights and maps at the end, and image AUROC and AUPRO of both. Development data: another seed of the sample's
renderer, never the committed sample's test images.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import anomaly_lib.methods.training as loop
from anomaly_lib.base.numerics import MODE, PORTABLE, processor
from anomaly_lib.base.reproducibility import derived_seed, make_deterministic
from anomaly_lib.data import load_category, split_normals
from anomaly_lib.data.tensors import load_images, load_masks
from anomaly_lib.evaluation import aupro, image_auroc
from anomaly_lib.params import load_params
from anomaly_lib.registry import method_class, params_class

import numpy as np
import torch
import yaml

VARIANTS = (
    ("draem", "precision: float32"),
    ("draem", "{precision: float32, learning_rate: 5.0e-4}"),
    ("dfr", "{}"),
    ("dmad", "{}"),
    ("dmad", "deformation: false"),
)
STEPS = (1, 2, 5, 20, 100)


def run(name: str, settings: dict, data: Path, category: str, output: Path) -> None:
    """Train in this process; write losses, weights, maps and metrics to ``output``."""
    params = load_params()
    make_deterministic(1)
    found = load_category(data, category)
    normals, _ = split_normals(found.train, params.split.held_out, derived_seed(0, "split"))
    written = params.methods[name].model_dump(exclude_unset=True) | settings
    method = method_class(name)(params_class(name).model_validate(written), 0)
    losses, optimise = [], loop._optimise

    def noted(task, step):
        values = optimise(task, step)
        losses.append(values["loss"])
        return values

    loop._optimise = noted
    size = method.params.image_size
    method.fit(load_images(normals, size), progress=False)
    weights = torch.cat([tensor.flatten().float() for _, tensor in sorted(method.state_dict().items())])
    scored = method.score(load_images(found.test, size))
    labels, masks = np.array([s.is_anomalous for s in found.test]), load_masks(found.test, size).numpy()
    quality = [float(image_auroc(scored.scores, labels)), float(aupro(scored.maps, masks))]
    np.savez(output, losses=losses, weights=weights.numpy(), maps=scored.maps.numpy(), quality=quality)


def in_process(mode: str, name: str, settings: str, options: argparse.Namespace, folder: Path) -> dict:
    """``run`` in a new process with these numerics."""
    output = folder / f"{mode}.npz"
    environment = {k: v for k, v in os.environ.items() if k not in PORTABLE} | {MODE: mode, "OMP_NUM_THREADS": "1"}
    what = ["--method", name, "--settings", settings, "--data", options.data, "--category", options.category]
    subprocess.run([sys.executable, __file__, *map(str, what), "--output", output], env=environment, check=True)
    with np.load(output) as saved:
        return dict(saved)


def main() -> None:
    """Print the table, or with --output write the results of one training."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of categories in MVTec shape")
    parser.add_argument("--category", default="nut", help="default: nut")
    parser.add_argument("--method", help="only this one")
    parser.add_argument("--settings", default="{}", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.output:
        run(options.method, yaml.safe_load(options.settings), options.data, options.category, options.output)
        return
    print(f"{processor()}, {options.category} of {options.data.name}, portable against native\n")
    print(
        f"| method | settings | {' | '.join(f'loss, step {s}' for s in STEPS)} | weights | maps | image AUROC | AUPRO |"
    )
    print(f"|---|---|{'---|' * (len(STEPS) + 4)}")
    for name, settings in VARIANTS:
        if options.method in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                a, b = (in_process(m, name, settings, options, Path(folder)) for m in ("portable", "native"))
            gaps = [abs(a["losses"][s - 1] / b["losses"][s - 1] - 1) for s in STEPS]
            gaps += [np.linalg.norm(a[k] - b[k]) / np.linalg.norm(a[k]) for k in ("weights", "maps")]
            quality = [f"{x:.3f}, {y:.3f}" for x, y in zip(a["quality"], b["quality"], strict=True)]
            print(
                f"| {name} | {settings} | {' | '.join(f'{g:.0e}' for g in gaps)} | {' | '.join(quality)} |", flush=True
            )


if __name__ == "__main__":
    main()
