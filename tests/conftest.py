"""Fixtures shared by the tests: a tiny data set, tiny method settings, the golden vectors."""

import anomaly_lib  # first: NumPy and torch read how to compute when they load

# isort: split
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from anomaly_lib.data import load_category
from anomaly_lib.data.tensors import load_images
from anomaly_lib.evaluation.thresholds import calibrate
from anomaly_lib.methods.backbones import BACKBONES
from anomaly_lib.methods.checkpoints import load_model, save_model
from anomaly_lib.params import Thresholds
from anomaly_lib.pipeline.warm import WARM, warm_kernels
from anomaly_lib.registry import method_class, params_class

pytest.register_assert_rewrite("tests.helpers")

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = Path(__file__).parent / "data/golden"

# Settings with which a method trains in a second or two. A new method adds its line here.
TINY_SETTINGS = {
    "draem": {"image_size": 64, "reconstructive_width": 8, "discriminative_width": 8, "steps": 80, "batch": 4},
    "dmad": {"image_size": 64, "steps": 80, "batch": 4, "codes": 10},
    "dfr": {"image_size": 64, "feature_size": 16, "layers": ["stage0", "stage2"], "steps": 80, "batch": 128},
    "mean_image": {"image_size": 64},
    "padim": {"image_size": 64, "channels": 10},
    "patchcore": {"image_size": 64, "coreset_share": 0.1},
}


def quick_method(name):
    """A method with its tiny settings, untrained; it takes two steps, where it takes any."""
    model = params_class(name)
    return method_class(name)(model(**TINY_SETTINGS[name] | ({"steps": 2} if "steps" in model.model_fields else {})))


def pytest_configure():
    assert anomaly_lib.base.numerics.late() is None, anomaly_lib.base.numerics.late()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root."""
    return ROOT


@pytest.fixture(scope="session")
def golden():
    """What the authors' code returns on fixed weights (tests/data/golden/README.md)."""
    with np.load(GOLDEN / "golden.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def empty_repository(tmp_path_factory) -> Path:
    """A git and DVC repository without stages, to be copied: DVC takes a second to make one."""
    folder = tmp_path_factory.mktemp("repository") / "main"
    folder.mkdir()
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, check=True, cwd=folder)
    return folder


@pytest.fixture
def repository(empty_repository, tmp_path, monkeypatch) -> Path:
    """A git and DVC repository with four stages: first, then left and right, then last."""
    from tests.helpers import STAGES, write_stages

    folder = tmp_path / "main"
    shutil.copytree(empty_repository, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    (folder / "data.dvc").write_text("outs: []\n")
    (folder / "input.txt").write_text("input\n")
    write_stages(STAGES)
    return folder


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    """A data folder with the category 'dots': noisy grey images of 64 pixels; its defect is a bright square."""
    data = tmp_path_factory.mktemp("tiny") / "data"
    rng = np.random.default_rng(0)
    for split, count in (("train/good", 10), ("test/good", 4), ("test/square", 4)):
        for index in range(count):
            image = rng.normal(110, 12, (64, 64, 3))
            if split == "test/square":
                top, left = rng.integers(8, 40, 2)
                image[top : top + 14, left : left + 14] += 100
                mask = np.zeros((64, 64), np.uint8)
                mask[top : top + 14, left : left + 14] = 255
                _save(mask, data / f"dots/ground_truth/square/{index:03d}_mask.png")
            _save(image.clip(0, 255).astype(np.uint8), data / f"dots/{split}/{index:03d}.png")
    return data


@pytest.fixture(scope="session")
def model_folder(tiny_data, tmp_path_factory) -> Path:
    """A DFR model of the tiny data, with thresholds."""
    method = method_class("dfr")(params_class("dfr").model_validate(TINY_SETTINGS["dfr"]), 0)
    normals = load_images(load_category(tiny_data, "dots").train, 64)
    method.fit(normals[:7], progress=False)
    held_out = method.score(normals[7:])
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, method, "dots", calibrate(held_out.scores, held_out.maps, Thresholds()))
    return folder


@pytest.fixture(scope="session")
def model(model_folder):
    """It, loaded."""
    return load_model(model_folder)


@pytest.fixture(scope="session")
def nbrun() -> Iterator[Callable[..., subprocess.CompletedProcess]]:
    """``nbrun(folder, source, output, "key=value", ...)``; kernels start at once: forked, as in ``fanout``."""
    with warm_kernels(["draem", "dfr", "dmad"], "portable"):
        address = {name: os.environ.pop(name) for name in (WARM,) if name in os.environ}  # for these runs alone

        def run(folder: Path, *arguments: object) -> subprocess.CompletedProcess:
            command = [sys.executable, "-m", "anomaly_lib.nbrun", *map(str, arguments)]
            environment = os.environ | address
            return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

        yield run
        os.environ.update(address)


@pytest.fixture(scope="session")
def vgg19_weights(tmp_path_factory):
    """Random VGG19 features in torchvision's naming: {features.0.weight, ...}."""
    torch.manual_seed(0)
    state, width_in = {}, 3
    for path, width in zip(
        list(BACKBONES["vgg19"].layers.values()),
        [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8,
        strict=True,
    ):
        index = int(path.split(".")[1]) - 1
        convolution = nn.Conv2d(width_in, width, 3)
        state |= {f"features.{index}.{name}": tensor for name, tensor in convolution.state_dict().items()}
        width_in = width
    file = tmp_path_factory.mktemp("weights") / "vgg19.pth"
    torch.save(state, file)
    return file


def _save(pixels: np.ndarray, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
