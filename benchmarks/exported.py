"""Bundles beside anomalib's exported models: size, latency and first photo, side by side in one process.

    pip install -e ".[bench,export]"
    python -m anomaly_lib export draem --category nut --output build/bundles/draem-nut      # and dfr, dmad
    python benchmarks/exported.py build/bundles/*-nut

Anomalib's PaDiM (ResNet-18, its defaults, without weights from the network: they change no time) is fitted on the same
normal photos and exported to ONNX by its own exporter; its PatchCore took 23 GB to fit here, and was left out. CPU time
on one thread: the median over single photos, from pixels to map and score, in torch and in ONNX Runtime; and the least
of a whole process that decodes one photo and prints its score, once with the project's own command (``detect``,
anomalib's ``TorchInferencer``) and once with nothing but ONNX Runtime and Pillow.
"""

import argparse
import json
import logging
import os
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import anomaly_lib  # noqa: F401  chooses numerics before NumPy and torch load

# isort: split
from anomaly_lib.data import load_category
from anomaly_lib.params import load_profile, project_root
from anomaly_lib.reporting.tables import markdown_table
from harness import latency, process_seconds, run

import numpy as np
import onnxruntime
import torch

REPEATS, STARTS, SIZE = 15, 3, 256
BARE = """
import sys; import numpy as np; import onnxruntime; from PIL import Image
model, photo, size = sys.argv[1:]
session = onnxruntime.InferenceSession(model)
pixels = np.asarray(Image.open(photo).convert("RGB").resize((int(size), int(size))))
images = np.float32(pixels).transpose(2, 0, 1)[None] / 255
print([a.shape for a in session.run(None, {session.get_inputs()[0].name: images})])
"""
INFERENCER = """
import sys; from anomalib.deploy import TorchInferencer
print(TorchInferencer(path=sys.argv[1], device="cpu").predict(image=sys.argv[2]).pred_score)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--category", default="nut")
    options = parser.parse_args()
    torch.set_num_threads(1)
    category = load_category(project_root() / load_profile(None).data, options.category)
    photo = category.test[0].path
    rows = [ours(folder, photo) for folder in options.bundles]
    with TemporaryDirectory() as folder:
        rows.append(theirs("Padim", category.folder, photo, Path(folder)))
    print(markdown_table(rows), flush=True)
    return 0


def ours(folder: Path, photo: Path) -> dict:
    """One row: a bundle."""
    bundle = json.loads((folder / "bundle.json").read_text())
    command = ["-m", "anomaly_lib", "detect", str(photo), "--bundle", str(folder), "--no-pictures", "--output"]
    with TemporaryDirectory() as output:
        row = measured(folder / "model.onnx", photo, [*command, output])
    return {"model": folder.name} | row | {"pixels": bundle["image_size"]}


def theirs(name: str, data: Path, photo: Path, folder: Path) -> dict:
    """One row: a model of anomalib's, fitted and exported here."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    from anomalib import models
    from anomalib.data import Folder
    from anomalib.engine import Engine

    photos = Folder(
        name="photos",
        root=data,
        normal_dir="train/good",
        num_workers=0,
        test_split_mode="none",
        val_split_mode="from_train",
    )
    kind = getattr(models, name)
    parts = {
        "pre_processor": kind.configure_pre_processor(image_size=(SIZE, SIZE)),
        "evaluator": False,
        "visualizer": False,
    }
    model = kind(backbone="resnet18", pre_trained=False, **parts)
    engine = Engine(accelerator="cpu", default_root_dir=folder / name, logger=False)
    engine.fit(model, datamodule=photos)
    onnx = Path(engine.export(model, "onnx", folder / name, input_size=(SIZE, SIZE)))
    weights = Path(engine.export(model, "torch", folder / name))
    row = measured(onnx, photo, ["-c", INFERENCER, str(weights), str(photo)], {"TRUST_REMOTE_CODE": "1"})
    images = torch.rand(REPEATS + 1, 3, SIZE, SIZE)
    with torch.inference_mode():
        row["ms a photo, torch"] = f"{1000 * latency(model.eval(), images.split(1)):.0f}"
    return {"model": f"anomalib {name}"} | row | {"pixels": SIZE}


def measured(model: Path, photo: Path, command: list[str], more: dict[str, str] | None = None) -> dict:
    """Size, latency and starts of an exported model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options)
    (given, *_) = session.get_inputs()
    size = given.shape[-1] if isinstance(given.shape[-1], int) else SIZE
    images = np.random.default_rng(0).random((REPEATS + 1, 1, 3, size, size), np.float32)
    milliseconds = 1000 * latency(lambda image: session.run(None, {given.name: image}), list(images))
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | (more or {})
    bare = ["-c", BARE, str(model), str(photo), str(size)]
    return {
        "MB": f"{sum(file.stat().st_size for file in model.parent.glob(f'{model.name}*')) / 1e6:.1f}",
        "ms a photo, torch": None,
        "ms a photo, ONNX": f"{milliseconds:.0f}",
        "first photo in s, own command": f"{process_seconds(command, STARTS, environment):.1f}",
        "first photo in s, ONNX Runtime alone": f"{process_seconds(bare, STARTS, environment):.1f}",
    }


if __name__ == "__main__":
    run(main)
